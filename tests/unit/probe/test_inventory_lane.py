"""The inventory lane: a source that never answers stops itself and nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from console.hostside.probe import inventory, inventory_lane
from console.hostside.probe.denied import Denied
from console.hostside.probe.frames import Board
from console.hostside.probe.happen import Events, Troubles
from console.hostside.probe.inventory import child
from console.hostside.probe.inventory_lane import Context, InventoryLane
from console.hostside.probe.place import Place
from tests.support.inventory import context

Steps = Iterator[tuple[Any, ...]]


class House:
    """A lane with a clock that is moved by hand."""

    def __init__(self, steps: Callable[[Context], Steps]) -> None:
        self.now = 100.0
        self.place = Place(mono=lambda: self.now)
        self.denied = Denied()
        self.events = Events(self.place)
        self.board = Board(self.place, self.events, self.denied, {})
        troubles = Troubles(self.place, self.events)
        self.context = context(self.place)
        self.lane = InventoryLane(
            self.place, self.board, self.denied, troubles, steps, self.context
        )

    def until(self, condition: Callable[[], bool]) -> None:
        """Step, as the loop does when the lane is due, until ``condition`` holds."""
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            self.now = max(self.now, self.lane.due())
            self.lane.step()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_results_reach_the_board_and_the_next_run_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(_: Context) -> Steps:
        yield ("section", "os", {"id": "x"})
        yield ("table", "models", [["a/1", "a"]])
        yield ("denied", "models", "root")

    house = House(steps)
    house.until(lambda: "models" in house.denied.whole())
    began = house.now
    house.until(lambda: house.lane.due() > house.now + 100)
    assert "models" in house.board.tables
    assert house.lane.due() == pytest.approx(began + inventory_lane.PERIOD_S, abs=5)
    house.lane.soon()
    assert house.lane.due() <= house.now + inventory_lane.PAUSE_S
    house.lane.stop()


def test_a_source_that_hangs_is_left_out_until_it_answers(
    monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    """One source reads from a pipe into which nobody writes: no signal gets a thread back."""
    runs: list[str] = []

    def hangs(_: Context) -> Steps:
        runs.append("hangs")
        os.read(pipe[0], 1)
        yield ("section", "kernel", {})

    def works(_: Context) -> Steps:
        runs.append("works")
        yield ("section", "os", {"id": "x"})

    monkeypatch.setattr(inventory, "SOURCES", (("mounts", hangs), ("os", works)))
    threads = threading.active_count()
    house = House(inventory.steps)
    house.until(lambda: "inventory.mounts" in house.denied.whole())
    assert "waited" in house.denied.whole()["inventory.mounts"]
    house.until(lambda: runs.count("works") == 3)
    assert runs.count("hangs") == 1
    assert threading.active_count() <= threads + 2
    os.write(pipe[1], b"12")
    house.until(lambda: "inventory.mounts" not in house.denied.whole())
    house.until(lambda: runs.count("hangs") == 2)
    house.lane.stop()


def test_a_step_never_holds_the_loop(
    monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    def steps(_: Context) -> Steps:
        os.read(pipe[0], 1)
        yield ("step",)

    house = House(steps)
    waited = []
    for _ in range(5):
        began = time.monotonic()
        house.lane.step()
        waited.append(time.monotonic() - began)
    assert min(waited) < 10 * inventory_lane.WAIT_S
    os.write(pipe[1], b"1")
    house.lane.stop()


def test_a_source_that_fails_is_told_once_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_: Context) -> Steps:
        yield ("step",)
        raise RecursionError

    def works(_: Context) -> Steps:
        yield ("section", "os", {"id": "x"})

    monkeypatch.setattr(inventory, "SOURCES", (("mounts", fails), ("os", works)))
    house = House(inventory.steps)
    house.until(lambda: len(house.events) > 0)
    (event,) = house.events.take(9)
    assert (event["kind"], event["key"]) == ("probe.error", "inventory")
    assert '"os":{"id":"x"}' in "".join(house.board.bodies())
    house.lane.stop()


@pytest.mark.parametrize(
    ("argv", "seconds", "limit", "status"),
    [
        (["sh", "-c", "echo out; echo err >&2; exit 3"], 20.0, 1 << 20, 3),
        (["sh", "-c", "sleep 600"], 0.05, 1 << 20, child.KILLED),
        (["sh", "-c", "exec >&- 2>&-; sleep 600"], 0.05, 1 << 20, child.KILLED),
        (["yes"], 20.0, 1 << 20, child.KILLED),
    ],
)
def test_a_program_is_bounded_in_time_and_size(
    argv: list[str], seconds: float, limit: int, status: int
) -> None:
    running = child.run(argv, seconds, limit)
    deadline = time.monotonic() + 30
    while True:
        assert time.monotonic() < deadline
        try:
            assert next(running) == ("step",)
        except StopIteration as end:
            done = end.value
            break
    assert done is not None
    assert done[0] == status
    assert len(done[1]) <= limit + (1 << 19)
    if status == 3:
        assert (done[1], done[2]) == (b"out\n", b"err\n")


def test_what_a_program_left_behind_is_ended_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {mark}; echo out"
    for _ in child.run(["sh", "-c", script], 0.3):
        pass
    try:
        psutil.Process(int(mark.read_text())).wait(10)  # the signal is sent, the end takes a moment
    except psutil.NoSuchProcess:
        pass


def test_a_program_that_is_not_there_is_none() -> None:
    with pytest.raises(StopIteration) as end:
        next(child.run(["/nowhere/at/all"]))
    assert end.value.value is None


def test_a_program_ends_with_the_lane(tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    def steps(_: Context) -> Steps:
        yield from child.run(["sh", "-c", f"echo $$ > {mark}; exec sleep 600"], 100.0)

    house = House(steps)
    house.until(lambda: mark.exists() and mark.read_text().endswith("\n"))
    pid = int(mark.read_text())
    house.lane.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
