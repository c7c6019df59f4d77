"""Facts that must hold across boots, tested as a series of boots of one disk."""

import tempfile
from pathlib import Path

from .errors import HarnessError
from .installed import TARGET, TWIN, Boot, Disk, install

DRIVERS = f"""
driver_of() {{ basename "$(readlink /sys/bus/pci/devices/$1/driver || echo none)"; }}
echo "target=$(driver_of {TARGET}) twin=$(driver_of {TWIN})"
"""
LOOK = DRIVERS + "iommutui persist --list\n"
PERSIST = f"iommutui persist {TARGET}=vfio-pci --yes || exit\n"
GENERATING = "update-initramfs: Generating"
"""What update-initramfs prints once it has started."""
SUMS = "find /etc /usr/lib/dracut /usr/share/initramfs-tools -type f | sort | xargs sha256sum"
"""Checksums of every file that affects the initramfs."""


def run(tool: str) -> int:
    """Run every boot of the series with this initramfs generator; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="iommutui-persist-") as folder:
        disk = install(tool, Path(folder))
        for name, part in STORIES[tool].items():
            boot = part(disk)
            print(f"{tool}: {name}: {boot.seconds:.0f} s", flush=True)
    return 0


def _persists(disk: Disk) -> Boot:
    boot = disk.boot(f"{DRIVERS}{SUMS} >/root/before\n{PERSIST}iommutui persist --list\n")
    shown = ("+++ /etc/iommutui/persist.conf", "iommutui.persist=0", "Done.", "it is on e1000e until the next boot")
    return boot.expect(out=("target=e1000e twin=e1000e", *shown))


def _power_cut(disk: Disk) -> Boot:
    """The power fails while the initramfs is being built."""
    boot = disk.boot(f"{DRIVERS}{SUMS} >/root/before\nsync\n{PERSIST}", cut_off_at=GENERATING)
    return boot.expect(status=None, out=("target=e1000e twin=e1000e", GENERATING))


def _after_the_power_cut(disk: Disk) -> Boot:
    """The machine boots and reports the interrupted change; no other change may persist until it is reverted."""
    again = f"iommutui persist {TARGET}=vfio-pci --yes; echo refused=$?\niommutui unpersist --last --yes || exit\n"
    boot = disk.boot(f"{LOOK}{again}{SUMS} | cmp - /root/before && echo reverted\n{PERSIST}")
    return boot.expect(
        out=("twin=e1000e", "was interrupted; 'iommutui unpersist --last'", "refused=3", "reverted", "Done.")
    )


def _in_force(disk: Disk) -> Boot:
    """The host driver never binds the device; a journal persists too, and is reverted on its own."""
    job = f"""{LOOK}iommutui journal
iommutui apply {TWIN}=vfio-pci --yes || exit
journal=$(iommutui journal --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["journals"][0]["id"])')
iommutui persist "$journal" --yes || exit
grep -c vfio-pci /etc/iommutui/persist.conf
iommutui unpersist --last --yes || exit
grep -v '^#' /etc/iommutui/persist.conf
"""
    return _met_no_host_driver(disk.boot(job).expect(out=(f"+{TWIN} 8086:10d3", "\n2\n", f"\n{TARGET} 8086:10d3")))


def _in_force_until_unpersist(disk: Disk) -> Boot:
    return _met_no_host_driver(disk.boot(LOOK + "iommutui unpersist --yes\n").expect(out=("Done.",)))


def _met_no_host_driver(boot: Boot) -> Boot:
    boot.expect(out=("target=vfio-pci twin=e1000e", ": in force"), log=(f"iommutui: {TARGET}: in force, vfio-pci",))
    met = [line for line in boot.log_of(TARGET).splitlines() if f"e1000e {TARGET}" in line]
    if met:
        raise HarnessError("the host driver had the device first:\n" + "\n".join(met))
    return boot


def _switched_off(disk: Disk) -> Boot:
    boot = disk.boot(LOOK, words="iommutui.persist=0")
    shown = ("target=e1000e twin=e1000e", "this boot has iommutui.persist=0")
    return boot.expect(out=shown, log=("iommutui.persist=0, so nothing is set",))


def _another_card(disk: Disk) -> Boot:
    boot = disk.boot(LOOK + "iommutui unpersist --yes\n", target="e1000")
    shown = ("target=e1000 twin=e1000e", "another device (8086:100e) is at", "Done.")
    return boot.expect(out=shown, log=(f"iommutui: {TARGET}: not in force, another device is there",))


def _as_before(disk: Disk) -> Boot:
    boot = disk.boot(f"{LOOK}{SUMS} | diff - /root/before && echo unchanged\n")
    boot.expect(out=("target=e1000e twin=e1000e", "Nothing persists", "unchanged"))
    if "iommutui:" in boot.dmesg:
        raise HarnessError("the initramfs still has the script")
    return boot


STORIES = {
    "initramfs-tools": {
        "a power cut while the initramfs is made": _power_cut,
        "boots, is reverted, and persists": _after_the_power_cut,
        "the device never meets its host driver, and its twin is left alone; by a journal, and reverted": _in_force,
        "iommutui.persist=0": _switched_off,
        "another card at the address; unpersist": _another_card,
        "everything as it was": _as_before,
    },
    "dracut": {
        "persist": _persists,
        "the device never meets its host driver, and its twin is left alone; unpersist": _in_force_until_unpersist,
        "everything as it was": _as_before,
    },
}
