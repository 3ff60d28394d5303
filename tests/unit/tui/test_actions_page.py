"""docs/actions.md is the registry; ``pytest --update-golden`` on this file writes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.tui.control.actions import ACTIONS, of
from console.tui.control.keys import Keys
from tests.support.pages import rewrite, with_blocks

PAGE = Path(__file__).resolve().parents[3] / "docs/actions.md"
TITLES = {
    "fleet": "The fleet", "host": "One host", "table": "Rows, in every view that has some",
    "app": "Everywhere", "events": "What happened on all hosts",
    "requests": "What was asked of hosts", "request": "One request",
    "plot": "The big plot", "heat": "The heat map",
    "replay": "While a recording plays", "wall": "The wall board",
}  # fmt: skip
RISKS = {
    "none": "looks only",
    "local": "writes on this workstation",
    "connect": "opens a connection",
    "act": "asks a host to change something",
}


def tables() -> str:
    keys = Keys()
    out = []
    for place in dict.fromkeys(action.where for action in ACTIONS):
        out += [f"\n### {TITLES[place]}\n", "| id | keys | command | what it does | risk | who |"]
        out.append("| --- | --- | --- | --- | --- | --- |")
        for action in of(place):
            shown = " ".join(f"`{key}`" for key in keys.words(action).split()) or "-"
            verb = f"`:{' '.join(filter(None, (action.verb, action.takes)))}`".replace("|", "\\|")
            out.append(
                f"| `{action.id}` | {shown} | {verb if action.verb else '-'} "
                f"| {action.words} | {RISKS[action.risk]} | {action.who} |"
            )
    return "\n".join(out) + "\n\n"


def test_the_page_is_the_registry(pytestconfig: pytest.Config) -> None:
    text = PAGE.read_text(encoding="utf-8")
    want = with_blocks(text, {"actions": tables()})
    if pytestconfig.getoption("--update-golden"):
        rewrite(PAGE, want)
        text = want
    assert text == want
