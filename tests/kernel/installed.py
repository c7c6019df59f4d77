"""``python -m tests.kernel persist``: Debian on a disk, with its own initramfs, over several boots.

For each boot, the kernel and initramfs are read from the disk, as a boot loader would. After the initramfs, a small
script replaces the rest of the boot: it starts udev, so that every PCI device meets its drivers, and runs the job.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydantic

import iommutui

from .cache import cache_dir
from .errors import HarnessError
from .tools import need

SUITE = "bookworm"
PACKAGES = {
    "initramfs-tools": "initramfs-tools,udev,kmod,python3,zstd,busybox,pci.ids",
    "dracut": "dracut,udev,kmod,python3,zstd,systemd,systemd-sysv,pci.ids",
    "systemd": "initramfs-tools,udev,kmod,python3,zstd,busybox,pci.ids,systemd-sysv,dbus,libpam-systemd,sudo",
}
_SMALL = ("etc/initramfs-tools/conf.d/quick", "MODULES=dep\nCOMPRESSLEVEL=1\n")
QUICK = {
    "initramfs-tools": _SMALL,
    "systemd": _SMALL,
    "dracut": ("etc/dracut.conf.d/quick.conf", 'hostonly="yes"\ncompress="cat"\ndo_strip="no"\n'),
}
"""The settings file for each generator, and its text."""
TARGET, TWIN = "0000:00:04.0", "0000:00:05.0"
_INIT = """\
#!/bin/sh
# Stands for everything that a boot does after the initramfs.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1
mount -o remount,rw /
modprobe -a 9pnet_virtio 9p
mkdir -p /host /job
mount -t 9p -o trans=virtio,version=9p2000.L,ro host /host
mount -t 9p -o trans=virtio,version=9p2000.L job /job
# Of dracut, /run keeps a directory of systemd as well.
[ "$(cat /proc/1/comm)" = systemd ] || /lib/systemd/systemd-udevd --daemon
udevadm trigger --type=devices --action=add --subsystem-match=pci
udevadm settle
sh /job/job.sh >/job/out 2>&1
echo $? >/job/status
dmesg >/job/dmesg
sync
mount -o remount,ro /
echo o >/proc/sysrq-trigger
sleep 60
"""


@dataclass(frozen=True)
class Boot:
    """What a boot left."""

    status: int | None
    """The job's exit status; None if the power was cut."""
    out: str
    dmesg: str
    console: str
    seconds: float

    def log_of(self, address: str) -> str:
        """The lines of the kernel log about a device."""
        return "\n".join(line for line in self.dmesg.splitlines() if address in line)

    def expect(self, *, status: int | None = 0, out: tuple[str, ...] = (), log: tuple[str, ...] = ()) -> "Boot":
        """Return the boot itself; raise HarnessError if it did not leave this."""
        wrong = [f"it ended with {self.status}"] if self.status != status else []
        wrong += [f"it did not print {word!r}" for word in out if word not in self.out]
        wrong += [f"the kernel log has no {word!r}" for word in log if word not in self.dmesg]
        if wrong:
            ours = "\n".join(line for line in self.dmesg.splitlines() if "iommutui:" in line)
            raise HarnessError(
                f"{'; '.join(wrong)}\n--- it printed\n{self.out}\n--- kernel log\n{ours}\n{self.log_of(TARGET)}\n"
                f"--- console\n{self.console[-3000:]}"
            )
        return self


