"""A countdown whose asking program is ended by systemd: a unit, as run0 starts one, and a login session of logind.

Runs on a Debian booted by systemd.
"""

import tempfile
from pathlib import Path

from .installed import TARGET, Boot, Disk, install

BOOTED = "init=/lib/systemd/systemd systemd.run=/sbin/guest-init"
_APPLY = f"python3 -m iommutui apply {TARGET}=vfio-pci --yes --json --keep-within"
_COUNTED = f"""
systemctl start dbus systemd-user-sessions systemd-logind
driver() {{ basename "$(readlink /sys/bus/pci/devices/{TARGET}/driver || echo none)"; }}
until_counting() {{ until grep -q '"counting"' /run/events; do sleep 0.2; done; }}
until_back() {{ until [ "$(driver)" = e1000e ]; do sleep 0.2; done; }}
seconds() {{ cut -d. -f1 /proc/uptime; }}
: >/run/events
chmod 666 /run/events
"""
_UNIT = f"""{_COUNTED}
systemd-run -q --unit=asker sh -c 'exec {_APPLY} 40 >/run/events'
until_counting
begin=$(seconds)
systemctl kill -s KILL asker
until systemctl is-failed -q asker; do sleep 0.2; done
echo "dead=$(driver)"
until_back
[ $(($(seconds) - begin)) -ge 20 ] && echo late
iommutui journal
"""
_SESSION = f"""{_COUNTED}
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\\nKillUserProcesses=yes\\n' >/etc/systemd/logind.conf.d/kill.conf
systemctl restart systemd-user-sessions systemd-logind
useradd -m tester
echo 'tester ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/tester
su - tester -c 'loginctl list-sessions --no-legend
sudo {_APPLY} 600 >/run/events 2>&1 &
until grep -q counting /run/events; do sleep 0.2; done'
until_back
until iommutui journal | tee /run/journal | grep -q reverted; do sleep 0.5; done
cat /run/journal
loginctl list-sessions --no-legend | grep -q tester || echo over
"""


def run() -> int:
    """Test both endings; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="iommutui-sessions-") as folder:
        disk = install("systemd", Path(folder))
        for name, part in STORIES.items():
            print(f"systemd: {name}: {part(disk).seconds:.0f} s", flush=True)
    return 0


def _unit(disk: Disk) -> Boot:
    """Every process of the unit dies, and the countdown continues to its end."""
    boot = disk.boot(_UNIT, words=BOOTED)
    return boot.expect(out=("dead=vfio-pci", "late", "not confirmed, and reverted"))


def _session(disk: Disk) -> Boot:
    """logind ends the rest of the session, which reverts everything at once."""
    boot = disk.boot(_SESSION, words=BOOTED)
    return boot.expect(out=("tester", "reverted", "over"))


STORIES = {
    "a unit that is killed takes no countdown with it": _unit,
    "a login session that ends reverts at once": _session,
}
