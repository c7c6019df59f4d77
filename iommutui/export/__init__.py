"""What other programs are told of a plan: a registry of formats, one module a family. Pure text; nothing is written."""

from iommutui.export import cmdline, libvirt, managers, qemu, settings, shell
from iommutui.export.base import Export, Format, Subject, render, subject_of

FORMATS: dict[str, Format] = {
    form.name: form for module in (libvirt, qemu, managers, shell, settings, cmdline) for form in module.FORMATS
}

__all__ = ["FORMATS", "Export", "Format", "Subject", "render", "subject_of"]
