"""What a person does on the screen of one host, for ``test_actions``."""

from __future__ import annotations

from typing import Any

from tests.screens.conftest import settle, text
from tests.support.still_engine import process, view


async def _details(hand: Any) -> None:
    screen = await hand.open("gpu01", "processes")
    await hand.press("down")
    await hand.do("host.details")
    assert "process 101 worker01" in text(hand.app)
    assert "/usr/bin/worker01 --serve" in text(hand.app)
    assert screen.table is None
    await hand.press("escape")
    assert hand.app.screen is screen
    assert screen.table is not None


async def _tree(hand: Any) -> None:
    child = process(7, "child", 90.0, ppid=139)
    rows = (*(process(100 + n, f"worker{n:02}", 50.0 - n) for n in range(40)), child)
    hand.engine.show(view("gpu01", processes=rows))
    await settle(hand.pilot)
    screen = await hand.open("gpu01", "processes")
    assert screen.table is not None
    assert screen.table.model.order[:2] == [7, 100], "by use of the CPU"
    await hand.do("host.tree")
    assert screen.table.model.order[:3] == [139, 7, 100], "below its parent, which comes along"
    assert "└─/usr/bin/child" in text(hand.app)
    await hand.type("tree")
    assert screen.table.model.order[:2] == [7, 100]
    await hand.press("1")
    await hand.do("host.tree")
    assert "only processes are a tree" in text(hand.app)


CASES = {"host.details": _details, "host.tree": _tree}
