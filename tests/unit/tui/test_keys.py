"""Which keys do what, and what becomes of a change that cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tui.control.actions import ACTIONS, Mode, named, refusal
from console.tui.control.keys import Keys, shown


def test_the_defaults_do_not_clash() -> None:
    assert list(Keys().clashes()) == []


def test_what_can_hurt_has_no_key_that_does_not_ask() -> None:
    keyed = [action.id for action in ACTIONS if action.risk == "act" and action.keys]
    assert [id for id in keyed if not named(id).asks] == []


def test_every_view_has_a_safe_way_back() -> None:
    for action in ACTIONS:
        if "escape" in action.keys.split(","):
            assert action.risk == "none", action.id


@pytest.mark.parametrize(
    ("typed", "key", "read"),
    [
        (";", ";", ";"), ("F5", "f5", "F5"), ("ctrl+X", "ctrl+x", "^X"), ("Ins", "insert", "Ins"),
        ("alt+up", "alt+up", "Alt+Up"), ("Z", "Z", "Z"), ("é", "é", "é"),
        ("alt+/", "alt+slash", "Alt+/"),
    ],
)  # fmt: skip
def test_keys_are_written_as_people_write_them(typed: str, key: str, read: str) -> None:
    keys = Keys({"fleet.reverse": typed})
    assert keys.of(named("fleet.reverse")) == key
    assert keys.words(named("fleet.reverse")) == shown(key) == read
    assert keys.problems == []


@pytest.mark.parametrize("typed", ["", "ctrl", "ctrl+", "hyper+x", "f99", "\x1b", "enterx", "a,,b"])
def test_what_is_no_key_is_told_and_left_out(typed: str) -> None:
    keys = Keys({"fleet.reverse": typed})
    assert keys.of(named("fleet.reverse")) == "S"
    (problem,) = keys.problems
    assert problem.startswith("keys.fleet.reverse: ")
    assert "\x1b" not in problem


def test_a_key_of_another_action_is_left_out_and_both_are_named() -> None:
    keys = Keys({"fleet.reverse": "s"})
    assert keys.of(named("fleet.reverse")) == "S"
    (problem,) = keys.problems
    assert "keys.fleet.reverse: s is fleet.sort" in problem


def test_keys_of_tables_and_of_the_console_count_in_every_view() -> None:
    for taken in ("j", "q", "question_mark"):
        (problem,) = Keys({"host.retry": taken}).problems
        assert "already" in problem


def test_the_same_key_in_two_views_is_no_clash() -> None:
    assert Keys({"fleet.reverse": "x", "host.reverse": "x"}).problems == []


def test_keys_can_be_swapped_and_taken_away() -> None:
    keys = Keys({"fleet.sort": "S", "fleet.reverse": "s", "app.leave": "none"})
    assert keys.problems == []
    assert keys.words(named("fleet.sort")) == "S"
    assert keys.words(named("app.leave")) == ""
    assert "leave" not in keys.footer("fleet", "app")
    assert " S sort  s reverse" in keys.footer("fleet", "app")


def test_an_unknown_action_is_told_with_the_nearest() -> None:
    (problem,) = Keys({"fleet.revers": "x"}).problems
    assert "did you mean fleet.reverse?" in problem


@given(st.dictionaries(st.sampled_from([a.id for a in ACTIONS]), st.text(max_size=12), max_size=8))
def test_no_change_makes_two_actions_of_one_key(changes: dict[str, str]) -> None:
    assert list(Keys(changes).clashes()) == []


def test_what_each_mode_forbids() -> None:
    retry, leave, move = named("fleet.retry"), named("app.leave"), named("table.down")
    assert refusal(retry, Mode.READ_ONLY) == ""
    assert "recording" in refusal(retry, Mode.REPLAY)
    assert refusal(leave, Mode.REPLAY) == refusal(move, Mode.REPLAY) == ""
    for action in ACTIONS:
        assert bool(refusal(action, Mode.WALL)) == (action.where != "wall")
