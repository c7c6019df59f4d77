"""A plan as text for other programs: a registry of formats, one module per family. Nothing is written here."""

from iommutui.export import settings, shell, vm
from iommutui.export.base import Format, Subject, render, subject_of

FORMATS: dict[str, Format] = {form.name: form for module in (vm, shell, settings) for form in module.FORMATS}

__all__ = ["FORMATS", "Format", "Subject", "render", "subject_of"]
