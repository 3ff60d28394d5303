"""The lines of ``watch``: JSON one object a line, plain ones calm; and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from typing import Any

import msgspec
import pytest

from console.headless.plain import table
from console.headless.watch import QUIET, SUMMARY_S, Lines, watch
from console.model.frame import Fast
from console.model.host import HostState
from tests.support.still_engine import StillEngine, view


def objects(lines: Lines, now: float = 0.0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.new(now)]


def test_json_lines_are_events_and_hosts_that_changed() -> None:
    gpu01 = view("gpu01")
    engine = StillEngine(gpu01)
    lines = Lines(engine, as_json=True)
    engine.tell("process.new", "gpu01", "7", pid=7)
    first, second = objects(lines)
    assert (first["type"], first["kind"], first["seq"]) == ("event", "process.new", 1)
    assert first["facts"] == {"pid": 7}
    assert (second["type"], second["host"], second["state"]) == ("host", "gpu01", "LIVE")
    assert second["counters"]["cpu_pct"] == 12.0
    assert objects(lines) == []
    engine.show(msgspec.structs.replace(gpu01, reason="the same frame"))
    assert objects(lines) == [], "no new frame and no new state"
    engine.show(msgspec.structs.replace(gpu01, frame_at=time.time() + 2))
    assert [line["type"] for line in objects(lines)] == ["host"]
    engine.show(msgspec.structs.replace(gpu01, state=HostState.STALE, reason="no frame for 7 s"))
    (stale,) = objects(lines)
    assert (stale["state"], stale["reason"]) == ("STALE", "no frame for 7 s")


def test_every_event_of_a_long_burst_is_printed_once_and_in_order() -> None:
    engine = StillEngine(view("gpu01"))
    lines = Lines(engine, as_json=True)
    for n in range(5_000):
        engine.tell("auth.failed", "gpu01", "root", n=n)
    told = [line["facts"]["n"] for line in objects(lines) if line["type"] == "event"]
    assert told == list(range(5_000))


def test_plain_lines_leave_out_what_is_many_and_sum_up_each_ten_seconds() -> None:
    engine = StillEngine(view("gpu01"), view("gpu02", HostState.DOWN))
    lines = Lines(engine, as_json=False)
    for kind in QUIET:
        engine.tell(kind, "gpu01")
    engine.tell("kernel.xid", "gpu01", "p/79", xid=79, pci="0000:01", message="fell off the bus")
    first = list(lines.new(100.0))
    assert len(first) == 1
    assert first[0].endswith("Z gpu01 BAD: Xid 79 on 0000:01: fell off the bus")
    assert list(lines.new(100.0 + SUMMARY_S / 2)) == []
    (total,) = lines.new(100.0 + SUMMARY_S)
    assert total.startswith("2 hosts: 1 LIVE, 1 DOWN; 16 GPUs")


async def test_it_ends_after_its_seconds_with_the_state_as_its_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = StillEngine(view("gpu01"))
    assert await watch(engine, as_json=True, seconds=0.1) == 0
    assert not engine.running
    assert json.loads(capsys.readouterr().out)["type"] == "host"
    engine = StillEngine(view("gpu01", HostState.DOWN))
    assert await watch(engine, as_json=False, seconds=0.1) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    engine = StillEngine(view("gpu01"))
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), number)
    try:
        async with asyncio.timeout(5):
            assert await watch(engine, as_json=True, seconds=None) == 0
    finally:
        asyncio.get_running_loop().remove_signal_handler(number)
    assert not engine.running


def test_plain_lines_say_how_often_a_login_was_refused_before() -> None:
    engine = StillEngine(view("gpu01"))
    lines = Lines(engine, as_json=False)
    for _ in range(3):
        engine.tell("auth.failed", "gpu01", "root", user="root", source="203.0.113.7")
    facts = {"user": "root", "source": "203.0.113.7", "method": "publickey"}
    engine.tell("auth.accepted", "gpu01", "root", **facts)
    last = [line for line in lines.new(0.0) if line][-1]
    assert " gpu01 WARNING: login of root " in last
    assert last.endswith("after 3 refused logins from the same address")
    as_json = objects(Lines(engine, as_json=True))
    assert not any("refused_before" in line.get("facts", {}) for line in as_json)


def test_plain_lines_are_words_that_a_screen_reader_says() -> None:
    """No drawing, no bars, no symbol alone: what is not known is said to be unknown."""
    bare = view("gpu01", fast=Fast())
    engine = StillEngine(bare, view("gpu02", HostState.DOWN, reason="no route to host"))
    engine.tell("kernel.xid", "gpu01", "p/79", xid=79, pci="0000:01", message="fell off the bus")
    lines = [*table(engine.snapshot()).splitlines(), *Lines(engine, as_json=False).new(0.0)]
    assert "cpu unknown, memory unknown, out unknown" in "\n".join(lines)
    for line in lines:
        assert line.isascii()
        assert not {"-", "--", "|", "*", "!", "#"} & set(line.split()), line
