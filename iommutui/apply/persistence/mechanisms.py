"""The declaration ``/etc/iommutui/persist.conf``, and the mechanisms that apply it: their files and their commands.

The declaration names devices by address and ids, and their drivers; the command rebuilds the initramfs.
"""

import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from iommutui.core.address import Address, is_pci, sort_key
from iommutui.core.errors import IommutuiError, RefusedError
from iommutui.core.host import Host
from iommutui.core.plan.planner import Plan

CONF = "/etc/iommutui/persist.conf"
SWITCH = "iommutui.persist=0"
"""The word on the kernel's command line that turns the declaration off."""

_ENTRY = re.compile(
    r"\s*(\S+)\s+([0-9a-f]{4}:[0-9a-f]{4})\s+([0-9a-f]{4}:[0-9a-f]{4}|-)\s+([A-Za-z0-9_.+-]{1,128})(?!\S)"
)
_HEADER = f"""\
# Made by iommutui: 'iommutui persist' writes it, 'iommutui unpersist' removes it.
# {SWITCH} on the kernel command line makes the next boot ignore it.
# A change takes effect in the next initramfs.
# ADDRESS    IDS       SUBSYSTEM TARGET
"""


class Entry(NamedTuple):
    """One line of the declaration."""

    address: Address
    ids: str
    """``10de:2204``."""
    board: str
    """The same of the subsystem, which distinguishes two makers' cards; ``-`` where it is not known."""
    target: str
    """The override: a driver, or ``none``."""


def entries_of(host: Host, plan: Plan) -> list[Entry]:
    """The plan's goals as entries. Raises RefusedError for a device that the next boot could not identify."""
    found = []
    for goal in plan.goals:
        if goal.override is None:
            raise RefusedError(
                f"{goal.device} goes to the driver that the kernel chooses, which needs no entry.",
                f"'iommutui unpersist {goal.device}' removes an entry for it.",
            )
        device = host.devices[goal.device]
        if device.ids is None:
            raise RefusedError(f"The ids of {goal.device} are not known, and the next boot has to check them.")
        found.append(Entry(goal.device, device.ids, device.board or "-", goal.override))
    return found


def to_text(entries: Iterable[Entry]) -> str:
    """The text of the declaration, in the order of addresses."""
    ordered = sorted(entries, key=lambda entry: sort_key(entry.address))
    return _HEADER + "".join(f"{' '.join(entry)}\n" for entry in ordered)


