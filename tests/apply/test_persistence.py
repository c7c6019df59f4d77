"""Making bindings persist, on temporary trees: files, refusals, and a failure at every step."""

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from iommutui.apply.persistence import (
    SCHEMA,
    PersistRequest,
    carry_out,
    declared,
    next_boot_needs,
    parse_persist_request,
    prepare,
)
from iommutui.apply.persistence.mechanisms import (
    CONF,
    MECHANISMS,
    Entry,
    Mechanism,
    by_name,
    files_of,
    from_text,
    mechanism_of,
    to_text,
    why_not_in_force,
)
from iommutui.apply.persistence.store import Store, digest_of, run_command
from iommutui.apply.validation import to_line
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError, RefusedError
from iommutui.core.hazards import Acceptance, unaccepted
from iommutui.core.host import Claim, Host
from iommutui.core.models import model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.core.uses import Held, Network, Opener, Storage, Uses
from iommutui.demo import demo_host

CARD = Address("0000:09:00.0")
SOUND = Address("0000:09:00.1")
TOOLS = [each for each in MECHANISMS if each.commands]


class Machine:
    """A root directory with one initramfs generator, and a record of the commands run."""

    def __init__(self, path: Path, tool: str = "initramfs-tools") -> None:
        self.root, self.state = path / "root", path / "state"
        self.install(by_name(tool).program, "# reads mkinitcpio.conf.d\n")
        self.install(by_name(tool).commands[-1][0], "# reads mkinitcpio.conf.d\n")
        self.commands: list[tuple[str, ...]] = []
        self.fails = 0
        self.host = demo_host()

    def install(self, program: str, text: str = "") -> None:
        (self.root / "usr/bin").mkdir(parents=True, exist_ok=True)
        (self.root / "usr/bin" / program).write_text(text)

    @property
    def store(self) -> Store:
        return Store(self.root, self.state)

    def run(self, command: tuple[str, ...]) -> Iterator[str]:
        self.commands.append(command)
        yield "working"
        if self.fails:
            self.fails -= 1
            raise IommutuiError("the command failed.")

    def do(self, request: PersistRequest) -> list[str]:
        return list(carry_out(request, self.host, self.store, self.run))

    def files(self) -> dict[str, tuple[str, int]]:
        return {
            "/" + str(path.relative_to(self.root)): (path.read_text(), stat.S_IMODE(path.stat().st_mode))
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "/usr/bin" not in str(path)
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def persist(*intents: tuple[str, str], host: Host | None = None) -> PersistRequest:
    host = host or demo_host()
    wanted = tuple(Intent(Address(device), target) for device, target in intents)
    plan = plan_intents(host, wanted, model_for(host.kernel))
    accepted = tuple(hazard.acceptance for hazard in unaccepted(plan.hazards, ()))
    return PersistRequest(SCHEMA, wanted, plan.basis, accepted)


ALL = PersistRequest(SCHEMA, forget_all=True)
LAST = PersistRequest(SCHEMA, revert_last=True)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_persist_writes_the_files_and_unpersist_removes_them(tmp_path: Path, tool: Mechanism) -> None:
    machine = Machine(tmp_path, tool.name)
    said = machine.do(persist((CARD, "vfio-pci"), (SOUND, "vfio-pci")))
    files = machine.files()
    assert set(files) == {CONF, *(path for path, _, _ in tool.data)}
    assert [mode for path, (_, mode) in files.items() if path != CONF] == [
        mode for _, mode in sorted((path, mode) for path, _, mode in tool.data)
    ]
    assert files[CONF][1] == 0o644
    assert f"{CARD} 10de:1f08 1043:87c0 vfio-pci\n" in files[CONF][0]
    assert machine.commands == [tool.commands[-1]]
    assert said[-1] == "working"
    machine.do(ALL)
    assert machine.files() == {}
    assert not (machine.root / "etc/iommutui").exists()
    assert machine.commands == [tool.commands[-1]] * 2


def test_a_device_is_added_and_removed(machine: Machine) -> None:
    machine.do(persist((CARD, "vfio-pci")))
    machine.do(persist((SOUND, "none")))
    assert [(e.address, e.target) for e in declared(machine.store)] == [(CARD, "vfio-pci"), (SOUND, "none")]
    machine.do(PersistRequest(SCHEMA, forget=(CARD,)))
    assert [e.address for e in declared(machine.store)] == [SOUND]
    with pytest.raises(RefusedError, match="nothing is declared"):
        machine.do(PersistRequest(SCHEMA, forget=(CARD,)))


def test_persisting_the_same_twice_writes_nothing(machine: Machine) -> None:
    machine.do(persist((CARD, "vfio-pci")))
    assert machine.do(persist((CARD, "vfio-pci"))) == ["Every file is as it should be."]
    assert len(machine.commands) == 1


def test_the_last_change_is_reverted(machine: Machine) -> None:
    machine.do(persist((CARD, "vfio-pci")))
    before = machine.files()
    machine.do(persist((SOUND, "none")))
    machine.do(LAST)
    assert machine.files() == before
    machine.do(ALL)
    machine.do(LAST)
    assert machine.files() == before
    assert [e.address for e in declared(machine.store)] == [CARD]


def test_a_rebuild_that_fails_restores_the_files_and_is_run_again(machine: Machine) -> None:
    machine.fails = 1
    with pytest.raises(IommutuiError, match="The files are unchanged") as failed:
        machine.do(persist((CARD, "vfio-pci")))
    assert failed.value.exit_code == Exit.ROLLED_BACK
    assert machine.files() == {}
    assert len(machine.commands) == 2
    assert machine.store.record().finished


def test_a_rebuild_that_fails_twice_leaves_the_change_open(machine: Machine) -> None:
    machine.fails = 2
    with pytest.raises(IommutuiError) as failed:
        machine.do(persist((CARD, "vfio-pci")))
    assert failed.value.exit_code == Exit.NOT_ROLLED_BACK
    assert machine.files() == {}
    with pytest.raises(RefusedError, match="interrupted"):
        machine.do(persist((CARD, "vfio-pci")))
    machine.do(LAST)
    machine.do(persist((CARD, "vfio-pci")))


class PowerCut(BaseException):
    """A BaseException, so that no handler runs, as after a power cut."""


@pytest.mark.parametrize("after", range(8))
def test_a_power_cut_at_any_file_is_reverted(machine: Machine, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    replaced = 0
    real = os.replace

    def replace(old: str, new: str) -> None:
        nonlocal replaced
        if replaced == after:
            raise PowerCut
        replaced += 1
        real(old, new)

    monkeypatch.setattr(os, "replace", replace)
    cut = True
    try:
        machine.do(persist((CARD, "vfio-pci")))
        cut = False
    except PowerCut:
        pass
    monkeypatch.setattr(os, "replace", real)
    assert all("Made by iommutui" in text for path, (text, _) in machine.files().items() if "/." not in path)
    if cut and machine.store.record().before:
        machine.do(LAST)
    if cut:
        assert {path for path in machine.files() if "/." not in path} == set()
    assert machine.store.record().finished


@pytest.mark.parametrize("after", range(4))
def test_a_write_that_fails_restores_the_files(machine: Machine, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    written = 0
    real = os.fchmod

    def fchmod(descriptor: int, mode: int) -> None:
        nonlocal written
        written += 1
        if written == after + 2:  # the first write is the record
            raise OSError(28, "No space left on device", "a file")
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", fchmod)
    with pytest.raises(IommutuiError, match="No space left on device"):
        machine.do(persist((CARD, "vfio-pci")))
    assert machine.files() == {}
    assert machine.store.record().finished


def test_a_foreign_file_is_not_touched(machine: Machine) -> None:
    place = machine.root / "etc/initramfs-tools/hooks/iommutui"
    place.parent.mkdir(parents=True)
    place.write_text("#!/bin/sh\n")
    with pytest.raises(RefusedError, match="was not made by iommutui"):
        machine.do(persist((CARD, "vfio-pci")))
    assert list(machine.files()) == ["/etc/initramfs-tools/hooks/iommutui"]


def test_a_link_is_not_followed(machine: Machine, tmp_path: Path) -> None:
    (machine.root / "etc/iommutui").mkdir(parents=True)
    (machine.root / "etc/iommutui/persist.conf").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="was not made by iommutui"):
        machine.do(persist((CARD, "vfio-pci")))


def test_changes_other_than_those_shown_are_not_written(machine: Machine) -> None:
    request = persist((CARD, "vfio-pci"))
    shown = digest_of(prepare(request, machine.host, machine.store).changes)
    other = persist((SOUND, "vfio-pci"))._replace(shown=shown)
    with pytest.raises(RefusedError, match="no longer those shown"):
        machine.do(other)
    machine.do(request._replace(shown=shown))


def test_drift_is_refused(machine: Machine) -> None:
    request = persist((CARD, "vfio-pci"))
    machine.host = machine.host.with_device(machine.host.devices[CARD]._replace(device_id="2204"))
    with pytest.raises(RefusedError):
        machine.do(request)
    assert machine.files() == {}


def test_a_danger_has_to_be_accepted(machine: Machine) -> None:
    display = next(device.address for device in machine.host.devices.values() if device.boot_vga)
    request = persist((display, "none"))
    assert request.accepted
    with pytest.raises(RefusedError, match="not been accepted"):
        machine.do(request._replace(accepted=(Acceptance("boot-display", CARD),)))


def test_the_kernels_choice_needs_no_setting(machine: Machine) -> None:
    with pytest.raises(RefusedError, match="the kernel chooses"):
        machine.do(persist((CARD, "default")))


def test_a_plan_that_the_rules_refuse_does_not_persist(machine: Machine) -> None:
    with pytest.raises(RefusedError, match="do not permit"):
        machine.do(persist((CARD, "e1000e"))._replace(basis=None))


def test_systems_without_a_supported_generator_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="No initramfs generator"):
        mechanism_of(tmp_path)
    for mark, words in (("etc/NIXOS", "NixOS"), ("run/ostree-booted", "ostree")):
        place = tmp_path / mark.partition("/")[0] / mark
        (place / mark).parent.mkdir(parents=True)
        (place / mark).touch()
        with pytest.raises(RefusedError, match=words):
            mechanism_of(place)


def test_mkinitcpio_has_to_read_its_drop_in_files(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "mkinitcpio")
    preset = machine.root / "etc/mkinitcpio.d/linux.preset"
    preset.parent.mkdir(parents=True)
    preset.write_text('#ALL_config="/etc/mkinitcpio.conf"\nPRESETS=(default)\n')
    assert mechanism_of(machine.root).command(machine.root) == ("mkinitcpio", "-P")
    preset.write_text("PRESETS=(default)\nALL_config='/etc/mkinitcpio.conf'\n")
    with pytest.raises(RefusedError, match=r"/etc/mkinitcpio.d/linux.preset, line 2"):
        mechanism_of(machine.root)
    machine.install("mkinitcpio", "#!/bin/bash\n")
    with pytest.raises(RefusedError, match="older than 36"):
        mechanism_of(machine.root)


@pytest.mark.parametrize(("tool", "program"), [("mkinitcpio", "limine-mkinitcpio"), ("dracut", "dracut-rebuild")])
def test_a_distributions_own_command_is_used(tmp_path: Path, tool: str, program: str) -> None:
    machine = Machine(tmp_path, tool)
    machine.install(program)
    machine.do(persist((CARD, "vfio-pci")))
    assert machine.commands == [(program,)]


def test_dracut_comes_first_if_debian_uses_it(machine: Machine) -> None:
    machine.install("dracut")
    assert mechanism_of(machine.root).name == "initramfs-tools"
    hook = machine.root / "etc/kernel/postinst.d/dracut"
    hook.parent.mkdir(parents=True)
    hook.touch()
    assert mechanism_of(machine.root).name == "dracut"


def test_driverctl_writes_its_own_files(machine: Machine) -> None:
    request = persist((CARD, "vfio-pci"))._replace(driverctl=True)
    with pytest.raises(RefusedError, match="driverctl is not installed"):
        machine.do(request)
    machine.install("driverctl")
    machine.do(request)
    machine.do(persist((SOUND, "none"))._replace(driverctl=True))
    assert {path: text for path, (text, _) in machine.files().items()} == {
        f"/etc/driverctl.d/pci-{CARD}": "vfio-pci\n",
        f"/etc/driverctl.d/pci-{SOUND}": "none\n",
    }
    assert machine.commands == []
    with pytest.raises(RefusedError, match="now uses driverctl"):
        machine.do(persist((CARD, "vfio-pci")))
    (machine.root / f"etc/driverctl.d/pci-{SOUND}").write_text("nouveau\n")
    with pytest.raises(RefusedError, match="was changed since"):
        machine.do(ALL)


USES = [
    (Storage(CARD, Held.MOUNT, ("/", "/home"), ("nvme0n1p2",)), "/ is on it"),
    (Storage(CARD, Held.MOUNT, ("/usr",), ("nvme0n1p2",)), "/usr is on it"),
    (Storage(CARD, Held.REMOTE, ("/",), ("server:/", "eth0")), "/ comes through it (/ ← server:/ ← eth0)"),
    (Storage(CARD, Held.MOUNT, ("/boot",), ("md0", "sda1")), "/boot is on it"),
    (Storage(CARD, Held.MOUNT, ("/boot/efi",), ("nvme0n1p1",)), "/boot/efi is on it"),
    (Storage(CARD, Held.MOUNT, ("/mnt/usr",), ("nvme0n1p2",)), None),
    (Storage(CARD, Held.MOUNT, ("/data",), ("dm-0 (data)", "sda")), "/etc/fstab requires /data"),
    (Storage(CARD, Held.MOUNT, ("/luks",), ("dm-1 (luks-home)", "sda")), "/etc/crypttab opens luks-home"),
    (Storage(CARD, Held.STACK, ("dm-1 (luks-home)",), ("sda",)), "/etc/crypttab opens luks-home"),
    (Storage(CARD, Held.FSTAB, ("/my disk",), ("sdb",)), "/etc/fstab requires /my disk, without nofail: 'UUID=4"),
    (Storage(CARD, Held.FSTAB, ("[SWAP]",), ("sdb",)), "/etc/fstab requires [SWAP]"),
    (Storage(CARD, Held.SWAP, ("[SWAP]",), ("sda3",)), "swap"),
    (Storage(CARD, Held.DISK, ("sdf",), ("sdf1 (ext4)", "sdf3 (swap)")), "resume= on the kernel's command line"),
    (Storage(CARD, Held.DISK, ("sdg",), ("sdg1 (ext4)", "sdg3 (swap)")), None),
    (Storage(CARD, Held.POOL, ("tank",), ("sda",)), "the pool tank"),
    (Storage(CARD, Held.MOUNT, ("/games",), ("sdc1",)), None),
    (Storage(CARD, Held.MOUNT, ("/later",), ("sdc2",)), None),
    (Storage(CARD, Held.MOUNT, ("/auto",), ("sdc3",)), None),
    (Storage(CARD, Held.MOUNT, ("/mnt/now",), ("sdd1",)), None),
    (Storage(CARD, Held.MOUNT, ("/mnt/now",), ("dm-2 (luks-backup)", "sdd1")), None),
    (Storage(CARD, Held.DISK, ("sde",), ("ext4",)), None),
]
TABLES = {
    "fstab": "# /games is not needed\nUUID=1 / ext4 defaults 0 1\nUUID=2 /data ext4 defaults 0 2\n"
    "UUID=3 /games ext4 defaults,nofail 0 2\nUUID=4 /my\\040disk ext4 defaults 0 2\nshort\n"
    "UUID=7 none swap sw 0 0\nUUID=8 /later ext4 noauto 0 0\nUUID=9 /auto ext4 x-systemd.automount 0 0\n",
    "crypttab": "luks-home UUID=5 none luks\nluks-backup UUID=6 none luks,nofail\n",
}


@pytest.mark.parametrize(("use", "why"), USES, ids=[f"{use.held}{use.what}" for use, _ in USES])
def test_devices_that_the_next_boot_needs_are_named(tmp_path: Path, use: Storage, why: str | None) -> None:
    (tmp_path / "etc").mkdir()
    for name, text in TABLES.items():
        (tmp_path / "etc" / name).write_text(text)
    host = demo_host()._replace(uses=Uses(storage=(use,)), cmdline="quiet resume=/dev/sdf3")
    plan = plan_intents(host, [Intent(CARD, "vfio-pci")], model_for(host.kernel))
    found = list(next_boot_needs(host, plan.goals, tmp_path))
    assert len(found) == (why is not None)
    assert why is None or why in found[0]
    other = plan_intents(host, [Intent(SOUND, "none")], model_for(host.kernel))
    assert list(next_boot_needs(host, other.goals, tmp_path)) == []


def using(machine: Machine, use: Storage, fstab: str = "") -> Machine:
    (machine.root / "etc").mkdir(exist_ok=True)
    (machine.root / "etc/fstab").write_text(fstab)
    machine.host = machine.host._replace(uses=Uses(storage=(use,)))
    return machine


def test_a_device_that_the_next_boot_needs_cannot_persist_elsewhere(machine: Machine) -> None:
    line = "UUID=1 /data ext4 defaults 0 2"
    using(machine, Storage(CARD, Held.MOUNT, ("/data",), ("sda1",)), f"{line}\n")
    with pytest.raises(RefusedError, match=f"The next boot needs {CARD}: /etc/fstab requires /data.*{line}"):
        machine.do(persist((CARD, "vfio-pci"), host=machine.host))
    assert CONF not in machine.files()


def test_a_disk_mounted_only_now_may_persist_once_accepted(machine: Machine) -> None:
    using(machine, Storage(CARD, Held.MOUNT, ("/data",), ("sda1",)))
    request = persist((CARD, "vfio-pci"), host=machine.host)
    assert Acceptance("disk-mounted", CARD) in request.accepted
    with pytest.raises(RefusedError, match=r"1 danger has not been accepted. .*umount /data"):
        machine.do(request._replace(accepted=()))
    machine.do(request)
    assert [entry.address for entry in declared(machine.store)] == [CARD]


def test_a_device_that_a_process_has_open_may_persist(machine: Machine) -> None:
    host = machine.host
    card = host.devices[CARD]
    host = host.with_device(card._replace(driver="nvidia"))
    machine.host = host._replace(uses=Uses(openers=(Opener(CARD, "Xorg", 1, "/dev/nvidia0"),)))
    plan = plan_intents(machine.host, [Intent(CARD, "vfio-pci")], model_for(host.kernel))
    assert not plan.permitted
    machine.do(persist((CARD, "vfio-pci"), host=machine.host))
    assert [entry.address for entry in declared(machine.store)] == [CARD]


def test_a_device_that_a_virtual_machine_has_may_persist_elsewhere(machine: Machine) -> None:
    host = machine.host
    group = host.group_of(CARD)
    assert group is not None
    host = host.with_device(host.devices[CARD]._replace(driver="vfio-pci"))
    machine.host = host.with_group(group._replace(claim=Claim("vm1", opened=(CARD,))))
    machine.do(persist((CARD, "none"), host=machine.host))
    assert [entry.target for entry in declared(machine.store)] == ["none"]


def test_a_virtual_function_persists_only_with_driverctl(machine: Machine) -> None:
    machine.install("driverctl")
    machine.host = machine.host.with_device(machine.host.devices[CARD]._replace(physfn=Address("0000:08:00.0")))
    request = persist((CARD, "vfio-pci"), host=machine.host)
    with pytest.raises(RefusedError, match="a virtual function is created only after"):
        machine.do(request)
    machine.do(request._replace(driverctl=True))


@pytest.mark.parametrize(
    "word", ["root=/dev/nfs", "nfsroot=10.0.0.1:/x", "netroot=iscsi:@10.0.0.1::3260::x", "boot=nfs"]
)
def test_the_card_that_leads_to_the_root_is_needed(tmp_path: Path, word: str) -> None:
    def needs(cmdline: str, *, address: bool = True) -> list[str]:
        uses = Uses(network=(Network(CARD, ("br0", "eth0"), address=address),))
        host = demo_host()._replace(uses=uses, cmdline=cmdline)
        plan = plan_intents(host, [Intent(CARD, "vfio-pci")], model_for(host.kernel))
        return list(next_boot_needs(host, plan.goals, tmp_path))

    assert needs(f"quiet {word}") == [f"The next boot needs {CARD}: / may come through eth0 ({word})."]
    assert needs(f"quiet {word}", address=False) == []
    assert needs("quiet root=/dev/sda1") == []


def test_the_resume_device_is_found(tmp_path: Path) -> None:
    links = tmp_path / "dev/disk/by-uuid"
    links.mkdir(parents=True)
    (tmp_path / "dev/sda3").touch()
    (links / "1234-5").symlink_to("../../sda3")
    uses = Uses(storage=(Storage(CARD, Held.DISK, ("sda",), ("sda3 (swap)",)),))
    for word, named in (("resume=/dev/sda3", True), ("resume=UUID=1234-5", True), ("noresume", False)):
        host = demo_host()._replace(uses=uses, cmdline=f"quiet {word} ro")
        plan = plan_intents(host, [Intent(CARD, "vfio-pci")], model_for(host.kernel))
        found = list(next_boot_needs(host, plan.goals, tmp_path))
        assert ["means sda3" in sentence for sentence in found] == [True] * named, word


def test_an_unreadable_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "etc/fstab").mkdir(parents=True)
    with pytest.raises(RefusedError, match="/etc/fstab cannot be read"):
        list(next_boot_needs(demo_host(), (), tmp_path))


