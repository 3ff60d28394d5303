"""The documents name what the types have, and the types stay what the wire carries."""

import re
from pathlib import Path

import msgspec
import pytest

from console.model import frame, tables
from console.model.gpu import worst_throttle
from console.model.host import HostState
from console.model.view import FleetSnapshot, HostView

ROOT = Path(__file__).resolve().parents[3]


def test_every_frame_part_is_in_the_protocol_page() -> None:
    page = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+)`", page))
    assert {field.name for field in msgspec.structs.fields(frame.Frame)} <= named


@pytest.mark.parametrize("name", tables.TABLES)
def test_a_row_of_a_newer_probe_is_still_read(name: str) -> None:
    kind = tables.TABLES[name]
    required = [f for f in msgspec.structs.fields(kind) if f.required]
    sample = {"bool": True, "float": 1.5, "int": 1, "str": "x"}
    row: list[object] = []
    for field in msgspec.structs.fields(kind):
        of = field.type.__name__ if isinstance(field.type, type) else str(field.type)
        row.append(next(value for name, value in sample.items() if name in of))
    assert required
    decoded = msgspec.json.decode(msgspec.json.encode([*row, "a column of the future"]), type=kind)
    assert msgspec.to_builtins(decoded)[: len(row)] == row
    short = msgspec.json.decode(msgspec.json.encode(row[: len(required)]), type=kind)
    assert msgspec.to_builtins(short)[: len(required)] == row[: len(required)]


def test_a_frame_without_its_head_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"v":1}', type=frame.Frame)


def test_throttle_names_the_worst_reason_and_not_idleness() -> None:
    assert worst_throttle(None) == ""
    assert worst_throttle(0x1) == ""
    assert worst_throttle(0x1 | 0x4 | 0x40) == "hw-thermal"


def test_states_that_wait_for_a_person() -> None:
    waiting = {state for state in HostState if state.waits_for_person}
    assert waiting == {HostState.REFUSED, HostState.NEW_KEY}


def test_age_counts_from_the_last_frame_and_never_below_zero() -> None:
    from console.model.host import Host

    view = HostView(spec=Host(name="a", address="127.0.0.1"), frame_at=100.0)
    assert view.age(103.0) == 3.0
    assert view.age(90.0) == 0.0
    assert FleetSnapshot(hosts=(view,)).host("a") is view
    assert FleetSnapshot(hosts=(view,)).host("b") is None
