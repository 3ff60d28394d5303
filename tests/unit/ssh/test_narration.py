"""Standard error of a host: whole lines, cleaned, bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import ProbeError
from console.model.host import Host
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
    agentless = Host(name="gpu01", address="gpu01", tier=0)
    assert "set `python`" in ended(127, "sh: python3: not found", "gpu01", agentless).hint


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (127, "sh: 1: watchfloor-probe: not found"),
        (127, "bash: line 1: watchfloor-probe: command not found"),
        (127, "fish: Unknown command: watchfloor-probe"),
        (1, "watchfloor-probe: Command not found."),
    ],
)
def test_a_host_that_is_not_enrolled_is_to_be_enrolled(status: int, said: str) -> None:
    host = Host(name="gpu01", address="gpu01", tier=2)
    error = ended(status, said, "gpu01", host)
    assert "not enrolled" in str(error)
    assert said.rstrip(".") in str(error)
    assert "watchfloor enroll gpu01 --print --tier 2" in error.hint
    assert "python" not in error.hint
    gone = ended(127, "sh: 1: exec: /usr/bin/python3: not found", "gpu01", host)
    assert "enrolment again" in gone.hint
    assert "set `python`" not in gone.hint
