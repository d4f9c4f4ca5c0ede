"""How long `import l2zoo` and `l2zoo --help` take, beside bare Python and beside what they spare the user.

Every command runs in a fresh process, in turns, so that a busy moment of the machine hits all alike; the
fastest of the runs is the one least disturbed.

    python benchmarks/startup.py --runs 20
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

BARE = "python -c pass"
COMMANDS = {
    BARE: ("pass", None),
    "import l2zoo": ("import l2zoo", 0.15),
    "l2zoo --help": ("from l2zoo.cli import main; main(['--help'])", 0.4),
    "l2zoo convert": (
        "from l2zoo.cli import main; main('convert 1 --from pytorch --to keras'.split())",
        None,
    ),
    "import rich.console": ("import rich.console", None),
    "import numpy": ("import numpy", None),
}
SLOW = {"import keras": ("import keras", None)}


def seconds(code: str) -> float:
    """Wall time of a fresh Python process that runs the code."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> int:
    """Measures and prints the table; gives the number of limits that do not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="runs of each command (default: 15)")
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, (code, _limit) in COMMANDS.items():
            times[name].append(seconds(code))
    for name, (code, _limit) in SLOW.items():
        times[name] = [seconds(code), seconds(code)]

    bare = min(times[BARE])
    broken = 0
    print("| command | fastest, s | median, s | times bare Python | limit, s | |")
    print("|---|--:|--:|--:|--:|---|")
    for name, (_code, limit) in {**COMMANDS, **SLOW}.items():
        fastest, median = min(times[name]), sorted(times[name])[len(times[name]) // 2]
        holds = "" if limit is None else "holds" if fastest <= limit else "DOES NOT HOLD"
        broken += holds.startswith("DOES")
        shown = "" if limit is None else f"{limit:g}"
        print(f"| `{name}` | {fastest:.3f} | {median:.3f} | {fastest / bare:.1f} | {shown} | {holds} |")
    return broken


if __name__ == "__main__":
    sys.exit(main())
