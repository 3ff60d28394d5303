"""Lines out of chunks, and never more than the bound in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import ProtocolError
from console.fleet.lines import LineBuffer


def lines(buffer: LineBuffer) -> list[bytes]:
    found = []
    while (line := buffer.take()) is not None:
        found.append(line)
    return found


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(1, 17), min_size=1))
def test_any_cut_of_the_stream_gives_the_same_lines(parts: list[bytes], sizes: list[int]) -> None:
    stream = b"\n".join(part.replace(b"\n", b"") for part in parts)
    buffer = LineBuffer()
    found = []
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        buffer.feed(stream[at : at + size])
        found += lines(buffer)
        at, turn = at + size, turn + 1
    assert found == stream.split(b"\n")[:-1]


def test_a_line_over_the_bound_is_refused_before_it_is_whole() -> None:
    buffer = LineBuffer(limit=10)
    with pytest.raises(ProtocolError, match="longer than 10 bytes"):
        buffer.feed(b"x" * 11)
    buffer = LineBuffer(limit=10)
    buffer.feed(b"x" * 6)
    with pytest.raises(ProtocolError, match="longer"):
        buffer.feed(b"x" * 5)


def test_a_long_line_between_short_ones_is_refused() -> None:
    buffer = LineBuffer(limit=10)
    buffer.feed(b"ok\n" + b"y" * 11 + b"\nok\n")
    assert buffer.take() == b"ok"
    with pytest.raises(ProtocolError, match="longer"):
        buffer.take()


def test_lines_that_nobody_takes_are_bounded() -> None:
    buffer = LineBuffer(limit=10, backlog=100)
    for _ in range(25):
        buffer.feed(b"abc\n")
    with pytest.raises(ProtocolError, match="after it was told to wait"):
        buffer.feed(b"abc\n")
    assert len(buffer) <= 100


def test_half_a_line_is_known_as_half() -> None:
    buffer = LineBuffer()
    seen = [buffer.half]
    for chunk in (b'{"v":1', b"}\n"):
        buffer.feed(chunk)
        seen.append(buffer.half)
    assert seen == [False, True, False]
