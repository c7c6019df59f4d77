"""Loading the module of a target, and why that did not work: missing, blocked, or failed."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from iommutui.core.drivers import underscored
from iommutui.core.errors import IommutuiError
from iommutui.sources.tree import Tree

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REFUSING = re.compile(r"(?:/usr)?/bin/(?:false|true)\b")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended; ``status`` is None where it could not be run."""

    status: int | None
    output: str
    complaint: str


Runner = Callable[[Sequence[str]], Ran]


def run(command: Sequence[str]) -> Ran:
    """Runs the command with nothing of the caller's environment. It may hang: this is called in a child."""
    import subprocess

    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        return Ran(None, "", error.strerror or "it could not be run")
    return Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def load(name: str, root: str = "/", runner: Runner = run) -> None:
    """Loads the module. IommutuiError says whether it is blocked, missing, or failed to load."""
    if _NAME.fullmatch(name) is None:
        raise IommutuiError(f"{name!r} is not a module's name.")
    if os.path.isdir(os.path.join(root, "sys/module", underscored(name))):
        return
    block = _block(name, root, runner)
    if block is not None:
        raise IommutuiError(
            f"The module {name} is administratively blocked by {block}.",
            "Remove that line if you want to use the driver.",
        )
    ran = runner(("modprobe", "--", name))
    if ran.status == 0:
        return
    complaint = " ".join(ran.complaint.split()) or f"modprobe ended with {ran.status}"
    if "not found" in complaint:
        raise IommutuiError(
            f"The module {name} is missing: it is not among the modules of the kernel that is running.",
            "Install it, or boot the kernel that it belongs to.",
        )
    raise IommutuiError(f"The module {name} could not be loaded: {complaint}.", "The kernel's log may say more.")


def _block(name: str, root: str, runner: Runner) -> str | None:
    """What keeps the module out, in words; a plain ``blacklist`` line keeps it from loading by itself only."""
    tree = Tree(root)
    if tree.text("proc/sys/kernel/modules_disabled") == "1":
        return "kernel.modules_disabled, which holds until the next boot"
    for word in str(tree.text("proc/cmdline") or "").split():
        key, _, value = word.partition("=")
        if key == "module_blacklist" and underscored(name) in (underscored(part) for part in value.split(",")):
            return "module_blacklist= on the kernel's command line"
    for line in runner(("modprobe", "--showconfig")).output.splitlines():
        words = line.split(maxsplit=2)
        ours = len(words) == 3 and words[0] == "install" and underscored(words[1]) == underscored(name)
        if ours and _REFUSING.match(words[2]):
            return f"the line 'install {words[1]} {words[2]}' of its modprobe configuration"
    return None
