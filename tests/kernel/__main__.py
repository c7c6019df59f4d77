"""Command line of the guest harness."""

import argparse
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import build, guest, kernels, persist, qemu, sessions, suite, topology
from .errors import HarnessError

EVERY = (*kernels.NAMES, *build.BUILT)
"""The names of all kernels."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.kernel", description="Run things on real kernels in QEMU.")
    actions = parser.add_subparsers(dest="action", required=True)

    fetch = actions.add_parser("fetch", help="download kernels")
    fetch.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(kernels.NAMES)} (default: all)")

    make = actions.add_parser("build", help="build a kernel that Debian does not offer (20 minutes of two processors)")
    make.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(build.BUILT)} (default: all)")

    actions.add_parser("list", help="show kernels and topologies")

    run = actions.add_parser("run", help="run a command as root in a guest")
    run.add_argument("-k", "--kernel", default="bookworm", choices=EVERY)
    run.add_argument("-t", "--topology", default="simple", choices=topology.TOPOLOGIES)
    run.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds, 0 for none (default: 600)")
    run.add_argument("--job", type=Path, metavar="DIR", help="directory the guest can write to, at the same path")
    run.add_argument("--iommu", default="intel", choices=qemu.IOMMUS)
    run.add_argument("--tty", action="store_true", help="give this terminal to the command")
    run.add_argument("--no-udev", action="store_true", help="no device gets its native driver by itself")
    run.add_argument("--preload", default=" ".join(guest.DEFAULT_PRELOAD), metavar="MODULES", help="'' for none")
    run.add_argument("--smp", type=int, default=1, help="processors (default: 1)")
    run.add_argument("--mem", type=int, default=1536, metavar="MIB", help="memory (default: 1536)")
    run.add_argument("--timing", action="store_true", help="say how long things took")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")

    test = actions.add_parser(
        "test",
        help="run tests/kernel/inside on kernels",
        epilog="All else goes to pytest; what comes after -- does so even if it looks like one of these.",
        allow_abbrev=False,
    )
    test.add_argument("-k", "--kernel", action="append", choices=EVERY, help="default: all that are there")
    test.add_argument("--iommu", choices=["intel", "amd"], help="default: intel")
    test.add_argument("--brief", action="store_true", help="half an hour: the rules everywhere, the rest on one kernel")
    test.add_argument("-t", "--topology", default="gpu", choices=topology.TOPOLOGIES)
    test.add_argument("--timeout", type=float, default=2700, metavar="S", help="seconds for each kernel")
    test.add_argument(
        "--at-once", type=int, default=min(os.cpu_count() or 1, 4), metavar="N", help="guests at work side by side"
    )
    test.add_argument("--job", type=Path, metavar="DIR", help="keep what the guests write in DIR/KERNEL")
    lasting = actions.add_parser("persist", help="a Debian on a disk, from one boot to the next; takes half an hour")
    lasting.add_argument("tool", nargs="?", default="initramfs-tools", choices=persist.STORIES)
    actions.add_parser("sessions", help="a countdown when systemd ends what asked for it; takes ten minutes")
    return parser


def _fetch(names: list[str]) -> int:
    for name in names or kernels.NAMES:
        kernel = kernels.fetch(name)
        print(f"{name:10} {kernel.release:26} {kernel.directory}")
    return 0


def _build(names: list[str]) -> int:
    for name in names or build.BUILT:
        kernel = build.build(name)
        print(f"{name:10} {kernel.release:26} {kernel.directory}")
    return 0


def _kernel(name: str) -> kernels.Kernel:
    return build.build(name) if name in build.BUILT else kernels.fetch(name)


def _list() -> int:
    for name in EVERY:
        kernel = kernels.cached(name)
        missing = "not built" if name in build.BUILT else "not fetched"
        print(f"kernel   {name:10} {kernel.release if kernel else missing}")
    for name in topology.TOPOLOGIES:
        print(f"topology {name:10} {topology.describe(name)}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise HarnessError("no command given")
    with ExitStack() as stack:
        job = arguments.job or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iommutui-job-")))
        options = guest.Options(
            kernel=_kernel(arguments.kernel),
            topology=arguments.topology,
            command=tuple(command),
            job=job.resolve(),
            timeout=arguments.timeout or None,
            iommu=arguments.iommu,
            terminal=arguments.tty,
            udev=not arguments.no_udev,
            preload=tuple(arguments.preload.replace(",", " ").split()),
            processors=arguments.smp,
            memory=arguments.mem,
        )
        result = guest.run(options)
    if result.status is None:
        why = f"did not end within {arguments.timeout:g} s" if result.timed_out else "died"
        print(f"{result.last_words}\nguest: {arguments.kernel} {why}", file=sys.stderr)
    if arguments.timing or result.status is None:
        uptimes = " ".join(f"{name}={seconds:.1f}" for name, seconds in result.timing.items())
        print(f"guest: {result.seconds:.1f} s; guest's uptime at: {uptimes}", file=sys.stderr)
    return result.exit_status


def _test(arguments: argparse.Namespace, pytest_arguments: list[str]) -> int:
    if arguments.brief:
        tests = {each: files for each, files in suite.BRIEF.items() if each.kernel in (arguments.kernel or EVERY)}
    else:
        tests = {each: suite.default_tests(each) for each in suite.guests(arguments.kernel, arguments.iommu)}
    with ExitStack() as stack:
        jobs = arguments.job or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iommutui-job-")))
        timeout = arguments.timeout or None
        return suite.run(tests, arguments.topology, jobs.resolve(), timeout, pytest_arguments, arguments.at_once)


def main(words: list[str]) -> int:
    """Run the command in ``words`` and return the exit status."""
    parser = _parser()
    rest: list[str] = []
    if words[:1] == ["test"]:
        cut = words.index("--") if "--" in words else len(words)
        arguments, rest = parser.parse_known_args(words[:cut])
        rest += words[cut + 1 :]
    else:
        arguments = parser.parse_args(words)
    # Raise an exception, so that no guest is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if arguments.action == "fetch":
            return _fetch(arguments.names)
        if arguments.action == "build":
            return _build(arguments.names)
        if arguments.action == "list":
            return _list()
        if arguments.action == "run":
            return _run(arguments)
        if arguments.action == "persist":
            return persist.run(arguments.tool)
        if arguments.action == "sessions":
            return sessions.run()
        return _test(arguments, rest)
    except HarnessError as problem:
        print(f"guest: {problem}", file=sys.stderr)
        return guest.DIED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
