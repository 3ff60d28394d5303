"""Pieces of text to strips of exact width."""

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from console.text import cell_width, clip
from console.tui.look import Look, Piece


def segments(
    pieces: Iterable[Piece], width: int, look: Look, base: Style, *, right: bool = False
) -> list[Segment]:
    """``pieces`` cut or padded to exactly ``width`` cells, over the style ``base``."""
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
        out.append(Segment(text, base + look.style(name) if name else base))
        used += size
    if used < width:
        pad = Segment(" " * (width - used), base)
        if right:
            out.insert(0, pad)
        else:
            out.append(pad)
    return out


def line(pieces: Iterable[Piece], width: int, look: Look, base: Style | None = None) -> Strip:
    """One whole line."""
    return Strip(segments(pieces, width, look, base or Style()), width)
