"""``iommutui why --error``: what on this machine explains an error message."""

from itertools import groupby

from iommutui.cli.documents import SCHEMA, host_document
from iommutui.cli.offline import said_of
from iommutui.cli.output import clean, write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.core.diagnosis import MESSAGES, diagnose
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.host import Device, Group, Host
from iommutui.core.models.base import Model


def explain_error(
    options: Options, host: Host, model: Model, *, device: Device | None = None, group: Group | None = None
) -> int:
    """Prints the causes of ``--error`` that fit, most likely first; IommutuiError for a message that is not known.

    ``device`` or ``group`` is what the message is about, where it does not say so itself.
    """
    diagnosis = diagnose(host, options.error, model, group=None if group is None else group.id, device=device)
    if diagnosis is None:
        known = "; ".join(message.name for message in MESSAGES)
        raise IommutuiError("This is not an error message that is known here.", f"Known are: {known}.")
    if options.json:
        causes = [dict(zip(cause._fields, cause, strict=True)) for cause in diagnosis.causes]
        write_json(
            {"schema": SCHEMA, "host": host_document(host, model), "message": diagnosis.message, "causes": causes}
        )
        return Exit.DONE
    lines = [f"Recognised: {diagnosis.message}."]
    if not diagnosis.causes:
        lines += [
            "Nothing on this machine explains it as it is now.",
            "Ask again while it fails, as root: only root sees which programs hold a group.",
        ]
    for remedy, found in groupby(enumerate(diagnosis.causes, 1), lambda numbered: numbered[1].remedy):
        lines += [*(f"{number}. {cause.text}" for number, cause in found), f"   {said_of(options, remedy)}"]
    write_lines([clean(line) for line in lines])
    return Exit.DONE