class Disk:
    """A disk with Debian installed on it."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image = image
        self._folder = folder

    def boot(
        self, job: str, *, words: str = "", target: str = "e1000e", cut_off_at: str = "", timeout: float = 1800
    ) -> Boot:
        """Boot, run a shell script as root, and power off, or cut the power at a word in its output."""
        folder = self._folder / "job"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        packages = Path(pydantic.__file__).parents[1]
        shutil.copytree(Path(iommutui.__file__).parent, folder / "program/iommutui")
        (folder / "job.sh").write_text(
            # Not in the environment: the writing process ignores it.
            f"printf '%s\\n' /job/program /host{packages} >/usr/lib/python3/dist-packages/host.pth\n"
            f'iommutui() {{ python3 -m iommutui "$@"; }}\n{job}'
        )
        # Replay what a power cut left in the file system's journal, as the kernel would.
        subprocess.run(["e2fsck", "-p", self.image], stdout=subprocess.DEVNULL, check=False)
        kernel, initramfs = self._take_out("vmlinuz"), self._take_out("initrd.img")
        begin = time.monotonic()
        with _qemu(self.image, kernel, initramfs, folder, words, target) as process:
            while process.poll() is None:
                if time.monotonic() - begin > timeout:
                    raise HarnessError(f"the guest did not end; see {folder / 'console'}")
                if cut_off_at and cut_off_at in _text(folder / "out"):
                    process.kill()
                try:
                    process.wait(0.5)
                except subprocess.TimeoutExpired:
                    continue
        status = _text(folder / "status").strip()
        return Boot(
            int(status) if status else None,
            _text(folder / "out"),
            _text(folder / "dmesg"),
            _text(folder / "console"),
            time.monotonic() - begin,
        )

    def _take_out(self, kind: str) -> Path:
        """Read the kernel or the initramfs that a boot loader would take."""
        listing = subprocess.run(
            ["debugfs", "-R", "ls -p /boot", self.image], capture_output=True, text=True, check=True
        )
        names = sorted(line.split("/")[5] for line in listing.stdout.splitlines() if f"/{kind}-" in line)
        names = [name for name in names if name.endswith("amd64")]
        if not names:
            raise HarnessError(f"the disk has no /boot/{kind}-*")
        place = self._folder / kind
        subprocess.run(
            ["debugfs", "-R", f"dump /boot/{names[-1]} {place}", self.image], capture_output=True, check=True
        )
        return place


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.exists() else ""


@contextmanager
def _qemu(
    image: Path, kernel: Path, initramfs: Path, job: Path, words: str, target: str
) -> "Iterator[subprocess.Popen[bytes]]":
    command = [
        *("qemu-system-x86_64", "-machine", "q35", "-nodefaults", "-no-user-config", "-no-reboot"),
        *("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,la57=off", "-smp", "2", "-m", "1536"),
        *("-display", "none", "-vga", "none", "-serial", f"file:{job / 'console'}"),
        *("-kernel", str(kernel), "-initrd", str(initramfs)),
        *(
            "-append",
            "root=/dev/vda rw init=/sbin/guest-init console=ttyS0 panic=-1 nowatchdog no_timer_check "
            f"intel_iommu=on {words}",
        ),
        *("-device", "intel-iommu,intremap=on,device-iotlb=off"),
        *("-drive", f"file={image},if=none,id=disk,format=raw,cache=writeback"),
        *("-device", "virtio-blk-pci,drive=disk,bus=pcie.0,addr=3"),
        *("-device", f"{target},bus=pcie.0,addr=4", "-device", "e1000e,bus=pcie.0,addr=5"),
        *("-fsdev", f"local,id=job,path={job},security_model=none", "-device", "virtio-9p-pci,fsdev=job,mount_tag=job"),
        *("-fsdev", "local,id=host,path=/,security_model=none,multidevs=remap,readonly=on"),
        *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
    ]
    with open(job / "qemu", "wb") as messages, subprocess.Popen(command, stdout=messages, stderr=messages) as process:
        try:
            yield process
        finally:
            process.kill()


def install(tool: str, folder: Path) -> Disk:
    """Make a fresh disk from a tree that debootstrap installed once; HarnessError says what is missing."""
    for program in ("debootstrap", "mke2fs", "debugfs", "qemu-system-x86_64"):
        need(program)
    tree = cache_dir() / "installed" / f"{SUITE}-{tool}"
    if not tree.exists():
        new = tree.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.parent.mkdir(parents=True, exist_ok=True)
        # The kernel comes last: debootstrap takes initramfs-tools as its dependency, and here dracut replaces it.
        for words in (
            ("debootstrap", "--variant=minbase", "--merged-usr", f"--include={PACKAGES[tool]}", SUITE, new),
            ("chroot", new, "apt-get", "install", "-qq", "--no-install-recommends", "linux-image-amd64"),
        ):
            done = subprocess.run(["nice", "-n", "10", *words], capture_output=True, text=True)
            if done.returncode:
                raise HarnessError(f"{words[0]} failed: {(done.stdout + done.stderr)[-400:]}")
        new.rename(tree)
    init = tree / "usr/sbin/guest-init"
    init.write_text(_INIT)
    init.chmod(0o755)
    # Only what this machine needs: all modules of Debian take ten minutes without KVM.
    place, text = QUICK[tool]
    (tree / place).write_text(text)
    image = folder / "disk.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(image), "2500M"], check=True)
    return Disk(image, folder)
