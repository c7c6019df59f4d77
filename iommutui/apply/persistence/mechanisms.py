"""Ways to make a declaration last: which files each takes, and the distribution's command that makes the initramfs."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from iommutui.apply.persistence.declaration import Entry, to_text
from iommutui.core.address import Address
from iommutui.core.errors import RefusedError

CONF = "/etc/iommutui/persist.conf"
DRIVERCTL = "driverctl"
_DRIVERCTL_FILE = "/etc/driverctl.d/pci-"


class File(NamedTuple):
    """A file as it is to be. ``path`` is absolute on the machine."""

    path: str
    text: str
    mode: int = 0o644


class Mechanism(NamedTuple):
    """One entry of the registry."""

    name: str
    programs: tuple[str, ...]
    """Where it is installed, one of these files exists below /usr."""
    data: tuple[tuple[str, str, int], ...]
    """Path on the machine, name in ``data``, mode."""
    rebuild: tuple[str, ...]
    """The command that rebuilds the initramfs of every installed kernel; empty: none is needed."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Where its files are, but those that are named after a device."""
        return (CONF, *(path for path, _, _ in self.data)) if self.data else ()


_SCRIPT = ("/etc/iommutui/persist.sh", "persist.sh", 0o755)
_UNIT = "iommutui-persist.service"
_DRACUT = "/usr/lib/dracut/modules.d/10iommutui"

MECHANISMS = (
    Mechanism(
        "mkinitcpio",
        ("bin/mkinitcpio",),
        (
            _SCRIPT,
            (f"/etc/iommutui/{_UNIT}", _UNIT, 0o644),
            ("/etc/initcpio/install/iommutui", "mkinitcpio-install.sh", 0o644),
            ("/etc/initcpio/hooks/iommutui", "mkinitcpio-hook.sh", 0o644),
            ("/etc/mkinitcpio.conf.d/iommutui.conf", "mkinitcpio.conf", 0o644),
        ),
        ("mkinitcpio", "-P"),
    ),
    Mechanism(
        "initramfs-tools",
        ("sbin/mkinitramfs",),
        (
            _SCRIPT,
            ("/etc/initramfs-tools/hooks/iommutui", "initramfs-tools-hook.sh", 0o755),
            ("/etc/initramfs-tools/scripts/init-top/iommutui", "initramfs-tools-init-top.sh", 0o755),
        ),
        ("update-initramfs", "-u", "-k", "all"),
    ),
    Mechanism(
        "dracut",
        ("bin/dracut", "sbin/dracut"),
        (
            _SCRIPT,
            (f"{_DRACUT}/module-setup.sh", "dracut-module-setup.sh", 0o755),
            (f"{_DRACUT}/pre-udev.sh", "dracut-pre-udev.sh", 0o755),
            (f"{_DRACUT}/{_UNIT}", _UNIT, 0o644),
        ),
        ("dracut", "--force", "--regenerate-all"),
    ),
    Mechanism(DRIVERCTL, ("sbin/driverctl", "bin/driverctl"), (), ()),
)


def mechanism_of(root: Path, *, driverctl: bool = False) -> Mechanism:
    """The one to use on the machine. RefusedError, with what to do instead, where there is none."""
    usable = [each for each in MECHANISMS if any((root / "usr" / program).exists() for program in each.programs)]
    if driverctl:
        if MECHANISMS[-1] not in usable:
            raise RefusedError("driverctl is not installed.", "Leave '--with driverctl' out.")
        return MECHANISMS[-1]
    if (root / "etc/NIXOS").exists():
        raise RefusedError("NixOS makes its initrd from its configuration.", "'iommutui export nixos' prints a module.")
    if (root / "run/ostree-booted").exists():
        raise RefusedError(
            "/usr of this system is read-only (ostree), and so are the modules of its initramfs.",
            "'iommutui export rpm-ostree' prints kernel arguments, which go by ids.",
        )
    if (root / "etc/kernel/postinst.d/dracut").exists():
        # Debian's dracut makes the images, whatever else is left there of initramfs-tools.
        usable.sort(key=lambda each: each.name != "dracut")
    found = usable[0] if usable else MECHANISMS[-1]
    if found.name == DRIVERCTL:
        raise RefusedError(
            "No program that makes an initramfs was found: mkinitcpio, initramfs-tools or dracut.",
            "'iommutui export' lists other ways, such as the kernel command line.",
        )
    if found.name == "mkinitcpio" and "mkinitcpio.conf.d" not in (root / "usr/bin/mkinitcpio").read_text("utf-8"):
        raise RefusedError("This mkinitcpio is older than 36 and reads no /etc/mkinitcpio.conf.d.", "Update it first.")
    return found


def by_name(name: str) -> Mechanism:
    """The mechanism of this name. RefusedError for one that another version made."""
    found = next((each for each in MECHANISMS if each.name == name), None)
    if found is None:
        raise RefusedError(f"This version of iommutui does not know the mechanism {name!r}.")
    return found


def files_of(mechanism: Mechanism, entries: Iterable[Entry]) -> list[File]:
    """Every file, the declaration first; none where nothing is left to declare."""
    entries = list(entries)
    if mechanism.name == DRIVERCTL:
        return [File(f"{_DRIVERCTL_FILE}{entry.address}", f"{entry.target}\n") for entry in entries]
    data = files("iommutui.apply.persistence") / "data"
    return [
        File(CONF, to_text(entries)),
        *(File(path, (data / name).read_text(encoding="utf-8"), mode) for path, name, mode in mechanism.data),
    ] if entries else []  # fmt: skip


def driverctl_entry(path: str, text: str) -> Entry:
    """What a file of driverctl declares: it goes by the address alone."""
    return Entry(Address(path.removeprefix(_DRIVERCTL_FILE)), "-", "-", text.strip())
