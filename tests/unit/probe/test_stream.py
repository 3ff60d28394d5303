"""Frames, deltas and output: the console holds what the probe has, however slow it reads."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.fleet.decode import decode
from console.hostside.probe.delta import CHUNK_BYTES, CHUNK_ROWS, Table
from console.hostside.probe.denied import BEYOND, PTRACE, Denied
from console.hostside.probe.frames import Board, Lines, encode
from console.hostside.probe.happen import Events, Troubles
from console.hostside.probe.output import Output
from console.hostside.probe.place import Place
from console.model.frame import Frame, TableDelta

ROWS = st.dictionaries(st.integers(0, 30), st.integers(0, 3), max_size=12)


def receive(held: dict[int | str, Any], texts: Iterator[str]) -> bool:
    """Apply deltas as a console does; True when there was one."""
    any_came = False
    for text in texts:
        any_came = True
        delta = msgspec.json.decode(text, type=TableDelta)
        assert len(text) <= CHUNK_BYTES + 4096
        assert len(delta.set) + len(delta.gone) <= CHUNK_ROWS + 1
        for raw in delta.set:
            row = msgspec.json.decode(raw)
            held[row[0]] = row
        for key in delta.gone:
            del held[key]
        if delta.off:
            held.clear()
        if delta.n is not None:
            checksum = 0
            for key in held:
                checksum ^= crc32(str(key).encode())
            assert (delta.n, delta.x) == (len(held), checksum)
    return any_came


@given(st.lists(ROWS | st.sampled_from(["forget", "drop"]), max_size=12))
def test_the_receiver_has_what_was_put(steps: list[Any]) -> None:
    table = Table("x")
    held: dict[int | str, Any] = {}
    for step in steps:
        if step == "forget":
            table.forget()
            held.clear()
        elif step == "drop":
            table.drop()
        else:
            table.put({key: [key, value] for key, value in step.items()})
        receive(held, table.changes(encode))
        assert held == table.rows
        assert not receive(held, table.changes(encode))


@pytest.mark.parametrize(("count", "text"), [(5001, "x"), (40, "x" * 30_000)])
def test_a_large_change_is_cut_into_pieces(count: int, text: str) -> None:
    table = Table("x")
    table.put({n: [n, text] for n in range(count)})
    held: dict[int | str, Any] = {}
    pieces = list(table.changes(encode))
    assert len(pieces) > 2
    assert receive(held, iter(pieces))
    assert len(held) == count
    table.put({0: [0, "y"]})
    assert receive(held, table.changes(encode))
    assert held == {0: [0, "y"]}


def test_what_is_put_while_pieces_wait_is_not_lost() -> None:
    table = Table("x")
    table.put({n: [n, "a"] for n in range(4500)})
    held: dict[int | str, Any] = {}
    pieces = table.changes(encode)
    first = next(pieces)
    table.put({1: [1, "b"], 9999: [9999, "c"]})
    receive(held, iter([first]))
    receive(held, pieces)
    assert len(held) == 4500
    receive(held, table.changes(encode))
    assert held == {1: [1, "b"], 9999: [9999, "c"]}


class Desk:
    """A board with its queue and what is written from it."""

    def __init__(self, limit: int = 4096) -> None:
        self.now = 1000.0
        self.place = Place(mono=lambda: self.now)
        self.events = Events(self.place, limit)
        self.denied = Denied()
        self.board = Board(self.place, self.events, self.denied, {"probe": "test"})
        self.lines = Lines(self.place)

    def frames(self) -> list[Frame]:
        return [decode(self.lines.line(body)[:-1]).frame for body in self.board.bodies()]


def test_the_first_frame_is_a_keyframe_and_others_carry_what_is_new() -> None:
    desk = Desk()
    desk.denied.set("a", "b")
    desk.board.put("f", {"dt": 0.0})
    desk.board.section("os", {"id": "debian"})
    desk.board.table("listen").put({"tcp/[::]:22": ["tcp/[::]:22", "tcp", "::", 22, 0]})
    (first,) = desk.frames()
    assert (first.k, first.seq, first.denied) == (1, 1, {"a": "b"})
    assert first.hello is not None
    assert first.i is not None
    assert first.t["listen"].n == 1
    assert desk.frames() == []
    desk.board.put("f", {"dt": 2.0})
    desk.board.section("os", {"id": "debian"})
    (second,) = desk.frames()
    assert (second.k, second.seq, second.i, second.t, second.denied) == (0, 2, None, {}, None)


def test_a_keyframe_tells_everything_again_on_request_and_in_time() -> None:
    desk = Desk()
    desk.board.section("os", {"id": "debian"})
    desk.board.gpu({"index": 1, "energy_mj": 5})
    desk.board.guard([{"sha256": "a" * 64, "size": 4, "kind": "state"}])
    desk.board.table("listen").put({"a": ["a", "tcp", "::", 22, 0]})
    desk.frames()
    for _ in range(2):
        desk.board.key_wanted = True
        (again,) = desk.frames()
        assert again.k == 1
        assert again.i is not None
        assert [gpu.index for gpu in again.g] == [1]
        assert again.guard is not None
        assert again.t["listen"].n == 1
    desk.now += 901
    assert [frame.k for frame in desk.frames()] == [1]
    assert desk.frames() == []


def test_a_keyframe_larger_than_a_line_goes_on_in_more_frames() -> None:
    desk = Desk()
    desk.board.put("f", {"dt": 0.0})
    for name in ("packages", "mounts", "accounts"):
        desk.board.table(name).put({f"{name}{n}": [f"{name}{n}", "x" * 300] for n in range(3000)})
    for name in ("os", "kernel"):
        desk.board.section(name, {"version": "v" * 200_000})
    frames = desk.frames()
    assert [frame.k for frame in frames] == [1] + [0] * (len(frames) - 1)
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[0].f is not None
    counts = {name: delta.n for frame in frames for name, delta in frame.t.items() if delta.n}
    assert counts == {"packages": 3000, "mounts": 3000, "accounts": 3000}


def test_a_section_that_fits_no_line_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        Desk().board.section("os", {"id": "x" * (1 << 20)})


def test_events_that_nobody_takes_are_counted() -> None:
    desk = Desk(limit=10)
    for number in range(25):
        desk.events.put("process.new", str(number))
    assert desk.events.full
    (frame,) = desk.frames()
    assert [event.key for event in frame.e[:10]] == [str(n) for n in range(10)]
    assert (frame.e[10].kind, frame.e[10].facts) == (
        "log.gap",
        {"reason": "queue full", "dropped": 15},
    )
    assert desk.events.dropped == 15
    assert desk.frames() == []


def test_the_same_trouble_is_told_once() -> None:
    desk = Desk()
    troubles = Troubles(desk.place, desk.events)

    def fail(secret: str) -> None:
        try:
            raise ValueError(secret)
        except ValueError as error:
            troubles.report("procs", error)

    for _ in range(5):
        fail("hunter2")
    (frame,) = desk.frames()
    (event,) = frame.e
    assert (event.kind, event.key) == ("probe.error", "procs")
    assert "hunter2" not in str(event.facts)
    assert "ValueError" in event.facts["error"]
    desk.now += 60
    fail("hunter2")
    assert desk.frames() == []


def test_denials_name_the_right_that_is_really_missing() -> None:
    assert Denied("0000000000000000").ptrace == PTRACE
    assert Denied("not a number").ptrace == PTRACE
    assert Denied("000001ffffffffff").ptrace == BEYOND
    denied = Denied()
    denied.changed = False
    denied.set("x", None)
    assert not denied.changed
    denied.replace("gpu.", {"gpu.a": "1", "gpu.b": "2"})
    denied.replace("gpu.", {"gpu.b": "2"})
    assert denied.whole() == {"gpu.b": "2"}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=6), st.integers(1, 300_000))
def test_a_slow_reader_gets_every_frame_whole_and_the_writer_never_waits(
    sizes: list[int], step: int
) -> None:
    desk = Desk()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        output = Output(ours.fileno(), desk.lines)
        theirs.setblocking(False)
        got = bytearray()
        for size in sizes:
            desk.board.section("os", {"id": "x" * size})
            output.send(desk.board.bodies)
            desk.board.put("f", {"dt": 1.0})
            output.send(desk.board.bodies)
            try:
                got += theirs.recv(step)
            except BlockingIOError:
                pass
        while output.blocked:
            got += theirs.recv(1 << 20)
            output.flush()
        output.send(desk.board.bodies)
        while True:
            try:
                got += theirs.recv(1 << 20)
            except BlockingIOError:
                if not output.blocked:
                    break
            output.flush()
        output.restore()
    frames = [decode(line).frame for line in bytes(got).splitlines()]
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    assert len(frames) <= 2 * len(sizes) + 1
    newest = [frame.i.os.id for frame in frames if frame.i is not None and frame.i.os is not None]
    assert len(newest[-1]) == min(512, sizes[-1]) or newest[-1] == "x" * sizes[-1]


def test_nobody_at_the_other_end_is_an_error_of_the_system() -> None:
    desk = Desk()
    read, write = os.pipe()
    os.close(read)
    output = Output(write, desk.lines)
    with pytest.raises(BrokenPipeError):
        output.send(desk.board.bodies)
    os.close(write)


def test_the_descriptor_is_given_back_as_it_was() -> None:
    read, write = os.pipe()
    output = Output(write, Lines(Place()))
    assert not os.get_blocking(write)
    output.restore()
    assert os.get_blocking(write)
    os.close(read)
    os.close(write)


def test_the_host_id_is_the_machine_id_but_does_not_show_it(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    line = Lines(Place(root=str(tmp_path))).line('"f":{}').decode()
    assert "0123456789abcdef" not in line
    again = Lines(Place(root=str(tmp_path))).line('"f":{}').decode()
    assert line.split('"wall"')[0] == again.split('"wall"')[0]
