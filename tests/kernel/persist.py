"""What has to hold from one boot to the next: told as a story of boots of one disk."""

import tempfile
from pathlib import Path

from .errors import HarnessError
from .installed import TARGET, TWIN, Boot, Disk, install

DRIVERS = f"""
driver_of() {{ basename "$(readlink /sys/bus/pci/devices/$1/driver || echo none)"; }}
echo "target=$(driver_of {TARGET}) twin=$(driver_of {TWIN})"
"""


def run(tool: str) -> int:
    """Every boot of the story with this maker of initramfs; the exit status."""
    with tempfile.TemporaryDirectory(prefix="iommutui-persist-") as folder:
        disk = install(tool, Path(folder))
        for name, part in PARTS.items():
            boot = part(disk)
            print(f"{tool}: {name}: {boot.seconds:.0f} s", flush=True)
    return 0


def _hold(boot: Boot, *, status: int | None = 0, out: tuple[str, ...] = (), log: tuple[str, ...] = ()) -> Boot:
    """HarnessError where the boot did not leave this."""
    wrong = [f"it ended with {boot.status}"] if boot.status != status else []
    wrong += [f"it did not print {word!r}" for word in out if word not in boot.out]
    wrong += [f"the kernel log has no {word!r}" for word in log if word not in boot.dmesg]
    if wrong:
        raise HarnessError(f"{'; '.join(wrong)}\n--- it printed\n{boot.out}\n--- console\n{boot.console[-3000:]}")
    return boot


def _without_host_driver(boot: Boot) -> Boot:
    met = [line for line in boot.log_of(TARGET).splitlines() if f"e1000e {TARGET}" in line]
    if met:
        raise HarnessError("the host driver had the device first:\n" + "\n".join(met))
    return boot


def _persists(disk: Disk) -> Boot:
    job = DRIVERS + f"iommutui persist {TARGET}=vfio-pci --yes || exit\niommutui persist --list\n"
    return _hold(
        disk.boot(job),
        out=(
            "target=e1000e twin=e1000e",
            "+++ /etc/iommutui/persist.conf",
            "iommutui.persist=0",
            "Done.",
            "not in force, it is on e1000e",
        ),
    )


def _in_force(disk: Disk) -> Boot:
    boot = disk.boot(DRIVERS + "iommutui persist --list && iommutui journal\n")
    _hold(boot, out=("target=vfio-pci twin=e1000e", ": in force"), log=(f"iommutui: {TARGET}: in force, vfio-pci",))
    return _without_host_driver(boot)


def _switched_off(disk: Disk) -> Boot:
    boot = disk.boot(DRIVERS + "iommutui persist --list\n", words="iommutui.persist=0")
    return _hold(
        boot, out=("target=e1000e twin=e1000e", "this boot has iommutui.persist=0"), log=("iommutui.persist=0",)
    )


def _another_card(disk: Disk) -> Boot:
    boot = disk.boot(DRIVERS + "iommutui persist --list\n", target="e1000")
    return _hold(
        boot,
        out=("target=e1000 twin=e1000e", "another device (8086:100e) is at"),
        log=(f"iommutui: {TARGET}: not in force, another device is there",),
    )


def _power_cut(disk: Disk) -> Boot:
    """The power goes while the initramfs is made."""
    return _hold(disk.boot("iommutui unpersist --yes\n", cut_off_at="run "), status=None, out=("run ",))


def _after_the_power_cut(disk: Disk) -> Boot:
    """The machine boots, one way or the other, and says what was cut off; it is put back, and taken away again."""
    job = DRIVERS + "iommutui persist --list\niommutui unpersist --last --yes && iommutui unpersist --yes\n"
    return _hold(disk.boot(job), out=("twin=e1000e", "A change was interrupted", "Done."))


def _as_before(disk: Disk) -> Boot:
    job = DRIVERS + "find /etc /usr/lib -name '*iommutui*'\niommutui persist --list\n"
    boot = _hold(disk.boot(job), out=("target=e1000e twin=e1000e", "Nothing persists"))
    if "/etc/" in boot.out or "/usr/lib/" in boot.out or "iommutui:" in boot.dmesg:
        raise HarnessError(f"something was left behind:\n{boot.out}")
    return boot


PARTS = {
    "persist": _persists,
    "the device never meets its host driver, and its twin is left alone": _in_force,
    "iommutui.persist=0": _switched_off,
    "another card at the address": _another_card,
    "a power cut while the initramfs is made": _power_cut,
    "boots, and takes back": _after_the_power_cut,
    "everything as it was": _as_before,
}
