"""Forms: every action has one, with exactly the parameters that it takes."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import pytest

from console.actions import forms
from console.actions.plan import about, shown
from console.errors import ActionError
from console.hostside.guard.actions import NAMES, action
from console.hostside.guard.refused import Refused
from tests.support.guardkit import policy_doc


@pytest.mark.parametrize("name", NAMES)
def test_a_form_asks_for_what_the_action_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    act = action(name)
    taken: dict[str, Any] = {}

    def note(params: dict[str, Any], **types: Any) -> NoReturn:
        taken.update(types)
        raise Refused("parameters", "noted")

    for kind in type(act).__mro__:
        module = sys.modules[kind.__module__]
        if hasattr(module, "exactly") and not kind.__module__.endswith(".base"):
            monkeypatch.setattr(module, "exactly", note)
    with pytest.raises(Refused, match="noted"):
        act.check({})
    found = {field.name: field.kind for field in forms.fields(name, policy_doc())}
    assert set(found) == set(taken)
    for field, kind in taken.items():
        wanted = {int: ("number",), list: ("list", "numbers", "versions"), str: ("text", "choice")}
        assert found[field] in wanted[kind]


@pytest.mark.parametrize("name", NAMES)
def test_every_action_has_its_place_in_the_table(name: str) -> None:
    """An unknown one is of high risk."""
    found = about(name)
    assert found.words
    assert found.direction in ("contain", "open", "destroy", "neutral")
    assert about("no-such-action").high_risk
    assert shown(name, {"x": 1})  # whatever is in there, it is shown


def test_text_becomes_the_values_that_are_signed() -> None:
    rules = policy_doc()
    assert forms.typed("isolate", {}, rules) == {"mgmt": ["10.9.1.0/24"], "confirm_s": 120}
    typed = forms.typed("isolate", {"mgmt": "10.9.1.2/32, 10.9.1.3/32", "confirm_s": " 60 "}, rules)
    assert typed == {"mgmt": ["10.9.1.2/32", "10.9.1.3/32"], "confirm_s": 60}
    assert forms.typed("disconnect-inbound", {"ports": "8000 8001"}, rules)["ports"] == [8000, 8001]
    versions = forms.typed("apply-update", {"packages": "libssl3=3.0.19-1"}, rules)
    assert versions == {"packages": [{"name": "libssl3", "version": "3.0.19-1"}]}
    for text in ("", "x", "-1", "1.5", "1e3", "\uff19", "1" * 40):
        with pytest.raises(ActionError, match="whole number"):
            forms.typed("isolate", {"confirm_s": text}, rules)
