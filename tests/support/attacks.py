"""Text that would command a terminal or the library, and a terminal that keeps what it is sent.

The sequences are those of the research note: each of them reached the terminal through every stock
widget of the library before there was a filter.
"""

from __future__ import annotations

import re
from typing import ClassVar

from textual.drivers.headless_driver import HeadlessDriver

POISONS = {
    "osc 52": "\x1b]52;c;cHduZWQ=\x07",
    "title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J\x1b[H",
    "colour": "\x1b[38;5;201m",
    "c1 csi": "\x9b31m",
    "link": "\x1b]8;;http://evil.example\x1b\\",
    "rtl": "\u202egpj.exe",
    "zero width": "\u200b\u2066",
    "newline": "a\r\nb\tc",
    "bell": "\x07\x08\x7f\x00\x0e",
    "markup": "[@click=app.exit]x[/]",
    "unbalanced markup": "[/ [bold",
    "surrogate": "\ud83d",
}
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What no line on the screen may hold, an escape apart, which the library itself writes."""
OF_THE_LIBRARY = re.compile(
    "\x1b\\[[0-9;]*m"  # colours
    "|\x1b\\[[0-9]+;[0-9]+H"  # where a piece of the screen begins
    "|\x1b\\[\\?[0-9]+[hl]"  # one update at a time
    "|\x1b\\]22;[a-z-]*\x07"  # the shape of the mouse pointer
)
"""Every sequence that the library writes while it draws."""


class Recorder(HeadlessDriver):
    """Keeps every byte that is written to the terminal."""

    written: ClassVar[list[str]] = []  # one recording a test, cleared by the fixture

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.written.append(data)


def dangers(written: str) -> list[str]:
    """What a terminal would obey in ``written`` that the library has not written itself."""
    found = [poison for poison in ("\x1b[38;5;201m",) if poison in written]
    rest = OF_THE_LIBRARY.sub("", written)
    return found + [repr(rest[max(0, m.start() - 20) : m.end() + 20]) for m in _LEFT.finditer(rest)]


def hidden(shown: str) -> list[str]:
    """Lines of a screen's text that hold something a terminal obeys, or a reader cannot see."""
    return [row for row in shown.split("\n") if HIDDEN.search(row) or "\x1b" in row]


_LEFT = re.compile(f"\x1b|{HIDDEN.pattern}")
