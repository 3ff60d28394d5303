"""The ``:`` line: verbs, patterns with filters, and what Tab makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tui.control.actions import Action, verbs
from console.tui.control.commands import (
    Command,
    CommandError,
    complete,
    fitting,
    parse,
    pattern_and_filter,
    resolve,
)

OFFERED = verbs("fleet", "table", "app")
HOSTS = ["gpu01", "gpu02", "login01"]


def hosts(action: Action, typed: str) -> list[str]:
    return [name for name in HOSTS if action.verb == "host"]


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        (":host gpu01", ("host", "gpu01")), ("  : host   gpu* /a b ", ("host", "gpu* /a b")),
        (":quit", ("quit", "")), (":", ("", "")), ("", ("", "")),
    ],
)  # fmt: skip
def test_parse(typed: str, command: tuple[str, str]) -> None:
    assert parse(typed) == command


def test_a_verb_may_be_cut_short_where_only_one_begins_so() -> None:
    assert resolve(Command("hos", ""), OFFERED).id == "app.host"
    assert resolve(Command("q", ""), OFFERED).id == "app.leave"
    with pytest.raises(CommandError, match=r"may be .*fleet.*forward"):
        resolve(Command("f", ""), OFFERED)


def test_an_unknown_verb_is_told_with_the_nearest_or_all() -> None:
    with pytest.raises(CommandError, match="did you mean :host"):
        resolve(Command("hots", ""), OFFERED)
    with pytest.raises(CommandError, match=r"here: .*fleet.*help.*host.*quit"):
        resolve(Command("xyzzy", ""), OFFERED)
    with pytest.raises(CommandError) as told:
        resolve(Command("\x1b]52;c;x\x07", ""), OFFERED)
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize(
    ("rest", "pattern", "wanted"),
    [
        ("gpu* /temp>80 @fra", "gpu*", "temp>80 @fra"), ("gpu01", "gpu01", ""),
        ("/temp>80", "", "temp>80"), ("@fra", "", "@fra"), ("gpu* @fra", "gpu*", "@fra"),
        ("", "", ""),
        ("@fra gpu*", "gpu*", "@fra"), ("a /b /c", "a", "b /c"),
    ],
)  # fmt: skip
def test_pattern_and_filter(rest: str, pattern: str, wanted: str) -> None:
    assert pattern_and_filter(rest) == (pattern, wanted)


def test_a_whole_name_a_glob_and_a_part_of_one() -> None:
    assert fitting("gpu01", ["gpu01", "gpu010"]) == ["gpu01"]
    assert fitting("GPU*", HOSTS) == ["gpu01", "gpu02"]
    assert fitting("login", HOSTS) == ["login01"]
    assert fitting("x", HOSTS) == []


def test_tab_makes_longer_what_is_certain_and_shows_the_rest() -> None:
    assert complete(":ho", OFFERED, hosts) == (":host ", [])
    assert complete(":host g", OFFERED, hosts) == (":host gpu0", ["gpu01", "gpu02"])
    assert complete(":host l", OFFERED, hosts) == (":host login01", [])
    assert complete(":nothing x", OFFERED, hosts) == (":nothing x", [])
    longer, several = complete(":", OFFERED, hosts)
    assert longer == ":"
    assert {"host", "quit"} <= set(several)


@given(st.text(max_size=60))
def test_no_text_breaks_it(typed: str) -> None:
    command = parse(typed)
    try:
        resolve(command, OFFERED)
    except CommandError:
        pass
    longer, several = complete(typed, OFFERED, hosts)
    assert len(longer) >= len(typed) or longer.startswith(":")
    assert len(several) <= 20
    pattern_and_filter(typed)
    fitting(typed, HOSTS)
