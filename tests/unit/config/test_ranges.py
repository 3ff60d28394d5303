"""Ranges of names: what they stand for, and that no text can fill the memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.config import ranges
from console.errors import ConfigError
from tests.support.outcome import outcome

NOISE = st.text(alphabet="ag019[]-/,. " + chr(0x663), max_size=40)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gpu01", ["gpu01"]),
        ("gpu[1-3]", ["gpu1", "gpu2", "gpu3"]),
        ("gpu[008-011]", ["gpu008", "gpu009", "gpu010", "gpu011"]),
        ("n[1,3,5-9/2]", ["n1", "n3", "n5", "n7", "n9"]),
        ("r[1-2]n[1-2]x", ["r1n1x", "r1n2x", "r2n1x", "r2n2x"]),
        ("n[0]", ["n0"]),
        ("n[00-01]", ["n00", "n01"]),
    ],
)
def test_a_range_stands_for_its_names(text: str, names: list[str]) -> None:
    assert ranges.expand(text) == names
    assert ranges.parse(text).count == len(names)


@pytest.mark.parametrize(
    "text",
    [
        "a[",
        "a]",
        "a[1",
        "a[]",
        "a[b]",
        "a[2-1]",
        "a[1/2]",
        "a[1-3/0]",
        "x[1]]",
        "a[1-002]",
        f"a[{chr(0x661)}-{chr(0x663)}]",
        "a[1-9999999999]",
    ],
)
def test_what_is_no_range_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ranges.expand(text)
    assert text in str(caught.value)
    assert "gpu[001-128]" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["gpu[1-1000000]", "gpu[0000001-1000000]", "r[1-1000]n[1-1000]", "n[1-999999999]" * 9]
)
def test_a_million_hosts_are_counted_and_not_made(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: ranges.Span) -> list[str]:
        raise AssertionError("a name was made")

    monkeypatch.setattr(ranges.Span, "texts", never)
    with pytest.raises(ConfigError, match=r"stands for [\d,]+ hosts, more than 65,536"):
        ranges.expand(text)


@given(NOISE)
def test_any_text_is_names_or_an_error(text: str) -> None:
    names = outcome(lambda: ranges.expand(text), ConfigError)
    if isinstance(names, ConfigError):
        assert names.hint
        return
    assert len(names) == ranges.parse(text).count <= ranges.MAX_NAMES
    assert all("[" not in name and "]" not in name for name in names)


@given(st.integers(0, 999), st.integers(0, 400), st.integers(1, 9), st.integers(1, 5))
def test_numbers_come_back_as_written(first: int, more: int, step: int, width: int) -> None:
    text = f"n[{first:0{width}d}-{first + more:0{width}d}/{step}]"
    if first and len(str(first)) < width < len(str(first + more)):
        return  # the widths differ, which is refused
    names = outcome(lambda: ranges.expand(text), ConfigError)
    if isinstance(names, ConfigError):
        assert "different widths" in names.message
        return
    assert [int(name[1:]) for name in names] == list(range(first, first + more + 1, step))


@given(st.lists(st.sampled_from(["gpu[1-3,7]", "a", "b[1,2]c", "!x"]), max_size=6))
def test_terms_are_cut_outside_brackets_only(terms: list[str]) -> None:
    assert ranges.split(",".join(terms)) == terms
    assert ranges.split(" ".join(terms)) == terms


@given(NOISE)
def test_cutting_never_fails_and_loses_nothing_but_separators(text: str) -> None:
    parts = ranges.split(text)
    assert all(parts)
    assert sum(map(len, parts)) >= len(text) - text.count(",") - text.count(" ")
