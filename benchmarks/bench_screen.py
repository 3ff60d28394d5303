"""What the screens cost: a tick of 1,000 hosts, a key, a tab, and the first paint.

The real app over an engine that stands still until it is told, with the library's encoding of
escape sequences included: the driver counts what it would write. A tick is a new snapshot with
every row changed; the stock DataTable gets the same texts in the same number of cells.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.text import Text
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.events import Key
from textual.widgets import DataTable

from console.model.tables import Package
from console.model.view import HostView
from console.tui.app import ConsoleApp
from console.tui.crash import rare_collections
from console.tui.screens.fleet_columns import COLUMNS
from console.tui.screens.host import TABS
from console.tui.settings import Settings
from console.tui.style.look import Look
from tests.support.still_engine import StillEngine, gpu, process, view

HOSTS = 1_000
SIZE = (200, 50)
PICTURES = 4
NEVER_S = 1e9
MADE = time.time()
COLUMNS_PTY = struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0)
PLAIN_APP = """
from textual.app import App
from textual.widgets import Static
class Plain(App):
    def compose(self):
        yield Static("HOST")
Plain().run()
"""


class Meter(HeadlessDriver):
    """Counts what would go to the terminal, and tells when something went."""

    sent = 0
    wrote: asyncio.Event

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        Meter.sent += len(data.encode("utf-8", "replace"))
        Meter.wrote.set()


def fleet(seed: int, changed: float = 1.0) -> tuple[HostView, ...]:
    """1,000 hosts with eight GPUs; ``changed`` of them differ from those of another seed."""
    pick, out = random.Random(seed), []
    for number in range(HOSTS):
        rng = pick if pick.random() < changed else random.Random(number)
        load = rng.uniform(1, 90)
        made = view(f"gpu{number:04}", gpus=tuple(gpu(n, load + n) for n in range(8)))
        fast = made.fast
        assert fast is not None
        fast = msgspec.structs.replace(fast, cpu_pct=load, tx_bps=load * 1e6)
        out.append(msgspec.structs.replace(made, fast=fast, frame_at=MADE))
    return tuple(out)


class Standing(StillEngine):
    """Its clock stands too: no row changes by its age alone, so that bytes can be compared."""

    def now(self) -> float:
        return MADE


class Stock(App[None]):
    """The library's own table over the same texts."""

    def compose(self) -> ComposeResult:
        """One table."""
        yield DataTable(id="table")

    def fill(self, rows: list[list[str]]) -> None:
        """All columns with fixed widths, all rows."""
        table: DataTable[Text] = self.query_one("#table", DataTable)
        for column in COLUMNS:
            table.add_column(Text(column.title), key=column.id, width=column.width)
        for number, row in enumerate(rows):
            table.add_row(*map(Text, row), key=str(number))

    def change(self, rows: list[list[str]]) -> None:
        """Every cell anew, as Text, which is the safe form for foreign text."""
        table: DataTable[Text] = self.query_one("#table", DataTable)
        for number, row in enumerate(rows):
            for column, words in zip(COLUMNS, row, strict=True):
                table.update_cell(str(number), column.id, Text(words))


def texts(hosts: Sequence[HostView]) -> list[list[str]]:
    """What the fleet's columns show for each host."""
    look = Look()
    return [["".join(t for t, _ in c.cell(host, look)) for c in COLUMNS] for host in hosts]


async def painted() -> None:
    """Wait until something was written and nothing more follows."""
    await asyncio.wait_for(Meter.wrote.wait(), 10)
    while Meter.wrote.is_set():
        Meter.wrote.clear()
        await asyncio.sleep(0.03)


def app_over(engine: StillEngine, paint_s: float = 0.5) -> ConsoleApp:
    """The real app, on a driver that counts."""
    Meter.wrote = asyncio.Event()
    app = ConsoleApp(lambda ask: engine, Settings(title="bench", paint_s=paint_s), look=Look())
    app.driver_class = Meter
    return app


async def our_ticks(pictures: Sequence[tuple[HostView, ...]], ticks: int) -> tuple[float, float]:
    """Milliseconds of processor time, and bytes, of one tick of our fleet screen."""
    app = app_over(Standing(*pictures[0]), paint_s=NEVER_S)  # no paints but those below
    async with app.run_test(size=SIZE, headless=False) as pilot:
        await pilot.pause(0.5)
        table = app._fleet.table
        table.show(pictures[1])
        await painted()
        sent, began = Meter.sent, time.process_time()
        for number in range(ticks):
            table.show(pictures[number % len(pictures)])
            await painted()
        return (time.process_time() - began) * 1000 / ticks, (Meter.sent - sent) / ticks


