"""Panels of plugins on their tab: they fit on any screen."""

from __future__ import annotations

import time

import pytest

from console.model.panel import Gauge, Note, Panel, Plot, Row
from tests.screens.conftest import make_app, settle, text
from tests.support.still_engine import StillEngine, view


def panel(title: str = "title") -> Panel:
    return Panel(
        host="gpu01",
        title=title,
        items=(
            Row(label="label", value="value", severity="warn"),
            Gauge(label="gauge", percent=12.0, text="text"),
            Plot(label="plot", series="plugin.p.x", unit="unit"),
            Note(text="note " * 40),
        ),
        plugin="p",
        at=time.time(),
    )


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (80, 24), (400, 120)])
@pytest.mark.parametrize("ascii_only", [False, True])
async def test_panels_fit_on_any_screen(size: tuple[int, int], ascii_only: bool) -> None:
    engine = StillEngine(view("gpu01"))
    engine.shown_panels = (panel("t" * 80),)
    app = make_app(engine, ascii_only=ascii_only)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        app.open_host("gpu01", "panels")
        await settle(pilot)
        shown = text(app)
        assert max(map(len, shown.splitlines())) <= size[0]
        assert shown.isascii() or not ascii_only


async def test_a_host_without_panels_says_how_to_get_one() -> None:
    app = make_app(StillEngine(view("gpu01")))
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        app.open_host("gpu01", "panels")
        await settle(pilot)
        assert "watchfloor plugins list" in text(app)
