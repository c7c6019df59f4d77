"""Whether the kernel is locked down, which Secure Boot usually brings with it."""

from iommutui.sources.tree import PAGE, Tree, read_file


def read_lockdown(root: str) -> str | None:
    """``none``, ``integrity`` or ``confidentiality``; None where securityfs does not show it.

    The file holds ``none [integrity] confidentiality``, with brackets around the mode (security/lockdown/lockdown.c,
    from 5.4).
    """
    data = read_file(f"{Tree(root).sys}/kernel/security/lockdown", PAGE)
    text = data.decode(errors="replace") if isinstance(data, bytes) else ""
    return text.partition("[")[2].partition("]")[0] or None
