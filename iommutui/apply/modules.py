"""Loading the module of a target, and why that did not work: missing, blocked, or failed."""

import os
import re
import subprocess
from collections.abc import Callable

from iommutui.core.drivers import underscored
from iommutui.core.errors import IommutuiError
from iommutui.sources.tree import Tree

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REFUSING = re.compile(r"(?:/usr)?/bin/(?:false|true)\b")


Ran = subprocess.CompletedProcess[str]


def run(command: tuple[str, ...]) -> Ran:
    """Runs the command with nothing of the caller's environment. It may hang: this is called in a child."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    try:
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        return Ran(command, 127, "", error.strerror or "it could not be run")


def load(name: str, root: str = "/", runner: Callable[[tuple[str, ...]], Ran] = run) -> None:
    """Loads the module. IommutuiError says whether it is blocked, missing, or failed to load."""
    if _NAME.fullmatch(name) is None:
        raise IommutuiError(f"{name!r} is not a module's name.")
    if os.path.isdir(os.path.join(root, "sys/module", underscored(name))):
        return
    block = _block(name, root, runner(("modprobe", "--showconfig")).stdout)
    if block is not None:
        raise IommutuiError(
            f"The module {name} is administratively blocked by {block}.",
            "Remove that line if you want to use the driver.",
        )
    ran = runner(("modprobe", "--", name))
    if ran.returncode == 0:
        return
    complaint = " ".join(ran.stderr.split()) or f"modprobe ended with {ran.returncode}"
    if "not found" in complaint:
        raise IommutuiError(
            f"The module {name} is missing: it is not among the modules of the kernel that is running.",
            "Install it, or boot the kernel that it belongs to.",
        )
    raise IommutuiError(f"The module {name} could not be loaded: {complaint}.", "The kernel's log may say more.")


def _block(name: str, root: str, config: str) -> str | None:
    """What keeps the module out, in words; a plain ``blacklist`` line keeps it from loading by itself only."""
    tree = Tree(root)
    if tree.text("proc/sys/kernel/modules_disabled") == "1":
        return "kernel.modules_disabled, which holds until the next boot"
    for word in str(tree.text("proc/cmdline") or "").split():
        key, _, value = word.partition("=")
        if key == "module_blacklist" and underscored(name) in (underscored(part) for part in value.split(",")):
            return "module_blacklist= on the kernel's command line"
    for line in config.splitlines():
        words = line.split(maxsplit=2)
        ours = len(words) == 3 and words[0] == "install" and underscored(words[1]) == underscored(name)
        if ours and _REFUSING.match(words[2]):
            return f"the line 'install {words[1]} {words[2]}' of its modprobe configuration"
    return None
