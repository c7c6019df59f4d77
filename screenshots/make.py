"""``python -m screenshots.make`` redraws the pictures; with ``--check`` it says which of them are stale.

It runs the real program on the built-in machine and drives it with keys.
"""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from iommutui.core.host import Host, by_address
from iommutui.demo import demo_host
from iommutui.tui.app import IommutuiApp
from iommutui.tui.machines.simulated import SimulatedMachine
from iommutui.tui.screens.review import DeliberateDialog
from iommutui.tui.state import Key, Source, SourceKind, start
from screenshots.png import is_of, png_of

FOLDER = Path(__file__).parent
AS_PNG = ("groups",)
"""Pictures that are also made as PNG."""

FONTS = "'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def without_iommu() -> Host:
    """The built-in machine with the IOMMU off."""
    host = demo_host()
    devices = by_address(device._replace(group=None) for device in host.devices.values())
    return host._replace(devices=devices, groups={}, iommus=())


def card(host: Host) -> Key:
    """The card to hand over to a virtual machine: the display that the machine did not boot on."""
    found = [d for d in host.devices.values() if (d.class_code or "").startswith("03") and not d.boot_vga]
    return Key(found[0].group, found[0].address)


class Scene(NamedTuple):
    """A picture, and the keys that lead to it with the cursor on the card to hand over."""

    name: str
    keys: tuple[str, ...]
    size: tuple[int, int] = (120, 40)
    machine: Callable[[], Host] = demo_host


SCENES = (
    Scene("groups", ()),
    Scene("why", ("K",)),
    Scene("topology", ("T",)),
    Scene("impact", ("K", "K", "K", "e")),
    Scene("models", ("M",)),
    Scene("staged", ("c",)),
    Scene("review", ("c", "a")),
    Scene("applied", ("c", "a", "y", "L")),
    Scene("targets", ("t",)),
    Scene("filter", ("slash", *"viable:no", "enter")),
    Scene("small", ("c",), (80, 24)),
    Scene("no-iommu", ("g",), (100, 30), without_iommu),
)


STORY = (
    ((), 3.0),
    (("c",), 3.5),
    (("a",), 4.0),
    (("y",), 3.0),
    (("T",), 3.0),
    (("escape", "R"), 3.0),
    (("y",), 3.0),
)
"""Freeing a card and reverting: the keys for each frame, and the seconds that it is shown."""


async def draw(scene: Scene) -> str:
    """The picture of a scene."""
    return (await frames(scene.machine, scene.size, [(scene.keys, 0.0)]))[0]


async def film() -> str:
    """The story as one animated picture."""
    seconds = [shown for _, shown in STORY]
    whole = sum(seconds)
    parts, rules, start, box = [], [], 0.0, ""
    for number, svg in enumerate(await frames(demo_host, (100, 30), STORY)):
        head, body = svg.split(">", 1)
        box = re.findall(r'viewBox="([^"]+)"', head)[0]
        begin, end = 100 * start / whole, 100 * (start + seconds[number]) / whole
        hidden = f"0%, {begin - 0.01:.2f}% {{ visibility: hidden; }} " if begin else ""
        rules.append(
            f"@keyframes f{number} {{ {hidden}{begin:.2f}%, {end - 0.02:.2f}% {{ visibility: visible; }} "
            f"{end - 0.01:.2f}%, 100% {{ visibility: hidden; }} }} "
            f".f{number} {{ visibility: hidden; animation: f{number} {whole}s step-end infinite; }}"
        )
        inner = body.rsplit("</svg>", 1)[0].replace("terminal", f"frame{number}")
        parts.append(f'<g class="f{number}">{inner}</g>')
        start += seconds[number]
    style = "\n".join(rules)
    # Viewers without animation show the first frame.
    names = ", ".join(f".f{number}" for number in range(len(parts)))
    still = (
        f".f0 {{ visibility: visible; }} @media (prefers-reduced-motion: reduce) {{ {names} {{ animation: none; }} }}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">\n<style>\n{style}\n{still}\n</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


async def frames(
    load: Callable[[], Host], size: tuple[int, int], steps: Sequence[tuple[tuple[str, ...], float]]
) -> list[str]:
    """A picture after the keys of each step."""
    machine = SimulatedMachine(Source(SourceKind.DEMO), load)
    DeliberateDialog.QUIET = 0.0  # no one has to read the reviews here
    app = IommutuiApp(machine, start(machine.source))
    app.desk.clock = lambda: "12:00:00"
    async with app.run_test(size=size) as pilot:

        async def settle() -> None:
            await pilot.pause()
            while any(not worker.is_finished for worker in app.workers):
                await app.workers.wait_for_complete()
                await pilot.pause()

        await settle()
        host = app.desk.state.host
        assert host is not None
        app.desk.update(app.desk.state._replace(cursor=card(host)))
        drawn = []
        for keys, _ in steps:
            for key in keys:
                await pilot.press(key)
                await settle()
            drawn.append(clean(app.export_screenshot(title="iommutui")))
        return drawn


RECTANGLE = re.compile(
    r'<rect fill="([^"]+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" shape-rendering="crispEdges"/>'
)
RECTANGLES = re.compile(f"(?:{RECTANGLE.pattern})+")


def _joined(run: re.Match[str]) -> str:
    """Adjacent rectangles of one colour, joined: where they meet depends on the order of painting."""
    joined: list[tuple[str, float, str, float, str]] = []
    for fill, x, y, width, height in RECTANGLE.findall(run[0]):
        if joined:
            before = joined[-1]
            if (before[0], before[2], before[4]) == (fill, y, height) and abs(before[1] + before[3] - float(x)) < 0.06:
                joined[-1] = (fill, before[1], y, float(x) + float(width) - before[1], height)
                continue
        joined.append((fill, float(x), y, float(width), height))
    return "".join(
        f'<rect fill="{fill}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" shape-rendering="crispEdges"/>'
        for fill, x, y, width, height in joined
    )


def clean(svg: str) -> str:
    """The picture without external fonts, and with stable ids."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    svg = svg.replace("font-family: arial", "font-family: sans-serif")
    svg = svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")
    svg = RECTANGLES.sub(_joined, svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> int:
    """Draws or checks every picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which pictures are stale")
    parser.add_argument("names", nargs="*", help="only these pictures")
    options = parser.parse_args()
    for name in ("NO_COLOR", "TEXTUAL_THEME"):
        os.environ.pop(name, None)
    stale = []
    pictures: dict[str, Callable[[], Coroutine[None, None, str]]] = {s.name: partial(draw, s) for s in SCENES}
    pictures["free-this-gpu"] = film
    for name, picture in pictures.items():
        if options.names and name not in options.names:
            continue
        path = FOLDER / f"{name}.svg"
        svg = asyncio.run(picture())
        if not (path.exists() and path.read_text(encoding="utf-8") == svg):
            stale.append(path.name)
            if not options.check:
                path.write_text(svg, encoding="utf-8")
        still = path.with_suffix(".png")
        if name in AS_PNG and not is_of(still, svg):
            stale.append(still.name)
            if not options.check:
                still.write_bytes(png_of(svg))
    if stale:
        print(("stale: " if options.check else "drawn: ") + ", ".join(stale))
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
