"""What really goes to the terminal, through the real driver, where colours are few or unwanted."""

from __future__ import annotations

import os
import re
import sys

import pytest

from tests.support.terminal import Terminal

PROGRAM = """
import sys
from console.tui.app import run_app
from tests.screens.test_golden import engine
sys.exit(run_app(lambda ask: engine()))
"""
COLOUR = {*range(30, 39), *range(40, 49), *range(90, 108)}
"""Parameters of SGR that ask for a colour. 39 and 49 ask for the terminal's own."""


def parameters(written: str) -> list[list[int]]:
    """The parameters of each SGR sequence."""
    found = re.findall(r"\x1b\[([0-9;:]*)m", written)
    return [[int(part or 0) for part in re.split("[;:]", text)] for text in found]


def walk(then: str, **more: str) -> str:
    """Everything that the console writes while a person looks round with those variables set.

    ``then`` is the name of the next theme.
    """
    left_out = ("NO_COLOR", "COLORTERM", "COLORFGBG", "LC_ALL")
    env = {name: value for name, value in os.environ.items() if name not in left_out}
    env |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", **more}
    with Terminal([sys.executable, "-c", PROGRAM], env) as terminal:
        terminal.wait_for("1 undeclared")
        terminal.wait_for("fallen off the bus")
        terminal.press("\x10")
        terminal.wait_for("hat to do")  # its first letter is under the cursor
        terminal.press("next theme")
        terminal.wait_for("or the one named")
        terminal.press("\r")
        terminal.wait_for(f"theme {then}")
        terminal.press("?")
        terminal.wait_for("turn the order round")
        return terminal.shown


@pytest.mark.parametrize("colorterm", ["", "truecolor"])
def test_no_color_means_no_colour_at_all(colorterm: str) -> None:
    told = parameters(walk("mono", NO_COLOR="1", COLORTERM=colorterm))
    assert len(told) > 100
    wrong = [numbers for numbers in told if COLOUR & set(numbers)]
    assert wrong == []
    assert {1, 4, 7} <= {number for numbers in told for number in numbers}, "severity by attributes"


def test_sixteen_colours_are_enough() -> None:
    """In a plain tmux or screen: only the sixteen, and warn and bad are not the same."""
    told = parameters(walk("dark", TERM="screen"))
    used = {number for numbers in told for number in numbers}
    assert not used & {38, 48}, "no palette of 256, no RGB"
    assert {33, 91} <= used, "yellow for warn, bright red for bad"


def test_colours_are_those_of_the_theme_where_the_terminal_has_them() -> None:
    written = walk("light", COLORTERM="truecolor")
    assert "48;2;16;21;28" in written, "the ground of the theme dark"
    assert "48;2;251;251;248" in written, "and of the theme light"
