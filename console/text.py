"""The only place that defines what is safe to show.

Text from a host, a feed, a log, a file or a plugin goes through ``clean`` before it is kept. What
is removed: C0 and C1 controls and DEL (they carry escape sequences: clipboard writes by OSC 52,
title changes, cursor moves), bidirectional overrides (they make text read as something else),
zero-width and other invisible format characters (they hide it), lone surrogates, and the Unicode
tag block. Each becomes U+FFFD, so that a reader sees that something was there.
"""

import re
import unicodedata

REPLACEMENT = "\ufffd"

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u00ad"  # soft hyphen
    "\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"  # invisible fillers, Arabic letter mark
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, separators, bidi controls
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"  # fillers, variation selectors, BOM, anchors
    "\ud800-\udfff"  # lone surrogates
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # musical controls, tags, more selectors
    "]"
)


def clean(value: str, limit: int = 512) -> str:
    """Return ``value`` with nothing in it that a terminal could obey, at most ``limit`` long.

    A cut is marked by a final ellipsis. Line breaks are replaced too: one value is one line.
    """
    if value.isascii() and value.isprintable():
        return value if len(value) <= limit else value[: limit - 1] + "\u2026"
    if len(value) > limit:
        value = value[: limit - 1] + "\u2026"
    return _UNSAFE.sub(REPLACEMENT, value)


def clean_lines(value: str, limit: int = 65_536) -> str:
    """Like ``clean`` for text of several lines: line feeds stay, tabs become four spaces."""
    value = value[:limit].replace("\r\n", "\n").replace("\t", "    ")
    return "\n".join(clean(line, limit) for line in value.split("\n"))


def cell_width(value: str) -> int:
    """Number of terminal cells that ``value`` takes (East Asian wide counts 2, combining 0)."""
    if value.isascii():
        return len(value)
    width = 0
    for char in value:
        if unicodedata.combining(char):
            continue
        width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return width


def clip(value: str, width: int, *, ellipsis: str = "\u2026") -> str:
    """Cut ``value`` to at most ``width`` cells, marking the cut."""
    if cell_width(value) <= width:
        return value
    if width <= 0:
        return ""
    room = width - cell_width(ellipsis)
    if room < 0:
        return ellipsis[:width]
    out: list[str] = []
    used = 0
    for char in value:
        cells = cell_width(char)
        if used + cells > room:
            break
        out.append(char)
        used += cells
    return "".join(out) + ellipsis
