"""A view that was closed is gone: nothing of what it painted stays in memory."""

from __future__ import annotations

import gc
import weakref

from rich.segment import Segment
from textual.widget import Widget

from console.tui.mend import SPLITS
from tests.screens.conftest import make_app, settle
from tests.support.still_engine import StillEngine, view


async def test_nothing_of_closed_views_is_kept() -> None:
    """Hosts opened, painted and closed leave neither their widgets nor their painted lines."""
    app = make_app(StillEngine(view("gpu01")))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        left: list[weakref.ref[object]] = []
        for _ in range(2):  # what is kept until the next view may stay; what is kept for good not
            await pilot.press("enter", "3", "4", "6")
            await settle(pilot)
            app.screen._compositor.render_strips()
            widgets: list[Widget] = [app.screen, *app.screen.query(Widget)]
            assert any(widget._styles_cache._cache for widget in widgets), "nothing was painted"
            left = left or [
                weakref.ref(thing) for widget in widgets for thing in (widget, widget._styles_cache)
            ]
            del widgets
            await pilot.press("escape")
            await settle(pilot)
        gc.collect()
        kept = [ref() for ref in left if ref() is not None]
        assert kept == []


async def test_few_cut_segments_are_remembered() -> None:
    app = make_app(StillEngine(view("a")))
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        for number in range(SPLITS * 2):
            words = f"row …{number} of many"
            first, second = Segment(words).split_cells(5)
            assert (first.text, second.text) == (words[:5], words[5:])
        remembered = Segment._split_cells.cache_info()
        assert remembered.currsize <= SPLITS == remembered.maxsize
