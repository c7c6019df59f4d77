"""The parts of the harness that need no guest."""

import io
import lzma
import os
import stat
import subprocess
import tarfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from . import build, guest, initramfs, kernels, qemu, record, suite, topology, vfio
from .cpio import Cpio
from .errors import KernelMissingError


def read_cpio(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Parse an archive from the format's description, without the writer's code."""
    members: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = numbers[1], numbers[6], numbers[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        begin = (at + 110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return members
        members[name] = (mode, data[begin : begin + size])
        at = (begin + size + 3) // 4 * 4


class TestInitramfs:
    def test_cpio(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/script").write_bytes(b"abc")
        (tmp_path / "sub/script").chmod(0o755)
        (tmp_path / "link").symlink_to("sub/script")
        archive = Cpio()
        archive.character_device("dev/console", 5, 1)
        archive.file("/a/b/file", b"12345")
        archive.tree(tmp_path, "top/copy")
        members = read_cpio(archive.to_bytes())
        assert members["a/b/file"] == (stat.S_IFREG | 0o644, b"12345")
        assert members["top/copy/sub/script"] == (stat.S_IFREG | 0o755, b"abc")
        assert members["top/copy/link"][1] == b"sub/script"
        assert stat.S_ISCHR(members["dev/console"][0])
        names = list(members)
        assert all(os.path.dirname(n) in ("", *names[:i]) for i, n in enumerate(names)), "parents come first"

    def test_modules_are_loaded_after_what_they_need(self) -> None:
        table = initramfs.parse_modules_dep(
            "k/9p.ko.xz: k/9pnet.ko.xz k/fs-cache.ko.xz\nk/9pnet.ko.xz:\nk/fs-cache.ko.xz:\n"
        )
        assert initramfs.load_order(table, ("9p", "overlay", "9pnet")) == [
            "k/9pnet.ko.xz",
            "k/fs-cache.ko.xz",
            "k/9p.ko.xz",
        ]

    def test_module_names(self) -> None:
        assert initramfs.module_name("a/virtio-ring.ko.zst") == "virtio_ring"

    def test_a_compressed_module_is_unpacked(self, tmp_path: Path) -> None:
        (tmp_path / "m.ko.xz").write_bytes(lzma.compress(b"object"))
        assert initramfs.read_module(tmp_path / "m.ko.xz") == b"object"


def devices(name: str) -> list[dict[str, str]]:
    """Return the devices of a topology, with the model as ``model``."""
    words = topology.arguments(name)
    described = [words[i + 1] for i, word in enumerate(words) if word == "-device"]
    return [dict(part.split("=", 1) for part in f"model={text}".split(",")) for text in described]


class TestTopology:
    @pytest.mark.parametrize("name", topology.TOPOLOGIES)
    def test_ids_and_slots_are_unique(self, name: str) -> None:
        listed = devices(name)
        ids = [device["id"] for device in listed]
        assert len(set(ids)) == len(ids)
        places = [(d["bus"], d["addr"]) for d in listed if "addr" in d]
        assert len(set(places)) == len(places)
        slots = [(d["chassis"], d["slot"]) for d in listed if "chassis" in d]
        assert len(set(slots)) == len(slots)

    @pytest.mark.parametrize("name", topology.TOPOLOGIES)
    def test_every_bus_exists_and_the_slots_of_the_harness_are_free(self, name: str) -> None:
        listed = devices(name)
        buses = {d["id"] for d in listed} | {f"{d['id']}.0" for d in listed} | {topology.ROOT_BUS}
        assert {d["bus"] for d in listed if "bus" in d} <= buses
        taken = {int(d["addr"].split(".")[0], 16) for d in listed if d.get("bus") == topology.ROOT_BUS}
        assert taken.isdisjoint({0, 0x1B, 0x1C, 0x1D, 0x1F})

    def test_only_the_first_function_is_marked_multifunction(self) -> None:
        board = topology.Board()
        board.card("pcie.0", "4", "edu", "e1000")
        board.card("pcie.0", "5", "edu")
        assert [text for text in board.arguments if text != "-device"] == [
            "edu,id=dev1,bus=pcie.0,addr=4.0,multifunction=on",
            "e1000,id=dev2,bus=pcie.0,addr=4.1",
            "edu,id=dev3,bus=pcie.0,addr=5.0",
        ]

    def test_gpu_has_one_port_without_acs(self) -> None:
        assert [d["addr"] for d in devices("gpu") if d.get("disable-acs") == "on"] == ["3"]

    def test_descriptions(self) -> None:
        assert all(topology.describe(name).endswith(".") for name in topology.TOPOLOGIES)


class TestGuest:
    @pytest.fixture
    def options(self, tmp_path: Path) -> guest.Options:
        kernel = kernels.Kernel("bookworm", tmp_path)
        (kernel.root / "usr/lib/modules/6.1.0-x").mkdir(parents=True)
        return guest.Options(kernel=kernel, topology="gpu", command=("echo", "it's"), job=Path("/a b"))

    def test_job_files(self, options: guest.Options) -> None:
        files = guest.job_files(options, {"PATH": "/bin"}, os.terminal_size((90, 30)))
        assert "JOB='/a b'\n" in files["guest.conf"]
        assert "ROWS=30\n" in files["guest.conf"]
        assert "export IOMMUTUI_GUEST=gpu\n" in files["guest.sh"]
        assert "export IOMMUTUI_GUEST_INFRA='0000:00:1b.0 0000:00:1c.0 0000:00:1d.0'\n" in files["guest.sh"]
        run = subprocess.run(["sh"], input=files["guest.sh"], capture_output=True, text=True, check=True)
        assert run.stdout == "it's\n"

    @pytest.mark.parametrize(
        ("status", "timed_out", "expected"), [(0, False, 0), (7, False, 7), (None, True, 124), (None, False, 125)]
    )
    def test_exit_status(self, status: int | None, timed_out: bool, expected: int) -> None:
        assert guest.Result(status, timed_out, 1.0, {}, "").exit_status == expected

    @pytest.mark.parametrize("iommu", ["intel", "amd", "none"])
    def test_command_line(self, iommu: str) -> None:
        machine = qemu.Machine(Path("/k"), Path("/i"), Path("/j,k"), "simple", iommu, 1, 512, False, 7, 8)
        words = qemu.command(machine)
        assert ("intel-iommu,intremap=on,device-iotlb=off" in words) is (iommu == "intel")
        # It takes the first free slot, so the others have to come first.
        assert ("amd-iommu,intremap=on" in words) is (words[-1] == "amd-iommu,intremap=on") is (iommu == "amd")
        assert "tcg,thread=multi,tb-size=512" in words
        assert any("path=/j,,k," in word for word in words)
        assert {"socket,id=out,fd=7", "socket,id=err,fd=8"} <= set(words)

    def test_kernel_command_line(self) -> None:
        assert "oops=panic panic=-1" in qemu.kernel_command_line("intel")
        assert "intel_iommu=on" in qemu.kernel_command_line("intel")
        assert "intel_iommu=on" not in qemu.kernel_command_line("amd")


def test_lines_of_several_guests_stay_whole_and_carry_their_names() -> None:
    sink, lock = io.BytesIO(), threading.Lock()
    one, other = suite.Labelled("sid", sink, lock), suite.Labelled("trixie", sink, lock)
    for labelled, data in ((one, b"a"), (other, b"b\nc"), (one, b"d\n"), (other, b"")):
        labelled.write(data)
    one.close()
    other.close()
    assert sink.getvalue() == b"trixie: b\nsid: ad\ntrixie: c\n"


JUNIT = """<?xml version="1.0"?><testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10"/>
</testsuites>"""


class TestSuite:
    def test_junit(self) -> None:
        assert suite.parse_junit(JUNIT) == suite.Tally(4, 3, 3)

    @pytest.mark.parametrize(
        ("tally", "status", "timed_out", "failed"),
        [
            (suite.Tally(5, 0), 0, False, 0),
            (suite.Tally(5, 2), 1, False, 2),
            (suite.Tally(5, 0), 2, False, 1),
            (suite.Tally(5, 0), None, False, 1),
            (None, None, True, 1),
            (None, 4, False, 1),
        ],
    )
    def test_failures_count(self, tally: suite.Tally | None, status: int | None, timed_out: bool, failed: int) -> None:
        assert suite.judge(tally, guest.Result(status, timed_out, 1.0, {}, "")).failed == failed

    @pytest.mark.parametrize(("deaths", "failed"), [(0, 0), (1, 0), (2, 1)])
    def test_a_guest_that_dies_before_its_command_is_booted_again_once(
        self, deaths: int, failed: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        boots: list[int] = []

        def run(options: guest.Options, *_: object) -> guest.Result:
            options.job.mkdir(parents=True, exist_ok=True)
            boots.append(len(boots))
            if len(boots) <= deaths:
                return guest.Result(None, False, 1.0, {"root": 1.0}, "panic")
            (options.job / "junit.xml").write_text('<testsuites><testsuite tests="5"/></testsuites>')
            return guest.Result(0, False, 1.0, {"command": 9.0}, "")

        monkeypatch.setattr(kernels, "fetch", lambda name: kernels.Kernel(name, tmp_path / name))
        monkeypatch.setattr(guest, "run", run)
        (tmp_path / "sid/root/usr/lib/modules/6.1").mkdir(parents=True)
        assert suite.run({suite.Guest("sid"): ()}, "gpu", tmp_path / "jobs", None, []) == failed
        assert len(boots) == min(deaths + 1, 2)

    @pytest.mark.parametrize(("missing", "status"), [(["sid"], 0), (["sid", "trixie"], 1)])
    def test_one_missing_kernel_is_tolerated_and_two_are_not(
        self,
        missing: list[str],
        status: int,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
    ) -> None:
        def fetch(name: str) -> kernels.Kernel:
            if name in missing:
                raise KernelMissingError(name)
            (tmp_path / name / "root/usr/lib/modules/6.1").mkdir(parents=True)
            return kernels.Kernel(name, tmp_path / name)

        def run(options: guest.Options, *_: object) -> guest.Result:
            options.job.mkdir(parents=True)
            (options.job / "junit.xml").write_text('<testsuites><testsuite tests="5"/></testsuites>')
            return guest.Result(0, False, 1.0, {"command": 9.0}, "")

        monkeypatch.setattr(kernels, "fetch", fetch)
        monkeypatch.setattr(guest, "run", run)
        tests: dict[suite.Guest, Sequence[str]] = {suite.Guest(name): () for name in kernels.NAMES}
        assert suite.run(tests, "gpu", tmp_path / "jobs", None, [], 2) == status
        lines = capsys.readouterr().out.splitlines()
        assert lines[-1] == f"{5 * (4 - len(missing))} passed, 0 failed"
        assert "sid        missing" in lines

    def test_the_whole_directory_runs_unless_tests_are_named(self) -> None:
        assert suite.INSIDE in suite.pytest_command(Path("/r"), ["-x", "-k", "word"])
        one = f"{suite.INSIDE}/test_harness.py::test_tests_run_as_root"
        assert suite.INSIDE not in suite.pytest_command(Path("/r"), [one])


class TestRecord:
    @pytest.fixture
    def recording(self, tmp_path: Path) -> record.Recording:
        device = tmp_path / "sys/devices/pci0000:00/0000:00:05.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text("0x8086\n")
        (device / "config").write_bytes(bytes(range(256)) * 32)
        (device / "rom").write_bytes(b"never")
        (device / "remove").write_text("")
        (device / "remove").chmod(0o200)
        (tmp_path / "sys/bus/pci/devices").mkdir(parents=True)
        (tmp_path / "sys/bus/pci/devices/0000:00:05.0").symlink_to("../../../devices/pci0000:00/0000:00:05.0")
        (tmp_path / "sys/module/vfio_pci/drivers").mkdir(parents=True)
        (tmp_path / "sys/module/vfio_pci/drivers/pci:vfio-pci").symlink_to("../../../bus/pci/drivers/vfio-pci")
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_text("processor: 0\nvendor_id: x\n\nprocessor: 1\n")
        return record.Recorder(tmp_path, record.read_start).machine("6.1")

    def test_recorded_files(self, recording: record.Recording) -> None:
        device = "sys/devices/pci0000:00/0000:00:05.0"
        assert recording.files[f"{device}/vendor"] == b"0x8086\n"
        assert len(recording.files[f"{device}/config"]) == record.MAXIMUM
        assert recording.files["proc/cpuinfo"] == b"processor: 0\nvendor_id: x\n"
        assert recording.links["sys/bus/pci/devices/0000:00:05.0"] == "../../../devices/pci0000:00/0000:00:05.0"
        assert recording.links["sys/module/vfio_pci/drivers/pci:vfio-pci"] == "../../../bus/pci/drivers/vfio-pci"

    def test_omitted_files(self, recording: record.Recording) -> None:
        device = "sys/devices/pci0000:00/0000:00:05.0"
        assert recording.left_out[f"{device}/rom"] == "not tried"
        assert recording.left_out[f"{device}/remove"] == "write-only"
        assert recording.left_out["proc/cmdline"] == "ENOENT"
        assert recording.files.keys().isdisjoint(recording.left_out)

    def test_archive_and_directory_agree(self, recording: record.Recording, tmp_path: Path) -> None:
        record.write_directory(recording, tmp_path / "out")
        record.write_archive(recording, tmp_path / "out.tar.gz")
        with tarfile.open(tmp_path / "out.tar.gz") as archive:
            for member in archive:
                path = tmp_path / "out" / member.name
                if member.issym():
                    assert os.readlink(path) == member.linkname
                elif member.isfile():
                    content = archive.extractfile(member) or io.BytesIO()
                    assert path.read_bytes() == content.read()
                else:
                    assert path.is_dir()

    def test_a_read_that_blocks_is_given_up(self, tmp_path: Path) -> None:
        def read(path: Path) -> bytes:
            if path.name == "blocks":
                time.sleep(2)
            return record.read_start(path)

        reader = record.PatientReader(0.3, read)
        (tmp_path / "file").write_text("text")
        try:
            assert reader(tmp_path / "file") == b"text"
            with pytest.raises(FileNotFoundError):
                reader(tmp_path / "missing")
            with pytest.raises(TimeoutError):
                reader(tmp_path / "blocks")
            assert reader(tmp_path / "file") == b"text"
        finally:
            reader.close()


def test_vfio_requests_have_the_kernels_numbers() -> None:
    assert (vfio.SET_IOMMU, vfio.GROUP_GET_STATUS, vfio.GROUP_GET_DEVICE_FD) == (0x3B66, 0x3B67, 0x3B6A)


def test_a_group_without_a_node_reports_enoent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(vfio, "NODES", tmp_path)
    assert vfio.status(7) == {"node": False, "open": "ENOENT", "viable": None, "container": None}
    with vfio.Claim(7) as claim:
        assert claim.steps == {"group": 7, "open": "ENOENT"}
        assert not claim.complete


def test_every_kernel_is_a_guest_and_tests_that_depend_on_versions_run_on_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IOMMUTUI_GUEST_CACHE", str(tmp_path))
    assert [each.name for each in suite.guests(None, None)] == [*kernels.NAMES]
    assert "kernel iommufd is left out: it is not built" in capsys.readouterr().err
    (tmp_path / "kernels/iommufd").mkdir(parents=True)
    assert [each.name for each in suite.guests(None, None)] == [*kernels.NAMES, "iommufd"]
    assert [each.name for each in suite.guests(None, "intel")] == [*kernels.NAMES, "iommufd"]
    assert [each.name for each in suite.guests(["sid", "sid"], "amd")] == ["sid-amd"]
    assert set(suite.default_tests(suite.Guest("bullseye"))) < set(suite.default_tests(suite.Guest("sid")))
    assert suite.default_tests(suite.Guest("sid", "amd")) == suite.IOMMU
    assert {each.kernel for each in suite.BRIEF} == set(kernels.NAMES)
    assert all((suite.CHECKOUT / file).exists() for files in suite.BRIEF.values() for file in files)


def test_an_option_missing_from_the_configuration_is_named() -> None:
    final = "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n"
    assert build.lost_options("# words\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\nCONFIG_D=n\n", final) == []
    assert build.lost_options("CONFIG_A=n\nCONFIG_B=y\nCONFIG_E=y\n", final) == ["CONFIG_A", "CONFIG_B", "CONFIG_E"]


def test_a_guest_with_an_amd_iommu_has_no_nvme() -> None:
    assert any(word.startswith("nvme") for word in topology.arguments("gpu"))
    assert not any(word.startswith("nvme") for word in topology.arguments("gpu", "amd"))


@pytest.mark.parametrize("files", [suite.VERSIONED, suite.WHOLE, suite.IOMMU, *suite.BRIEF.values()])
def test_the_walk_comes_last_because_it_may_leave_a_device_unbound(files: Sequence[str]) -> None:
    assert [file for file in files if file in suite.WALK] == [files[-1]]
