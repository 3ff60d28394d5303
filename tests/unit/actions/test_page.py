"""docs/guarded-actions.md is the table of the guard; ``pytest --update-golden`` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from console.actions.forms import FIELDS
from console.hostside.guard.actions import NAMES, action
from console.hostside.guard.trust import floors
from tests.support.pages import block_names, rewrite, with_blocks
from tests.support.plans import effect

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/guarded-actions.md"
TYPES = {
    "text": "text", "number": "whole number", "choice": "one of", "list": "list of texts",
    "numbers": "list of whole numbers", "versions": "list of NAME=VERSION",
}  # fmt: skip


def yes(value: object) -> str:
    return "yes" if value else "-"


def row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def actions() -> str:
    out = [
        row("action", "what it does", "direction", "people", "PIN", "one first", "break-glass",
            "inverse", "dead-man", "starts", "high risk"),
        "|" + " --- |" * 11,
    ]  # fmt: skip
    for name in NAMES:
        act = action(name)
        floor = floors.floor(act)
        words = act.words[0].lower() + act.words[1:]
        out.append(
            row(
                f"`{name}`", words, act.direction, str(floor.people), yes(floor.require_uv),
                yes("one_then_ratify" in floor.modes), yes("break_glass" in floor.modes),
                f"`{act.inverse}`" if act.inverse else "none", act.dead_man, act.starter,
                yes(act.high_risk),
            )
        )  # fmt: skip
    return "\n".join(out) + "\n"


def parameters() -> str:
    out = [row("action", "parameter", "type", "what it is"), "|" + " --- |" * 4]
    for name in NAMES:
        for field in FIELDS[name]:
            kind = TYPES[field.kind]
            if field.choices:
                kind += " " + ", ".join(f"`{choice}`" for choice in field.choices)
            out.append(row(f"`{name}`", f"`{field.name}`", kind, field.words))
    return "\n".join(out) + "\n"


def effects() -> str:
    out = []
    for name in NAMES:
        out += [f"\n**`{name}`**\n", "```text", *effect(name), "```"]
    return "\n".join(out) + "\n\n"


def test_the_page_is_the_table_of_the_guard(pytestconfig: pytest.Config) -> None:
    text = PAGE.read_text(encoding="utf-8")
    want = with_blocks(
        text, {"actions": actions(), "parameters": parameters(), "effects": effects()}
    )
    if pytestconfig.getoption("--update-golden"):
        rewrite(PAGE, want)
        text = want
    assert block_names(text) == ["actions", "parameters", "effects"]
    assert text == want


def test_people_find_the_page() -> None:
    for page in ("README.md", "docs/console.md", "docs/guard.md"):
        assert "guarded-actions.md" in (ROOT / page).read_text(encoding="utf-8"), page


def test_the_commands_of_the_page_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    from console.cli.main import run

    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"watchfloor actions ([a-z]+)", text))
    assert len(named) > 5
    for verb in named:
        with pytest.raises(SystemExit) as ended:
            run(["actions", verb, "--help"])
        assert ended.value.code == 0
    capsys.readouterr()
