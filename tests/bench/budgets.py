"""The budgets, one function for each subject."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from iommutui.core.errors import SourceError
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.sources import load, open_text
from iommutui.sources.snapshot import write
from tests.bench.keys import TABLE_SCRIPT, Program, keys
from tests.bench.measure import Ratio, commands, cpu, first_frames
from tests.bench.trees import address_of, busy, make_host, make_tree

HERE = Path(__file__).parent
PROGRAM = str(Path(sys.executable).with_name("iommutui"))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def listing(folder: Path) -> Iterator[Ratio]:
    """``iommutui list`` against ``lspci -nnk`` on the same tree, and against the script in many guides."""
    for count, budget, runs in ((64, 3.5, 40), (1024, 3.0, 20), (8192, 1.5, 9)):
        tree = str(make_tree(folder / f"sysfs-{count}", count))
        lspci = ["lspci", "-nnk", "-O", f"sysfs.path={tree}/bus/pci"]
        ours, reference = commands([[PROGRAM, "list", "--from", tree], lspci], runs)
        yield Ratio(f"list, {count} devices, beside lspci -nnk", _ms(ours), _ms(reference), ours / reference, budget)
        if count == 64:
            ours, script = commands([[PROGRAM, "list", "--from", tree], ["sh", str(HERE / "arch-wiki.sh"), tree]], 5)
            yield Ratio("list, 64 devices, beside the shell script", _ms(ours), _ms(script), ours / script, 1 / 8)


def pastes(folder: Path) -> Iterator[Ratio]:
    """A listing of 1 MB, with many details or many functions, against reading it and splitting it into lines."""
    details = "\tRegion 0: Memory at f0000000 (64-bit, prefetchable) [size=256M]\n" * 24
    function = "VGA compatible controller [0300]: NVIDIA Corporation GP106 [GeForce GTX 1060] [10de:1c02] (rev a1)"
    numbered = [(number, f"{number >> 8:04x}:{number & 255:02x}:00.0 {function}\n") for number in range(9_000)]
    for name, text in (
        ("lspci -vv", "".join(f"{line}\tIOMMU group: {n}\n{details}\n" for n, line in numbered[:580])),
        ("a line for each function", "".join(f"IOMMU Group {n} {line}" for n, line in numbered)),
    ):
        path = folder / "paste.txt"
        path.write_text(text)
        reference = cpu(lambda: path.read_bytes().decode().splitlines(), 9)  # noqa: B023
        ours = cpu(lambda: load(str(path)), 5)  # noqa: B023
        yield Ratio(f"opening {name}, 1 MB, beside reading it", _ms(ours), _ms(reference), ours / reference, 20.0)
    for line in ("[", '{"a":', "<device>", "01:00.0 A: b", "Slot: 01:00.0", "Linux version 5"):
        few, many = (cpu(partial(_open, f"{line}\n" * count), 3) for count in (2_000, 16_000))
        name = f"16 000 lines of {line} beside 2 000"
        yield Ratio(name, _ms(many), _ms(few), many / few, 24.0)  # 64 if every line were compared with every other


def _open(text: str) -> None:
    with suppress(SourceError):
        open_text(text)


def engine(folder: Path) -> Iterator[Ratio]:
    """Verdicts and previews of 10 000 devices, against copying the same Host's devices 100 times."""
    host = make_host(10_000)
    reference = cpu(lambda: [dict(host.devices) for _ in range(100)], 5)
    verdicts = cpu(lambda: [MODELS["dma-owner"].verdict(host, group) for group in host.groups.values()], 5)
    yield Ratio("verdict of every group, 10 000 devices", _ms(verdicts), "100 ms of CPU", verdicts / 0.1, 1.0)
    intents = [Intent(address_of(number), "vfio-pci") for number in (0, 8, 16)]
    preview = cpu(lambda: plan_intents(host, intents, MODELS["dma-owner"]), 9)
    yield Ratio("preview of one more intent, 10 000 devices", _ms(preview), "5 ms of CPU", preview / 0.005, 1.0)
    yield Ratio("preview, beside 100 copies of the devices", _ms(preview), _ms(reference), preview / reference, 1.0)


def screen(folder: Path) -> Iterator[Ratio]:
    """From spawning to the first useful frame, against a minimal Textual app."""
    programs = [([PROGRAM, "--demo"], b"09:00.0"), ([sys.executable, str(HERE / "minimal_app.py")], b"app-is-up")]
    ours, minimal = first_frames(programs, 20)
    yield Ratio("screen, spawn to first useful frame", _ms(ours), _ms(minimal), ours / minimal, 1.4)


def typing(folder: Path) -> Iterator[Ratio]:
    """From a key to the end of all it causes, against a stock DataTable with as many rows."""
    medians = {}
    for count, memory in ((64, 75), (1000, 75), (10_000, 150)):
        snapshot = folder / f"machine-{count}.json"
        write(busy(make_host(count)), str(snapshot))
        screen = Program([PROGRAM, "--from", str(snapshot)], b"00:00.")
        table = Program([sys.executable, str(HERE / "table_app.py"), str(count)], b"table-app row", TABLE_SCRIPT)
        ours, reference = keys([screen, table], folder)
        medians[count] = ours.median
        for what, value, other, budget in (
            ("a key that moves the cursor", ours.cursor, reference.cursor, 0.6),
            (f"the median of {len(ours.presses)} keys", ours.median, reference.cursor, 1.2),
            (f"the slowest dialog, {ours.slowest_dialog.key!r}", ours.slowest_dialog.cpu,
             reference.slowest_dialog.cpu, 1.0),
        ):  # fmt: skip
            yield Ratio(f"{count} devices: {what}", _ms(value), _ms(other), value / other, budget)
        peak = f"{ours.peak:.0f} MB"
        yield Ratio(f"{count} devices: memory at its highest", peak, f"{memory} MB", ours.peak / memory, 1.0)
    growth = medians[10_000] / medians[64]
    yield Ratio("keys, 10 000 devices beside 64", _ms(medians[10_000]), _ms(medians[64]), growth, 1.3)
