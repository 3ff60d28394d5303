"""Standard error of a host: whole lines, cleaned, bounded."""

from hypothesis import given
from hypothesis import strategies as st

from console.errors import ProbeError
from console.ssh.channel import LINE_LIMIT, NARRATION_LIMIT, Narration, ended
from console.text import clean


def test_lines_are_told_whole_and_the_last_one_at_the_end() -> None:
    told: list[str] = []
    narration = Narration(told.append)
    narration.feed(b"one\ntw")
    assert told == ["one"]
    narration.feed(b"o\r\n\n  \nlast")
    assert told == ["one", "two"]
    narration.feed(b"", final=True)
    assert told == ["one", "two", "last"]
    assert narration.last == "last"


def test_a_flood_is_cut_and_counted() -> None:
    told: list[str] = []
    narration = Narration(told.append)
    for _ in range(100):
        narration.feed(b"x" * 4_095 + b"\n")
    assert sum(map(len, told)) <= NARRATION_LIMIT
    assert narration.dropped == 100 * 4_096 - NARRATION_LIMIT


@given(st.lists(st.binary(max_size=700), max_size=12))
def test_no_bytes_bring_a_control_character_through(chunks: list[bytes]) -> None:
    told: list[str] = []
    narration = Narration(told.append)
    for chunk in chunks:
        narration.feed(chunk)
    narration.feed(b"", final=True)
    assert all(line == clean(line, LINE_LIMIT) and len(line) <= LINE_LIMIT for line in told)


def test_the_end_of_a_probe_says_its_status_and_what_to_install() -> None:
    error = ended(127, "sh: 1: python3: not found", "gpu01")
    assert isinstance(error, ProbeError)
    assert "status 127: sh: 1: python3: not found" in str(error)
    assert "Install python3" in error.hint
