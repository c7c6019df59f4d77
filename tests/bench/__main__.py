"""``make bench``: print each budget and its measured ratio; exit with 1 if one is exceeded.

``python -m tests.bench listing`` measures one part: ``listing``, ``pastes``, ``engine``, ``screen`` or ``typing``.
"""

import compileall
import sys
import tempfile
from pathlib import Path

from tests.bench.budgets import engine, listing, pastes, screen, typing
from tests.bench.measure import Ratio, need


def main() -> int:
    """Runs the named parts, or all; the trees are in a temporary folder."""
    parts = {part.__name__: part for part in (listing, pastes, engine, screen, typing)}
    if not parts.keys() >= set(sys.argv[1:]):
        sys.exit(f"The parts are {', '.join(parts)}.")
    need("pciutils", "lspci")
    compileall.compile_dir(Path(__file__).parents[2] / "iommutui", quiet=1)
    ratios: list[Ratio] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or parts:
            for ratio in parts[name](Path(folder)):
                print(
                    f"{'ok  ' if ratio.met else 'OVER'} {ratio.what}: {ratio.ours} beside {ratio.reference}, "
                    f"ratio {ratio.value:.2f}, budget {ratio.budget:.2f}",
                    flush=True,
                )
                ratios.append(ratio)
    missed = sum(not ratio.met for ratio in ratios)
    print(f"{len(ratios) - missed} budgets met, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
