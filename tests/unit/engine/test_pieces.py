"""No line of a recording is longer than a reader takes, whatever a host sends."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.clock import ManualClock
from console.engine.pieces import LINE, VALUES, batches, fits, written
from console.engine.reading import Reading
from console.engine.recorder import EVENTS, Writer
from console.engine.recording import MAX_LINE, MAX_VALUES, Change, applied, changes
from console.engine.replay import ReplayEngine
from console.fleet.decode import MAX_FACTS_SIZE, MAX_GPUS, MAX_NICS
from console.model.event import Event
from console.model.frame import MAX_TEXT
from console.model.gpu import GpuStatic
from console.model.host import Host
from console.model.inventory import Inventory, NicFacts
from console.model.tables import TABLES
from console.model.view import FleetSnapshot, HostView
from tests.support.recordings import BEGIN, event
from tests.support.still_engine import listener, poisoned, view

WIDE = "\U00020000" * MAX_TEXT
"""The longest text of a host, of letters of four bytes each."""
FIELDS = {"procs": "processes", "listen": "listeners", "gpuprocs": "gpu_processes"}
FIELDS["pydists"] = "python"
_decode = msgspec.json.Decoder(Change).decode


def wide(kind: type[msgspec.Struct], number: int, text: str = WIDE) -> Any:
    """A row whose texts are as long as can be."""
    values: dict[str, Any] = {}
    for place, field in enumerate(msgspec.structs.fields(kind)):
        is_text = field.type in (str, str | None)
        values[field.name] = text if is_text else number
        if field.type in (bool, bool | None):
            values[field.name] = True
        if place == 0 and is_text:
            values[field.name] = f"{number:06}{text[6:]}"
    return kind(**values)


def written_all(new: HostView, old: HostView | None) -> tuple[list[bytes], list[str]]:
    left: list[str] = []
    return [data for one in changes(new, old) for data in written(one, left)], left


def read_again(pieces: list[bytes], start: HostView) -> HostView:
    for data in pieces:
        start = applied(start, _decode(data))
    return start


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("text", [WIDE, "," * MAX_TEXT], ids=["wide", "commas"])
def test_the_longest_rows_fit_and_come_back(name: str, text: str) -> None:
    rows = tuple(wide(TABLES[name], n, text) for n in range(300))
    field = FIELDS.get(name, name)
    empty = HostView(spec=Host(name="gpu01", address=""))
    there = msgspec.structs.replace(empty, **{field: rows})
    pieces, left = written_all(there, empty)
    assert left == []
    assert all(map(fits, pieces))
    again = read_again(pieces, empty)
    assert again == there
    # and a change of some: many keys gone, others new
    fewer = tuple(row for n, row in enumerate(rows) if n % 2)
    after = msgspec.structs.replace(there, **{field: fewer})
    pieces, left = written_all(after, there)
    assert left == []
    assert all(map(fits, pieces))
    assert read_again(pieces, again) == after


def test_a_million_keys_that_go_are_told_in_pieces() -> None:
    rows = tuple(listener(n, key=f"{n:06}{WIDE}") for n in range(2000))
    there = view("gpu01", listeners=rows)
    none = msgspec.structs.replace(there, listeners=rows[:50])
    pieces, left = written_all(none, there)
    assert left == []
    assert len(pieces) > 2
    assert all(map(fits, pieces))
    assert read_again(pieces, there) == none


def test_all_of_a_host_fits_with_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = poisoned(view("gpu01"), WIDE[:200])
    seen = msgspec.structs.replace(seen, spec=Host(name="gpu01", address=""))
    pieces, left = written_all(seen, None)
    assert left == []
    assert all(map(fits, pieces))
    monkeypatch.setattr("console.engine.pieces.LINE", max(map(len, pieces)) * 2 // 3)
    pieces, left = written_all(seen, None)
    assert left == []
    assert len(pieces) > 1
    assert read_again(pieces, HostView(spec=Host(name="gpu01", address=""))) == seen


def test_what_cannot_be_cut_is_left_out_and_named(tmp_path: Path) -> None:
    text = WIDE[:400]
    texts: dict[str, Any] = dict.fromkeys(_TEXTS, text)
    gpus = tuple(GpuStatic(index=n, **texts) for n in range(MAX_GPUS))
    nics = tuple(NicFacts(name=text, addresses=(text,) * 4) for _ in range(MAX_NICS))
    big = view("gpu01", inventory=Inventory(gpus=gpus, nics=nics), gpus=())
    writer = Writer(tmp_path / "r")
    writer.begin(BEGIN, ["gpu01", "gpu02"], "")
    for at in (BEGIN, BEGIN + 1):
        writer.tick(at, FleetSnapshot(hosts=(big, view("gpu02"))), [event(1, host="gpu02")], 0)
        assert writer.left_out() == ([("gpu01", "inventory")] if at == BEGIN else [])
        big = msgspec.structs.replace(big, inventory=Inventory(gpus=gpus, nics=nics[1:]))
    writer.end(BEGIN + 1, "done")
    assert max(map(len, (tmp_path / "r").read_bytes().splitlines())) <= MAX_LINE
    with closing(Reading(tmp_path / "r")) as reading:
        engine = ReplayEngine(reading, at=BEGIN + 1, clock=ManualClock(), paused=True)
        assert (engine.ends, engine.damage) == ("", "")
        assert len(engine.events()) == 2
        assert engine.snapshot().hosts[0].listeners == big.listeners


_TEXTS = [field.name for field in msgspec.structs.fields(GpuStatic) if field.type is str]


def test_the_longest_events_fit_and_keep_their_number() -> None:
    facts = {"x": "\U00020000" * (MAX_FACTS_SIZE // 4 - 10)}
    many = [Event(kind="x", host="gpu01", at=1.0, key=WIDE, facts=facts)] * 3000
    huge = Event(kind="y", host="gpu01", at=1.0, facts={"x": "a" * 2 * LINE})
    lines = list(batches([*many, huge, *many], EVENTS))
    assert sum(map(len, lines)) == 6001
    assert max(sum(map(len, line)) + len(line) for line in lines) <= LINE
    assert max(map(len, lines)) <= EVENTS
    kinds = [msgspec.json.decode(data, type=Event).kind for line in lines for data in line]
    assert kinds == ["x"] * 3000 + ["y"] + ["x"] * 3000


def test_a_reader_takes_what_a_writer_writes() -> None:
    assert 2 * LINE <= MAX_LINE  # around the pieces of a line stand its time and its host
    assert 2 * VALUES <= MAX_VALUES
