"""What is printed before somebody decides on the command line is text, whatever it holds."""

from __future__ import annotations

import io

import pytest

from console.cli import acting
from console.headless import actions as lines
from console.model.guard import Draft, GuardView, Outcome, Preview, TargetPreview
from tests.support.acting_engine import ISOLATE, active_view, request_view
from tests.support.attacks import hidden
from tests.support.still_engine import view

MARKUP = "[red]owned[/] [@click=app.exit]press[/] [bold"
HOSTILE = f"{MARKUP} \x1b]8;;http://evil.example\x1b\\here\x1b]52;c;cHduZWQ=\x07 \u202egpj"
PAIRS = ((HOSTILE, HOSTILE),)


def told() -> list[str]:
    """Every line that the verbs print about guarded actions, with poison in all of them."""
    asked = request_view(
        reason=HOSTILE, parameters=PAIRS, host_says=PAIRS, effect=(HOSTILE,), requester=HOSTILE,
        workstation=HOSTILE, words=HOSTILE, why_not_verified=HOSTILE, verified=False,
    )  # fmt: skip
    target = TargetPreview(host=HOSTILE, effect=(HOSTILE,), host_says=PAIRS)
    preview = Preview(
        action="isolate", about=ISOLATE, params="{}", shown=PAIRS, requester=HOSTILE,
        targets=(target, TargetPreview(host="b", trouble=HOSTILE, hint=HOSTILE)),
        workstation=HOSTILE, modes=("two_before",), risks=(HOSTILE,),
    )  # fmt: skip
    guard = GuardView(requests=(asked,), active=(active_view(why=HOSTILE),), trouble=HOSTILE)
    return [
        *lines.request_lines(asked, 0.0),
        *lines.preview_lines(preview, 0.0),
        *lines.draft_lines(Draft(id="i", words=HOSTILE, data=b"", hosts=()), HOSTILE),
        *lines.outcome_lines([Outcome(host=HOSTILE, ok=False, rule=HOSTILE, words=HOSTILE)]),
        *lines.list_lines([view("gpu01", guard=guard)], 0.0),
    ]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_hostile_text_is_printed_as_text(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Markup stands there as it was written, and nothing that a terminal obeys comes through.

    Threats: 45.
    """
    written = io.StringIO()
    monkeypatch.setattr(f"sys.{stream}", written)
    (acting.out if stream == "stdout" else acting.say)(told())
    shown = written.getvalue()
    assert shown.count(MARKUP) > 20
    assert not hidden(shown)