ENTRY = Entry(CARD, "10de:1f08", "1043:87c0", "vfio-pci")


def test_a_written_declaration_reads_back() -> None:
    entries = [ENTRY, Entry(SOUND, "10de:10f9", "-", "none")]
    assert from_text(to_text(entries), CONF) == entries


@pytest.mark.parametrize("line", [CARD, "09:00.0 10de:1f08 - x", f"{CARD} 10DE:1f08 - x", f"{CARD} 10de:1f08 - a/b"])
def test_an_invalid_line_is_named(line: str) -> None:
    with pytest.raises(IommutuiError, match=r"persist.conf, line 2"):
        from_text(f"# x\n{line}\n", CONF)


def test_a_binding_is_in_force_or_says_why_not() -> None:
    host = demo_host()
    card = host.devices[CARD]

    def why(host: Host, *, booted: bool = False, entry: Entry = ENTRY) -> str:
        return why_not_in_force(entry, host, booted=booted)

    assert why(host) == "it is on nouveau until the next boot"
    assert why(host, booted=True) == "it is on nouveau; the kernel log says why: dmesg | grep iommutui"
    assert why(host.with_device(card._replace(driver="vfio-pci"))) == ""
    assert "another device (10de:2204)" in why(host.with_device(card._replace(device_id="2204")))
    assert "iommutui.persist=0" in why(host._replace(cmdline="quiet iommutui.persist=0"), booted=True)
    assert "no device" in why(host._replace(devices={}))
    assert why(host.with_device(card._replace(driver=None)), entry=ENTRY._replace(target="none")) == ""


