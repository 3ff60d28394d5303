"""Each kind of misbehaving host really breaks the rule that it is named after."""

import time
from itertools import islice

import pytest

from console.demo.fleet import swarm
from console.demo.frames import FrameWriter
from console.demo.misbehave import FLOOD_FRAMES, FLOOD_S, KINDS
from console.demo.simulate import SimState
from console.errors import ProtocolError
from console.fleet.decode import END_OF_TIME, Decoded, decode
from console.fleet.lines import LineBuffer
from console.model.frame import MAX_LINE, MAX_ROWS

READ = [kind for kind, (_, make) in KINDS.items() if make is not None]
REFUSED = {"long-line", "future", "deep", "no-json", "infinite", "digits", "nan"}


def sent(kind: str, periods: int = 3) -> list[bytes]:
    make = KINDS[kind][1]
    assert make is not None
    return list(islice(make(FrameWriter(SimState(swarm(1)[0], 1, time.time))), periods))


def read(kind: str) -> list[Decoded]:
    return [decode(line) for line in b"".join(sent(kind)).split(b"\n") if line]


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_what_is_outside_the_protocol_is_refused(kind: str) -> None:
    with pytest.raises(ProtocolError):
        read(kind)


def test_a_long_line_is_longer_than_any_buffer() -> None:
    assert len(b"".join(sent("long-line"))) > 9 * MAX_LINE
    buffer = LineBuffer()
    with pytest.raises(ProtocolError):
        buffer.feed(b"".join(sent("long-line")))


@pytest.mark.parametrize("kind", ["escapes", "markup"])
def test_foreign_text_arrives_clean(kind: str) -> None:
    raw = b"".join(sent(kind))
    assert (b"\\u001b]52" in raw) == (kind == "escapes")
    frames = read(kind)
    assert frames
    hello = frames[0].frame.hello
    assert hello is not None
    assert "\x1b" not in hello.hostname
    assert "\u202e" not in hello.hostname
    assert ("[@click=app.quit]" in hello.hostname) == (kind == "markup")


def test_broken_text_is_read_and_said() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"".join(sent("bad-utf8")).decode()
    assert any(item.broken_text for item in read("bad-utf8"))


def test_the_clock_goes_back() -> None:
    monos = [item.frame.mono for item in read("clock-back")]
    assert monos != sorted(monos)


def test_numbers_are_left_out_again_and_again() -> None:
    numbers = [item.frame.seq for item in read("gap")]
    assert numbers != list(range(1, len(numbers) + 1))


def test_checksums_are_wrong() -> None:
    good = {
        name: delta.x
        for line in FrameWriter(SimState(swarm(1)[0], 1, time.time)).keyframe()
        for name, delta in decode(line[:-1]).frame.t.items()
    }
    bad = {name: delta.x for item in read("checksum") for name, delta in item.frame.t.items()}
    assert set(bad) == set(good)
    assert all(bad[name] != good[name] for name in good)


def test_a_flood_is_ten_thousand_frames_a_second() -> None:
    assert sent("flood", 2)[1].count(b"\n") / FLOOD_S >= 10_000
    assert FLOOD_FRAMES / FLOOD_S == 10_000


def test_half_a_frame_never_ends() -> None:
    first, *rest = sent("half", 5)
    assert first.endswith(b"\n")
    assert b"".join(rest)
    assert b"\n" not in b"".join(rest)
    assert not b"".join(sent("nothing", 5))


def test_a_key_said_twice_counts_by_its_last() -> None:
    assert b'"v":9,"v":1' in b"".join(sent("twice"))
    assert {item.frame.v for item in read("twice")} == {1}


def test_there_is_one_row_more_than_a_table_holds() -> None:
    ports = b"".join(sent("rows", 100)).count(b'"tcp/10.0.0.1:')
    assert ports == MAX_ROWS + 1


def test_kinds_are_many_and_dates_are_strange_and_arrive_as_dates() -> None:
    kinds = {event.kind for line in read("kinds") for event in line.frame.e}
    assert len(kinds) == 2_000
    raw = b"".join(sent("dates"))
    assert b"1e18" in raw
    assert b'"at":-1.0' in raw
    assert all(0 <= e.at < END_OF_TIME for line in read("dates") for e in line.frame.e)


def test_two_hosts_say_one_id() -> None:
    state = SimState(swarm(2)[1], 1, time.time)
    frames = b"".join(islice(KINDS["same-id"][1](FrameWriter(state)), 2))  # type: ignore[misc]
    ids = {decode(line).frame.host for line in frames.split(b"\n") if line}
    assert ids == {SimState(swarm(1)[0], 1, time.time).host_id} != {state.host_id}


def test_every_kind_is_tried_here_or_by_connecting() -> None:
    by_connecting = {"closes", "no-probe", "mute", "not-ssh", "refuses"}
    assert set(READ) | by_connecting == set(KINDS)
