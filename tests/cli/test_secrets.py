"""No output that is meant to be shared contains a secret of the machine's owner."""

import os
import subprocess
from pathlib import Path

import pytest

from iommutui.apply.boots import remember
from iommutui.core.models import model_for
from iommutui.export import FORMATS
from iommutui.sources import load
from iommutui.sources.snapshot import dump
from iommutui.tui.pages.copies import copies
from iommutui.tui.state import AppState, Key, Source, SourceKind
from tests.cli.conftest import Run
from tests.sources.used import A, B, C, Machine

SCRIPT = Path(__file__).parents[2] / "iommutui/sources/capture.sh"

MAC = "a1:1c:e0:00:00:01"
SECRETS = {
    "serial number of a device": "SER-4711-0815",
    "serial number in vital product data": "VPD-0xSN99",
    "device serial number": "a1-1c-e0-ff-ff-00-00-01",
    "MAC": MAC,
    "MAC in a name": "a11ce0000001",
    "UUID of a file system": "5eed0000-1111-2222-3333-444455556666",
    "UUID of a disk": "d15cd15c",
    "host": "carols-box",
    "user": "carol",
    "mount point": "carols-movies",
    "volume": "vg_carol-lv",
    "pool": "carolpool",
    "array": "md_carols",
    "key file": "/keys/usb.key",
    "password": "hunter2",
    "address of the network": "10.11.12.13",
    "target of iSCSI": "iqn.2024-01.org.carol",
    "interface": "carolnet0",
    "bridge": "br-carol",
    "program": "carol-miner",
    "keyboard": "Carols Keyboard",
    "settings": "carol.conf",
}
CMDLINE = (
    f"BOOT_IMAGE=/vmlinuz root=UUID={SECRETS['UUID of a file system']} ro quiet intel_iommu=on vfio-pci.ids=8086:1533 "
    f"rd.luks.uuid=luks-{SECRETS['UUID of a disk']} rd.luks.key={SECRETS['key file']} rd.lvm.lv={SECRETS['volume']} "
    f"cryptdevice=UUID={SECRETS['UUID of a disk']}:{SECRETS['volume']} "
    f"ip={SECRETS['address of the network']}::eth0:dhcp "
    f"netroot=iscsi:{SECRETS['user']}:{SECRETS['password']}@{SECRETS['address of the network']}::::"
    f"{SECRETS['target of iSCSI']} zfs=rpool/{SECRETS['pool']} systemd.hostname={SECRETS['host']} "
    f"ifname=eth0:{MAC} drm.edid_firmware=edid/{SECRETS['user']}.bin -- {SECRETS['user']} {SECRETS['password']}"
)


def machine(root: Path) -> str:
    """A tree with a secret in every place that can hold one."""
    root.mkdir()
    made = Machine(root)
    tree, place = made.tree, made.tree.place
    disk = made.disk(A, "nvme0n1", "259:0")
    for path in (disk / "serial", disk.parent / "serial", place(A) / "serial_number", place(B) / "serial_number"):
        path.write_text(SECRETS["serial number of a device"] + "\n")
    (place(A) / "vpd").write_bytes(
        b"\x82\x05\0Cards\x90\x0e\0SN\x0a" + SECRETS["serial number in vital product data"].encode()
    )
    (place(A) / "label").write_text(SECRETS["host"])
    config = bytearray(4096)
    config[0x100:0x10C] = bytes.fromhex("03000100") + bytes.fromhex(SECRETS["device serial number"].replace("-", ""))
    (place(C) / "config").write_bytes(config)
    made.mapping("dm-0", "254:0", "nvme0n1", dm_name=SECRETS["volume"], dm_uuid=f"CRYPT-{SECRETS['UUID of a disk']}")
    made.mounts(
        ("254:0", f"/home/{SECRETS['user']}", f"/dev/mapper/{SECRETS['volume']}"),
        ("259:0", f"/srv/{SECRETS['mount point']}", "/dev/nvme0n1"),
    )
    made.class_device("net", SECRETS["interface"], B, {"address": MAC, "ifalias": SECRETS["user"]})
    made.class_device("net", f"enx{SECRETS['MAC in a name']}", C, {"address": MAC})
    made.class_device("net", SECRETS["bridge"], "virtual", {"address": MAC})
    made.proc(route=f"Iface Destination Gateway\n{SECRETS['interface']} 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n")
    tree.file("proc/cmdline", CMDLINE + "\n")
    tree.file("proc/sys/kernel/hostname", SECRETS["host"] + "\n").file("etc/hostname", SECRETS["host"] + "\n")
    tree.file("etc/fstab", f"/dev/mapper/{SECRETS['volume']} /srv/{SECRETS['mount point']} ext4 defaults 0 0\n")
    tree.file(f"etc/modprobe.d/{SECRETS['settings']}", "options vfio-pci ids=8086:1533\n")
    tree.file("run/udev/data/b259:0", f"E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL={SECRETS['pool']}\n")
    return os.fspath(tree)


PASTE = f"""\
{SECRETS["user"]}@{SECRETS["host"]}:~$ cat /proc/cmdline
{CMDLINE}
{SECRETS["user"]}@{SECRETS["host"]}:~$ sudo lspci -nnkvvv
01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GP106 [GeForce GTX 1060] [10de:1c02] (rev a1)
\tSubsystem: ZOTAC Device [19da:1438]
\tIOMMU group: 1
\tCapabilities: [d0] Vital Product Data
\t\tRead-only fields:
\t\t\t[SN] Serial number: {SECRETS["serial number in vital product data"]}
\tCapabilities: [140 v1] Device Serial Number {SECRETS["device serial number"]}
\tKernel driver in use: nouveau
02:00.0 Ethernet controller [0200]: Intel Corporation I210 [8086:1533]
\tDeviceName: {SECRETS["host"]}
\tIOMMU group: 2
\tKernel driver in use: igb
$ ip link
2: {SECRETS["interface"]}: <BROADCAST,UP> link/ether {MAC}
"""


