"""A plan as text for other programs: a registry of formats, one module a family. Nothing is written here."""

from iommutui.export import cmdline, libvirt, managers, qemu, settings, shell
from iommutui.export.base import Export, Format, Subject, render, subject_of

FORMATS: dict[str, Format] = {
    form.name: form for module in (libvirt, qemu, managers, shell, settings, cmdline) for form in module.FORMATS
}

__all__ = ["FORMATS", "Export", "Format", "Subject", "render", "subject_of"]
