"""Defects of the library that this console cannot live with, mended from outside."""

from functools import lru_cache
from typing import Any

from rich.segment import Segment
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.style import Style

SPLITS = 512
"""Segments that are remembered as cut in two; a screen of rows under the help has a hundred."""


@lru_cache(1024)
def _inner_outer(base_background: Color, background: Color) -> tuple[Style, Style]:
    return Style(background=base_background + background), Style(background=base_background)


def _by_colours(
    self: StylesCache, base_background: Color, background: Color
) -> tuple[Style, Style]:
    return _inner_outer(base_background, background)


def let_closed_views_go() -> None:
    """Keep nothing of views that were closed (github.com/Textualize/textual/issues/6665).

    The library remembers two colours by the object that asked for them, and so holds the painted
    lines of the last thousand widgets: some hundred megabytes after an hour of opening hosts.
    """
    StylesCache.get_inner_outer = _by_colours  # type: ignore[assignment,method-assign]


def forget_old_splits() -> None:
    """Remember fewer segments that were cut where something lay over them.

    The library keeps sixteen thousand, each with the row that it was cut from. Rows that change
    twice a second are never cut again, so that this would be ten megabytes more in a day.
    """
    cut = Segment.__dict__["_split_cells"].__func__.__wrapped__
    bounded: Any = lru_cache(SPLITS)(cut)
    Segment._split_cells = classmethod(bounded)  # type: ignore[assignment]
