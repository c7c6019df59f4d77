"""How the harness reads Debian's archive, and its cache."""

import subprocess
from pathlib import Path

import pytest

from . import debian, kernels
from .cache import cache_dir
from .errors import HarnessError
from .tools import fresh_directory

DEB822 = """\
# first archive
Types: deb deb-src
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.test/security
 http://other.test/security
Suites: bookworm-security

Types: deb
Enabled: no
URIs: http://off.test/debian
Suites: bookworm

Types: deb-src
URIs: http://source.test/debian
Suites: bookworm
"""


class TestDebian:
    def test_deb822_sources_are_parsed(self) -> None:
        assert debian.parse_deb822_sources(DEB822) == [
            debian.Source("http://mirror.test/debian", ("bookworm", "bookworm-updates")),
            debian.Source("http://mirror.test/security", ("bookworm-security",)),
            debian.Source("http://other.test/security", ("bookworm-security",)),
        ]

    def test_one_line_sources_are_parsed(self) -> None:
        text = "# deb http://no.test x main\ndeb [arch=amd64] http://a.test/ sid main\ndeb-src http://b.test sid main\n"
        assert debian.parse_one_line_sources(text) == [debian.Source("http://a.test/", ("sid",))]

    def test_both_kinds_of_files_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "sources.list.d").mkdir()
        (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
        (tmp_path / "sources.list").write_text("deb http://c.test sid main\n")
        uris = [source.uri for source in debian.configured_sources(tmp_path)]
        assert uris[0] == "http://mirror.test/debian"
        assert uris[-1] == "http://c.test"

    @pytest.mark.parametrize(
        ("suite_name", "places"),
        [
            ("trixie", ["http://mirror.test/debian trixie", "http://mirror.test/security trixie-security"]),
            ("sid", ["http://mirror.test/debian sid"]),
        ],
    )
    def test_the_machines_mirrors_are_used_for_other_suites(self, suite_name: str, places: list[str]) -> None:
        text = debian.sources_for(suite_name, debian.parse_deb822_sources(DEB822), "bookworm")
        assert [line.split("] ")[-1].removeprefix("deb ") for line in text.splitlines()] == [
            f"{p} main" for p in places
        ]

    def test_a_missing_mirror_is_an_error(self) -> None:
        with pytest.raises(HarnessError):
            debian.sources_for("sid", [], "bookworm")

    def test_depends_takes_the_first_alternative(self) -> None:
        record_text = (
            "Package: a\nPre-Depends: z\nDepends: dracut | tools (>= 0.1), linux-binary-7.2 (= 7.2-1), kmod:any\n"
        )
        assert debian.parse_depends(record_text) == ["dracut", "linux-binary-7.2", "kmod"]
        assert debian.parse_depends("Package: a\n") == []

    def test_the_packages_of_a_kernel_are_recognised(self) -> None:
        assert kernels.is_part_of_kernel("linux-modules-7.2.13+deb14-amd64")
        assert not kernels.is_part_of_kernel("linux-base")
        assert not kernels.is_part_of_kernel("initramfs-tools")

    def test_a_failing_action_is_retried_and_its_last_error_raised(self) -> None:
        calls: list[int] = []

        def action() -> int:
            calls.append(1)
            if len(calls) < 3:
                raise subprocess.CalledProcessError(100, "apt-get")
            return len(calls)

        assert debian.persist(action, pause=0) == 3
        with pytest.raises(subprocess.CalledProcessError):
            debian.persist(lambda: subprocess.run(["false"], check=True), pause=0)


def test_the_environment_sets_the_cache_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.delenv("IOMMUTUI_GUEST_CACHE", raising=False)
    assert cache_dir() == Path("/x/iommutui-guests")
    monkeypatch.setenv("IOMMUTUI_GUEST_CACHE", "/y")
    assert cache_dir() == Path("/y")


def test_a_directory_appears_only_when_complete(tmp_path: Path) -> None:
    def fail() -> None:
        with fresh_directory(tmp_path / "d") as work:
            (work / "half").touch()
            raise HarnessError("no more")

    with pytest.raises(HarnessError, match="no more"):
        fail()
    assert not (tmp_path / "d").exists()
    with fresh_directory(tmp_path / "d") as work:
        (work / "whole").touch()
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["whole"]