async def stock_ticks(pictures: Sequence[tuple[HostView, ...]], ticks: int) -> tuple[float, float]:
    """The same for the stock table."""
    Meter.wrote = asyncio.Event()
    rows = [texts(picture) for picture in pictures]
    app = Stock(driver_class=Meter)
    async with app.run_test(size=SIZE, headless=False) as pilot:
        app.fill(rows[0])
        await pilot.pause(0.5)
        app.change(rows[1])
        await painted()
        sent, began = Meter.sent, time.process_time()
        for number in range(ticks):
            app.change(rows[number % len(rows)])
            await painted()
        return (time.process_time() - began) * 1000 / ticks, (Meter.sent - sent) / ticks


async def keys(
    presses: int, pair: tuple[str, str] = ("down", "up"), *, each: int = 100, width: int = SIZE[0]
) -> tuple[list[float], list[float]]:
    """Milliseconds from a key to the paint it causes, while snapshots come twice a second.

    Elapsed, and processor time, which other work on the machine cannot stretch; both sorted.
    ``each`` times the one key of ``pair``, then the other.
    """
    pictures = [fleet(seed) for seed in range(PICTURES)]
    engine = StillEngine(*pictures[0])
    app = app_over(engine)
    taken, worked = [], []
    async with app.run_test(size=(width, SIZE[1]), headless=False) as pilot:
        await pilot.pause(0.5)
        rng, next_tick = random.Random(1), 0.0
        for number in range(presses):
            if time.monotonic() > next_tick:
                next_tick = time.monotonic() + 0.5
                engine.show(*pictures[number % PICTURES])
            await asyncio.sleep(rng.uniform(0.01, 0.06))
            Meter.wrote.clear()
            key = pair[number // each % 2]
            began, busy = time.perf_counter(), time.process_time()
            app.post_message(Key(key, None))
            await asyncio.wait_for(Meter.wrote.wait(), 10)
            taken.append((time.perf_counter() - began) * 1000)
            worked.append((time.process_time() - busy) * 1000)
    return sorted(taken), sorted(worked)


async def tabs(times: int) -> list[float]:
    """Milliseconds from a key to the paint of another tab of a large host, the first included."""
    big = view(
        "big",
        gpus=tuple(gpu(n, 50.0) for n in range(8)),
        processes=tuple(process(n, f"worker{n}", float(n % 90)) for n in range(1, 501)),
        packages=tuple(
            Package(key=f"deb/{n}", kind="deb", name=f"package{n}", version="1")
            for n in range(2000)
        ),
    )
    taken = []
    for _ in range(times):
        app = app_over(StillEngine(big))
        async with app.run_test(size=SIZE, headless=False) as pilot:
            await pilot.pause(0.3)
            await pilot.press("enter")
            await pilot.pause(0.3)
            for number in [*range(2, len(TABS) + 1), *range(1, len(TABS) + 1)]:
                await painted_or_quiet()
                began = time.perf_counter()
                app.post_message(Key(str(number), str(number)))
                await asyncio.wait_for(Meter.wrote.wait(), 10)
                taken.append((time.perf_counter() - began) * 1000)
    return sorted(taken)


async def painted_or_quiet() -> None:
    """Let what is under way come to rest, so that the next write belongs to the next key."""
    Meter.wrote.clear()
    await asyncio.sleep(0.05)
    Meter.wrote.clear()


def first_paint(argv: list[str], env: dict[str, str], wanted: bytes) -> float:
    """Milliseconds from the start of a process on a terminal of its own until ``wanted`` is out."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, COLUMNS_PTY)
    began = time.perf_counter()
    child = subprocess.Popen(
        argv, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
    )
    os.close(slave)
    said = b""
    try:
        while wanted not in said:
            ready, _, _ = select.select([master], [], [], 15)
            if not ready:
                raise RuntimeError(f"no {wanted!r} within 15 s, but {said[-300:]!r}")
            said += os.read(master, 65_536)
        return (time.perf_counter() - began) * 1000
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        os.close(master)


def starts(times: int) -> tuple[float, float]:
    """The fastest first paint of ours and of the library's smallest app: other work only adds."""
    with tempfile.TemporaryDirectory(prefix="watchfloor-bench-") as folder:
        config = Path(folder) / "hosts.toml"
        key = Path(folder) / "key"
        key.touch(mode=0o600)
        config.write_text(
            f'[[hosts]]\nname = "gpu01"\naddress = "127.0.0.1"\nport = 1\nkey = "{key}"\n'
            'host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ'
            'fMzZ8lSLnq5T2Xk9ZNV0bO2hYyxpDqkVqf3oQO9hT2"\n',
            encoding="utf-8",
        )
        env = {**os.environ, "HOME": folder, "TERM": "xterm-256color", "PYTHONUTF8": "1"}
        env = {name: value for name, value in env.items() if not name.startswith("XDG_")}
        ours = [sys.executable, "-m", "console", "--config", str(config)]
        plain = [sys.executable, "-c", PLAIN_APP]
        first_paint(ours, env, b"gpu01")  # once to fill the file cache
        pairs = [
            (first_paint(ours, env, b"gpu01"), first_paint(plain, env, b"HOST"))
            for _ in range(times)
        ]
    return min(a for a, _ in pairs), min(b for _, b in pairs)


def row(name: str, ours: float, unit: str, reach: str, ok: bool, **more: Any) -> dict[str, Any]:
    """One result."""
    return {"name": name, "ours": ours, "unit": unit, "reach": reach, "ok": ok, **more}


def run(quick: bool) -> list[dict[str, Any]]:
    """All rows; ``quick`` takes a quarter of the samples."""
    ticks, presses, times = (6, 100, 3) if quick else (24, 400, 9)
    pictures = [fleet(seed) for seed in range(PICTURES)]
    tenth = [fleet(seed, 0.1) for seed in range(PICTURES)]
    ours, ours_bytes = asyncio.run(our_ticks(pictures, ticks))
    stock, stock_bytes = asyncio.run(stock_ticks(pictures, max(3, ticks // 4)))
    few, few_bytes = asyncio.run(our_ticks(tenth, ticks))
    stock_few, stock_few_bytes = asyncio.run(stock_ticks(tenth, max(3, ticks // 4)))
    rare_collections()  # as the program does; before it would only help the figures above
    pressed, worked = asyncio.run(keys(presses))
    _, aside = asyncio.run(keys(presses, ("right", "left"), each=3, width=100))
    switched = asyncio.run(tabs(1 if quick else 3))
    started, plain = starts(times)
    p50, p99, cpu = pressed[presses // 2], pressed[presses * 99 // 100], worked[presses * 99 // 100]
    ms, sent = {"versus": "ms, stock DataTable"}, {"versus": "bytes, stock DataTable"}
    return [
        row("screen: 1,000 rows updated and painted, all changed", ours, "ms",
            "under 1/10", ours / stock < 0.1, ratio=ours / stock, other=stock, **ms),
        row("screen: the same, a tenth changed", few, "ms",
            "under 1/10", few / stock_few < 0.1, ratio=few / stock_few, other=stock_few, **ms),
        row("screen: bytes a tick, all changed", ours_bytes, "bytes",
            "no more", ours_bytes <= stock_bytes, ratio=ours_bytes / stock_bytes,
            other=stock_bytes, **sent),
        row("screen: bytes a tick, a tenth changed", few_bytes, "bytes",
            "under 1/3", few_bytes < stock_few_bytes / 3,
            ratio=few_bytes / stock_few_bytes, other=stock_few_bytes, **sent),
        row("screen: key to paint, 1,000 hosts, p50", p50, "ms", "under 50 ms", p50 < 50),
        row("screen: key to paint, 1,000 hosts, p99", p99, "ms", "under 50 ms", p99 < 50),
        row("screen: the same in processor time, p99", cpu, "ms", "under 50 ms", cpu < 50),
        row("screen: columns aside, processor time, p99", aside[presses * 99 // 100], "ms",
            "under 50 ms", aside[presses * 99 // 100] < 50),
        row("screen: tab switch, slowest", switched[-1], "ms", "under 100 ms", switched[-1] < 100),
        row("start: process start to first paint", started, "ms", "under 400 ms", started < 400,
            ratio=started / plain, other=plain, versus="ms, the library's smallest app"),
    ]  # fmt: skip