def from_text(text: str, path: str) -> list[Entry]:
    """The entries of the file. IommutuiError names the first line that is not an entry."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = _ENTRY.match(line)
        if fields is None or not is_pci(fields[1]):
            raise IommutuiError(
                f"{path}, line {number}: not ADDRESS IDS SUBSYSTEM TARGET.",
                "Correct the line, or remove it: # begins a comment.",
            )
        found.append(Entry(Address(fields[1]), fields[2], fields[3], fields[4]))
    return found


def why_not_in_force(entry: Entry, host: Host, *, booted: bool) -> str:
    """Why the entry is not in force now; empty if it is. ``booted``: since it was declared."""
    device = host.devices.get(entry.address)
    if device is None:
        return f"no device is at {entry.address}"
    if entry.ids not in ("-", device.ids) or entry.board not in ("-", device.board):
        return f"another device ({device.vendor_id}:{device.device_id}) is at {entry.address}"
    if (device.driver or "none") == entry.target:
        return ""
    if SWITCH in (host.cmdline or "").split():
        return f"this boot has {SWITCH} on its command line"
    until = "; the kernel log says why: dmesg | grep iommutui" if booted else " until the next boot"
    return f"it is on {device.driver or 'no driver'}{until}"


DRIVERCTL = "driverctl"
_DRIVERCTL_FILE = "/etc/driverctl.d/pci-"


class File(NamedTuple):
    """A file as it is, or as planned. ``path`` is absolute on the machine; ``text`` of None: no such file."""

    path: str
    text: str | None
    mode: int = 0o644


class Mechanism(NamedTuple):
    """One entry of the registry."""

    name: str
    program: str
    """Its program, in /usr/bin or /usr/sbin if installed."""
    data: tuple[tuple[str, str, int], ...] = ()
    """Path on the machine, name in ``data``, mode."""
    commands: tuple[tuple[str, ...], ...] = ()
    """Commands that rebuild the initramfs of every installed kernel; the first installed one is used. Empty: none."""

    def command(self, root: Path) -> tuple[str, ...]:
        """The one to run on the machine; empty if nothing is to be rebuilt."""
        return next((each for each in self.commands if _installed(root, each[0])), ())


_SCRIPT = ("/etc/iommutui/persist.sh", "persist.sh", 0o755)
_UNIT = "iommutui-persist.service"
_DRACUT = "/usr/lib/dracut/modules.d/10iommutui"

MECHANISMS = (
    Mechanism(
        "mkinitcpio",
        "mkinitcpio",
        (
            _SCRIPT,
            (f"/etc/iommutui/{_UNIT}", _UNIT, 0o644),
            ("/etc/initcpio/install/iommutui", "mkinitcpio-install.sh", 0o644),
            ("/etc/initcpio/hooks/iommutui", "mkinitcpio-hook.sh", 0o644),
            # Drop-in files are read in the order of their names, and a later one may reset HOOKS.
            ("/etc/mkinitcpio.conf.d/zz-iommutui.conf", "mkinitcpio.conf", 0o644),
        ),
        # The first belongs to Limine's hook, whose /usr/local/bin/mkinitcpio asks a question.
        (("limine-mkinitcpio",), ("mkinitcpio", "-P")),
    ),
    Mechanism(
        "initramfs-tools",
        "mkinitramfs",
        (
            _SCRIPT,
            ("/etc/initramfs-tools/hooks/iommutui", "initramfs-tools-hook.sh", 0o755),
            ("/etc/initramfs-tools/scripts/init-top/iommutui", "initramfs-tools-init-top.sh", 0o755),
        ),
        (("update-initramfs", "-u", "-k", "all"),),
    ),
    Mechanism(
        "dracut",
        "dracut",
        (
            _SCRIPT,
            (f"{_DRACUT}/module-setup.sh", "dracut-module-setup.sh", 0o755),
            (f"{_DRACUT}/pre-udev.sh", "dracut-pre-udev.sh", 0o755),
            (f"{_DRACUT}/{_UNIT}", _UNIT, 0o644),
        ),
        # The first is EndeavourOS's: dracut itself does not know the names of its images.
        (("dracut-rebuild",), ("dracut", "--force", "--regenerate-all")),
    ),
    Mechanism(DRIVERCTL, "driverctl"),
)


def mechanism_of(root: Path, *, driverctl: bool = False) -> Mechanism:
    """The mechanism to use on the machine. RefusedError, with what to do instead, where there is none."""
    if driverctl:
        if not _installed(root, DRIVERCTL):
            raise RefusedError("driverctl is not installed.", "Leave '--with driverctl' out.")
        return by_name(DRIVERCTL)
    if (root / "etc/NIXOS").exists():
        raise RefusedError(
            "NixOS builds its initrd from its configuration.", "'iommutui export nixos' prints a module."
        )
    if (root / "run/ostree-booted").exists():
        raise RefusedError(
            "/usr of this system is read-only (ostree), and so are the modules of its initramfs.",
            "'iommutui export rpm-ostree' prints kernel arguments, which use ids.",
        )
    usable = [each for each in MECHANISMS if each.commands and _installed(root, each.program)]
    if not usable:
        raise RefusedError(
            "No initramfs generator was found: mkinitcpio, initramfs-tools or dracut.",
            "'iommutui export' lists other ways, such as the kernel command line.",
        )
    # Debian's dracut builds the images even if parts of initramfs-tools remain installed.
    debians = (root / "etc/kernel/postinst.d/dracut").exists()
    found = next((each for each in usable if debians and each.name == "dracut"), usable[0])
    if found.name == "mkinitcpio":
        _refuse_unread_settings(root)
    return found


def _installed(root: Path, program: str) -> bool:
    return any((root / "usr" / place / program).exists() for place in ("bin", "sbin"))


def _refuse_unread_settings(root: Path) -> None:
    """Raises RefusedError if mkinitcpio would not read /etc/mkinitcpio.conf.d (mkinitcpio(8), ``--config``)."""
    if "mkinitcpio.conf.d" not in (root / "usr/bin/mkinitcpio").read_text("utf-8", "replace"):
        raise RefusedError("This mkinitcpio is older than 36 and reads no /etc/mkinitcpio.conf.d.", "Update it first.")
    for preset in sorted((root / "etc/mkinitcpio.d").glob("*.preset")):
        for number, line in enumerate(preset.read_text("utf-8", "replace").splitlines(), 1):
            if re.match(r"\s*\w+_config=", line):
                raise RefusedError(
                    f"/etc/mkinitcpio.d/{preset.name}, line {number}: it names a settings file, so mkinitcpio does "
                    f"not read /etc/mkinitcpio.conf.d.",
                    "Put # before that line (/etc/mkinitcpio.conf is read anyway), and try again.",
                )


def by_name(name: str) -> Mechanism:
    """The mechanism of this name. Raises RefusedError for one that another version made."""
    for each in MECHANISMS:
        if each.name == name:
            return each
    raise RefusedError(f"This version of iommutui does not know the mechanism {name!r}.")


def paths_of(mechanism: Mechanism) -> tuple[str, ...]:
    """The paths of its files, except those named after a device."""
    return (CONF, *(path for path, _, _ in mechanism.data)) if mechanism.data else ()


def files_of(mechanism: Mechanism, entries: Iterable[Entry]) -> list[File]:
    """Every file, the declaration first; none if nothing is left to declare."""
    entries = list(entries)
    if mechanism.name == DRIVERCTL:
        return [File(f"{_DRIVERCTL_FILE}{entry.address}", f"{entry.target}\n") for entry in entries]
    data = files("iommutui.apply.persistence") / "data"
    made = [File(path, (data / name).read_text(encoding="utf-8"), mode) for path, name, mode in mechanism.data]
    return [File(CONF, to_text(entries)), *made] if entries else []


def driverctl_entry(path: str, text: str) -> Entry:
    """The entry in a file of driverctl, which uses the address only."""
    return Entry(Address(path.removeprefix(_DRIVERCTL_FILE)), "-", "-", text.strip())
