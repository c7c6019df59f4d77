"""A plan as text for other programs: a registry of formats, for a virtual machine and for the host. Never writes."""

from iommutui.export import host, vm
from iommutui.export.base import Format, Subject, render, subject_of

FORMATS: dict[str, Format] = {form.name: form for module in (vm, host) for form in module.FORMATS}

__all__ = ["FORMATS", "Format", "Subject", "render", "subject_of"]
