"""Pieces of text to strips of exact width."""

import re
from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip

from console.text import cell_width, clip
from console.tui.style.look import Cell, Look, Piece


def segments(
    pieces: Iterable[Piece],
    width: int,
    look: Look,
    base: Style,
    *,
    right: bool = False,
    cursor: bool = False,
) -> list[Segment]:
    """``pieces`` cut or padded to exactly ``width`` cells, over the style ``base``.

    With ``cursor`` their styles are those of the row under the cursor, and ``base`` is its own.
    """
    out: list[Segment] = []
    used = 0
    dots = "~" if look.ascii_only else "…"
    for text, name in pieces:
        if used >= width:
            break
        size = cell_width(text)
        if used + size > width:
            text = clip(text, width - used, ellipsis=dots)
            size = cell_width(text)
        over = base + look.over(name) if name else base
        out.append(Segment(text, look.cursor(name) if cursor else over))
        used += size
    if used < width:
        pad = Segment(" " * (width - used), base)
        if right:
            out.insert(0, pad)
        else:
            out.append(pad)
    return out


class PlainBar(ScrollBarRender):
    """A scroll bar without block characters: its ends are whole cells."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8


def plain_scroll_bar(widget: ScrollView, look: Look) -> None:
    """Give a widget a scroll bar that a terminal without block characters can draw."""
    if look.ascii_only:
        widget.vertical_scrollbar.renderer = PlainBar  # type: ignore[misc]  # for this one only


def fold(pieces: Cell, width: int, indent: int) -> list[Cell]:
    """``pieces`` as lines of at most ``width`` cells, cut between words; the rest is indented."""
    if sum(cell_width(text) for text, _ in pieces) <= width or width <= indent + 8:
        return [pieces]
    lines: list[list[Piece]] = [[]]
    used = 0
    for text, style in pieces:
        for word in re.findall(r"\s+|[^\s]+", text):
            size = cell_width(word)
            if used + size > width and used > indent:
                lines.append([(" " * indent, "")])
                used = indent
                word = word.lstrip()
            while cell_width(word) > width - used:
                cut = clip(word, width - used, ellipsis="") or word[:1]
                lines[-1].append((cut, style))
                lines.append([(" " * indent, "")])
                used, word = indent, word[len(cut) :]
            if word:
                lines[-1].append((word, style))
                used += cell_width(word)
    return [_joined(parts) for parts in lines]


def _joined(parts: list[Piece]) -> Cell:
    out: list[Piece] = []
    for text, style in parts:
        if out and out[-1][1] == style:
            out[-1] = (out[-1][0] + text, style)
        else:
            out.append((text, style))
    return out


def line(pieces: Iterable[Piece], width: int, look: Look, base: Style | None = None) -> Strip:
    """One whole line."""
    return Strip(segments(pieces, width, look, base or look.style("")), width)