def test_a_request_has_exactly_one_purpose() -> None:
    good = persist((CARD, "vfio-pci"))
    assert parse_persist_request(to_line(good).decode()) == good
    for bad in (
        good._replace(forget_all=True), PersistRequest(SCHEMA), ALL._replace(schema=2),  # type: ignore[arg-type]
        PersistRequest(SCHEMA, forget=(Address("../../etc/passwd"),)),
        good._replace(intents=(Intent(CARD, "../x"),)),
    ):  # fmt: skip
        with pytest.raises(IommutuiError):
            parse_persist_request(to_line(bad).decode())
    with pytest.raises(IommutuiError):
        parse_persist_request('{"schema": 1, "forget_all": true, "path": "/etc/passwd"}')


def test_the_output_of_the_command_is_reported() -> None:
    lines = list(run_command(("sh", "-c", "echo one; echo two >&2; printf three")))
    assert lines[0].startswith("run sh -c")
    assert [line.strip() for line in lines[1:]] == ["one", "two", "three"]
    with pytest.raises(IommutuiError, match="ended with code 3"):
        list(run_command(("sh", "-c", "exit 3")))
    with pytest.raises(IommutuiError, match="does not start"):
        list(run_command(("/nowhere/at/all",)))


def test_a_command_that_hangs_is_given_up() -> None:
    with pytest.raises(IommutuiError, match="has not ended after 1 seconds"):
        list(run_command(("sh", "-c", "echo begun; exec sleep 600"), longest=1.0))


def test_a_command_that_hangs_without_its_output_is_given_up() -> None:
    with pytest.raises(IommutuiError, match="has not ended after 1 seconds"):
        list(run_command(("sh", "-c", "exec >&- 2>&-; exec sleep 600"), longest=1.0))


def test_a_command_ends_although_its_child_keeps_the_output_open() -> None:
    *_, child, last = run_command(("sh", "-c", "sleep 600 & echo $!; echo done"), longest=60.0)
    assert last.strip() == "done"
    os.kill(int(child), signal.SIGKILL)  # which fails if it has ended


def test_the_files_are_in_the_package() -> None:
    for tool in TOOLS:
        assert all(file.text for file in files_of(tool, [ENTRY]))
