"""Reasons and verdicts as sentences. Plain text, no markup; those of hazards are in `iommutui.core.hazards`."""

from iommutui.core.device import NOT_LISTED, gap_words
from iommutui.core.hazards import filled, refusal_sentence
from iommutui.core.host import Group, Host
from iommutui.core.labels import NO_ISOLATION, NOTHING_TO_PASS, group_word
from iommutui.core.reasons import Code, Reason, Verdict


def sentence(reason: Reason) -> str:
    """One or two sentences that name device, driver and rule."""
    if reason.code is Code.HOST_NEEDS:
        return refusal_sentence(reason)
    device, driver = reason.device or "", reason.driver or ""
    group = "" if reason.group is None else str(reason.group)
    words = {
        "device": device,
        "driver": driver,
        "group": group,
        "subject": device or (f"group {group}" if group else "the device"),
        "place": f"on {driver}" if driver else "free",
        "holder": reason.fact("owner") or "another process",
    }
    return filled(reason.code.says, {**words, **dict(reason.facts), "why": _why(reason)})


def _why(reason: Reason) -> str:
    """Why something is unknown, and for a listing the command that shows it."""
    why = reason.fact("why")
    if why != NOT_LISTED:
        return gap_words(why)
    command = "lspci -nnk" if reason.code is Code.UNKNOWN_DRIVER else "lspci -v (pciutils 3.7 or later)"
    return f"{gap_words(why)}; {command} does"


def verdict_sentence(host: Host, group: Group, verdict: Verdict) -> str:
    """The verdict on a group as a sentence."""
    word = group_word(host, group, verdict)
    if word == NO_ISOLATION:
        return f"Group {group.id} is not isolated."
    if word == NOTHING_TO_PASS:
        return f"Group {group.id} holds nothing to pass through: its devices serve this machine itself."
    silent = [d.address for d in host.members(group) if d.silent]
    if word == "viable" and silent:
        what = "they sleep (D3cold) or have" if len(silent) > 1 else "it sleeps (D3cold) or has"
        verb = "do" if len(silent) > 1 else "does"
        return f"Group {group.id} is viable, but {', '.join(silent)} {verb} not answer: {what} fallen off the bus."
    if word == "viable":
        return f"Group {group.id} is viable: a virtual machine can use it."
    if word == "in use":
        return f"Group {group.id} is in use."
    if word == "refused":
        return f"Group {group.id} is viable, but claiming it fails with {verdict.claim}."
    if word == "unknown":
        return f"Whether group {group.id} is viable is unknown."
    return f"Group {group.id} is not viable."
