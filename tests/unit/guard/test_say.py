"""Foreign names made plain: nobody keeps an action from being asked for by what he calls a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard import say
from console.hostside.guard.trust import canonical
from tests.support.guardhost import Host

ODD = [
    "\udcff",
    "a\nb",
    "\u202egnp.exe",
    "e\u0301",
    "a     b",
    "\u05d0",
    "\u2800",
    "x" + "\u0300" * 9,
]


@pytest.mark.parametrize("value", ODD)
def test_what_no_document_may_hold_is_escaped(value: str) -> None:
    made = say.text(value)
    canonical.text(made)
    assert made != value
    assert made.startswith("a") or "\\" in made


@pytest.mark.parametrize("value", ["", "plain", "Ärger", "日本", "C:\\x", "a   b"])
def test_what_a_document_may_hold_stays(value: str) -> None:
    assert say.text(value) == value


@given(st.text(st.characters() | st.characters(codec=None), max_size=40))
def test_every_text_comes_out_fit_for_a_document(value: str) -> None:
    canonical.text(say.text(value))
    canonical.text(say.path("/" + value))


def test_paths_stay_apart_and_short() -> None:
    odd = {say.path(path) for path in ("/\udcff", "/\\xff", "/\u00ff", "/\\", "/x", "/x ")}
    assert len(odd) == 6
    assert say.path("") == say.UNKNOWN
    assert len(say.path("/" + "x" * 5000)) < 500


@pytest.mark.parametrize("mode", ["two_before", "one_then_ratify"])
def test_a_name_of_no_text_keeps_nobody_from_containing(host: Host, mode: str) -> None:
    """One byte in the name of a process or file went into the preview and stopped the request."""
    lines = ["process 7 /tmp/\udcff", "\u202e"]
    host.simulate(
        preview={"isolate": {"effect": lines, "residual": [], "cut_off": lines, "remains": []}}
    )
    answer = host.submit(mode=mode)
    assert answer["ok"], answer
    shown = host.published("request")[0]["preview"]["effect"]
    assert shown == ["process 7 /tmp/\\xff", "\\u202e"]