LOG = f"""\
[    0.0] Linux version 6.8.0-1 ({SECRETS["user"]}@{SECRETS["host"]}) (gcc 12) #1 SMP
[    0.0] Command line: {CMDLINE}
[    0.4] pci 0000:01:00.0: [10de:1c02] type 00 class 0x030000
[    0.5] pci 0000:01:00.0: Adding to iommu group 1
[    0.5] pci 0000:02:00.0: Adding to iommu group 2
[    1.0] igb 0000:02:00.0: added PHC on eth0 {MAC}
[    1.1] igb 0000:02:00.0 {SECRETS["interface"]}: renamed from eth0
"""

NODEDEV = f"""\
<device><name>pci_0000_01_00_0</name><driver><name>nouveau</name></driver><capability type='pci'><class>0x030000</class>
<domain>0</domain><bus>1</bus><slot>0</slot><function>0</function><product id='0x1c02'>GP106</product>
<vendor id='0x10de'>NVIDIA</vendor><capability type='vpd'><fields access='readonly'>
<serial_number>{SECRETS["serial number in vital product data"]}</serial_number></fields></capability>
<iommuGroup number='1'><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></iommuGroup></capability>
</device>
<device><name>net_{SECRETS["interface"]}_{MAC}</name><parent>pci_0000_02_00_0</parent><capability type='net'>
<interface>{SECRETS["interface"]}</interface><address>{MAC}</address></capability></device>
"""

PROXMOX = f"""\
[{{"id": "0000:01:00.0", "class": "0x030000", "vendor": "0x10de", "device": "0x1c02", "iommugroup": 1,
"serial": "{SECRETS["serial number of a device"]}", "node": "{SECRETS["host"]}", "mac": "{MAC}"}}]
"""
PASTES = {"paste": PASTE, "log": LOG, "nodedev": NODEDEV, "proxmox": PROXMOX}


def source(folder: Path, kind: str, run: Run) -> str:
    """The path of the machine in one of the formats that can be opened."""
    tree = machine(folder / "tree")
    if kind == "tree":
        return tree
    path = folder / f"a-{kind}"
    if kind == "snapshot":
        path.write_text(dump(load(tree)))
    elif kind in PASTES:
        path.write_text(PASTES[kind])
    elif kind == "capture":
        done = subprocess.run(["sh", str(SCRIPT), tree], capture_output=True, text=True, check=True)
        path.write_text(done.stdout)
    return os.fspath(path)


KINDS = ("tree", "snapshot", "capture", *PASTES)
COMMANDS: dict[str, list[str]] = {
    "snapshot": ["snapshot"],
    "report": ["report"],
    "report of a device": ["report", "02:00.0"],
    "plain report": ["report", "--plain"],
    "report as JSON": ["report", "02:00.0", "--json"],
    "diff of two kernels": ["diff", "--kernel", "5.15", "--kernel", "6.8"],
    **{f"export {name}": ["export", name, "01:00.0=vfio-pci"] for name in FORMATS},
}


def leaked(text: str) -> list[str]:
    """The names of the secrets in a text."""
    return [name for name, secret in SECRETS.items() if secret.lower() in text.lower()]


def test_the_unredacted_machine_shows_its_secrets(tmp_path: Path, run: Run) -> None:
    """Otherwise the other tests here would prove nothing."""
    everything = run("snapshot", "--unredacted", "--from", source(tmp_path, "tree", run)).out
    never_recorded = {
        "serial number of a device", "serial number in vital product data", "device serial number", "keyboard",
        "bridge", "array", "program",
    }  # fmt: skip
    assert {*leaked(everything)} == {*SECRETS} - never_recorded


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_shared_output_shows_a_secret(tmp_path: Path, run: Run, command: str, kind: str) -> None:
    path = source(tmp_path, kind, run)
    answer = run(*COMMANDS[command], "--from", path)
    assert answer.code in (0, 1, 3), answer.err
    assert leaked(answer.out) == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_document_shows_secrets_of_the_command_line(tmp_path: Path, run: Run, kind: str) -> None:
    path = source(tmp_path, kind, run)
    for words in (["list"], ["why", "01:00.0"]):
        answer = run(*words, "--json", "--from", path)
        assert not {"password", "key file", "UUID of a file system", "target of iSCSI", "host"} & {*leaked(answer.out)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_diff_with_another_machine_shows_no_secret(tmp_path: Path, run: Run, demo: str, kind: str) -> None:
    path = source(tmp_path, kind, run)
    for words in ([path, demo], [demo, path, "--json"]):
        answer = run("diff", *words)
        assert answer.code == 1
        assert leaked(answer.out) == []


def test_the_script_prints_no_secret(tmp_path: Path, run: Run) -> None:
    assert leaked(Path(source(tmp_path, "capture", run)).read_text()) == []


def test_the_saved_machine_of_each_boot_contains_no_secret(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(tmp_path / "state"))
    remember(load(source(tmp_path, "tree", run)))
    (kept,) = (tmp_path / "state/boots").glob("*.json")
    assert leaked(kept.read_text()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_screen_copies_no_secret(tmp_path: Path, run: Run, kind: str) -> None:
    host = load(source(tmp_path, kind, run))
    for device in host.devices.values():
        cursor = Key(device.group, device.address)
        state = AppState(Source(SourceKind.SNAPSHOT, "x"), model_for(host.kernel), host=host, cursor=cursor)
        texts = [copy.text() for copy in copies(state)]
        assert [leaked(text) for text in texts] == [[] for _ in texts]
