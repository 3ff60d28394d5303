"""Frames in order: gaps, keyframes, checksums, clocks, and rows that stand in after a keyframe."""

from typing import Any

import pytest

from console.errors import ProtocolError
from console.fleet.data import OLD_S, HostData
from console.fleet.decode import decode
from tests.support.scripted import frame, listener, table


def feed(data: HostData, seq: int, *, key: bool = False, now: float = 0.0, **parts: Any) -> str:
    reason, _ = data.apply(decode(frame(seq, key=key, **parts).rstrip()), now)
    return reason


def ports(data: HostData, now: float = 0.0) -> list[int]:
    return [row.port for row in data.rows("listen", now)]  # type: ignore[attr-defined]


def test_the_first_frame_must_be_a_keyframe() -> None:
    with pytest.raises(ProtocolError, match="without a keyframe"):
        feed(HostData(), 1)


def test_a_gap_asks_for_a_keyframe_and_tables_wait_for_it() -> None:
    data = HostData()
    feed(data, 1, key=True, **table("listen", [listener(22)]))
    assert feed(data, 4, t={"listen": {"set": [listener(80)]}}) == "gap: 2 frames are missing"
    assert ports(data) == [22]
    assert data.waits
    assert data.fast is not None, "counters are complete in themselves"
    feed(data, 5, key=True, **table("listen", [listener(80)]))
    assert ports(data) == [80]
    assert not data.waits


def test_a_wrong_checksum_asks_for_a_keyframe() -> None:
    data = HostData()
    feed(data, 1, key=True)
    wrong = {"listen": {"set": [listener(22)], "n": 1, "x": 1}}
    assert "checksum: listen" in feed(data, 2, t=wrong)
    assert data.waits


def test_rows_from_before_a_keyframe_stand_in_until_the_table_comes_again() -> None:
    data = HostData()
    feed(data, 1, key=True, **table("listen", [listener(22)]))
    feed(data, 2, key=True)
    assert ports(data) == [22]
    assert ports(data, now=OLD_S + 1) == [], "but not for ever"
    feed(data, 3, **table("listen", []))
    assert ports(data) == []


def test_sections_of_the_inventory_are_kept_until_they_are_sent_again() -> None:
    data = HostData()
    feed(data, 1, key=True, i={"os": {"id": "debian"}})
    feed(data, 2, i={"kernel": {"release": "6.1"}})
    assert data.inventory.os is not None
    assert data.inventory.kernel is not None


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"mono": 50.0}, "ran backwards"),
        ({"host": "f" * 32}, "changed its host id"),
        ({"t": {"listen": {"set": [["only a key"]]}}}, "row of table listen"),
    ],
)
def test_what_contradicts_itself_is_refused_and_changes_nothing(
    parts: dict[str, Any], told: str
) -> None:
    data = HostData()
    feed(data, 1, key=True, **table("listen", [listener(22)]))
    fast = data.fast
    with pytest.raises(ProtocolError, match=told):
        data.apply(decode(frame(2, **parts).rstrip()), 0.0)
    assert ports(data) == [22]
    assert data.fast is fast


def test_a_repeated_frame_is_refused() -> None:
    data = HostData()
    feed(data, 2, key=True)
    with pytest.raises(ProtocolError, match="repeated a sequence number"):
        feed(data, 2)


def test_a_wall_clock_that_jumps_is_an_event_and_told_once() -> None:
    data = HostData()
    feed(data, 1, key=True)
    _, events = data.apply(decode(frame(2, wall=1_600_000_000.0).rstrip()), 0.0)
    assert [event.kind for event in events] == ["clock.jump"]
    assert events[0].facts["seconds"] < -90_000_000
    _, events = data.apply(decode(frame(3, wall=1_600_000_002.0).rstrip()), 0.0)
    assert not events


def test_another_boot_is_an_event() -> None:
    data = HostData()
    feed(data, 1, key=True)
    data.begin()
    _, events = data.apply(decode(frame(1, key=True, boot="b1").rstrip()), 0.0)
    assert [event.kind for event in events] == ["host.rebooted"]


def test_gpus_are_the_newest_of_all_lanes() -> None:
    data = HostData()
    feed(data, 1, key=True, i={"gpus": [{"index": 0, "name": "H100"}, {"index": 1}]})
    feed(data, 2, f={"gpu": [[0, 97.0]]}, g=[{"index": 0, "ecc_uncorrected": 3}])
    first, second = data.gpus()
    assert (first.static.name, first.fast.util_pct) == ("H100", 97.0)
    assert first.counters.ecc_uncorrected == 3
    assert second.fast.util_pct is None
    assert data.gpus() is data.gpus()
