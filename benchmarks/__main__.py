"""Runs the benchmarks and prints one table: ``make bench``, or ``make bench ARGS=--quick``.

Every row is measured beside its comparison in the same run, because absolute times of a shared
machine say little. ``--write`` puts the table and the machine into ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BENCHES = (
    "bench_probe", "bench_gpu", "bench_ssh", "bench_fleet", "bench_screen", "bench_plots",
    "bench_record", "bench_start", "bench_audit", "bench_isolation", "bench_guard",
    "bench_soak",
)  # fmt: skip
LONG = ("bench_soak",)
"""Not in a short run, unless named."""
README = Path(__file__).parent / "README.md"
MARK = re.compile(r"(<!-- results -->\n).*(<!-- end -->)", re.DOTALL)


def number(value: Any) -> str:
    """Three significant digits, or the text itself."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def row(result: dict[str, Any]) -> str:
    """One line of the Markdown table."""
    cells = [
        str(result["name"]),
        f"{number(result.get('ours'))} {result.get('unit', '')}".strip(),
        f"{number(result.get('other'))} {result.get('versus', '')}".strip(),
        number(result.get("ratio")),
        number(result.get("reach")),
        number(result.get("ok")),
    ]
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def table(results: Iterable[dict[str, Any]]) -> str:
    """The whole Markdown table."""
    head = (
        "| what | ours | comparison | ratio | reach | met |\n| --- | --- | --- | --- | --- | --- |"
    )
    return "\n".join([head, *map(row, results)])


def machine() -> str:
    """The machine in one sentence, without names of people or hosts."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {os.cpu_count()} cores ({model}), "
        f"{total:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"
    )


def collect(names: Iterable[str], quick: bool) -> list[dict[str, Any]]:
    """Run the named modules one after the other; a failure ends the run."""
    results: list[dict[str, Any]] = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        results += importlib.import_module(f"benchmarks.{name}").run(quick)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return results


def main() -> int:
    """Exit 0 when every row that has a number to reach met it, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("bench", nargs="*", help=f"of {', '.join(BENCHES)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="short runs, noisier figures")
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
    args = parser.parse_args()
    unknown = set(args.bench) - set(BENCHES)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    short = [name for name in BENCHES if name not in LONG]
    results = collect(args.bench or (short if args.quick else BENCHES), args.quick)
    text = f"{machine()}\n\n{table(results)}\n"
    print(text)
    if args.write:
        page = README.read_text(encoding="utf-8")
        README.write_text(MARK.sub(lambda m: m[1] + "\n" + text + "\n" + m[2], page), "utf-8")
    return 0 if all(result.get("ok") is not False for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
