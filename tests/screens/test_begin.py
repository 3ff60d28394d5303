"""The beginning of a session: hosts are connected whatever is pressed first."""

from __future__ import annotations

import asyncio
from typing import Any

from console.tui.app import ConsoleApp
from console.tui.settings import Settings
from console.tui.style.look import Look
from tests.support.still_engine import StillEngine, view


class Awaited(StillEngine):
    """Says when it was started."""

    def __init__(self) -> None:
        super().__init__(view("gpu01"))
        self.started = asyncio.Event()
        self.times = 0

    async def start(self) -> None:
        self.times += 1
        self.started.set()


class Covered(ConsoleApp):
    """A view covers the first one before it was painted: what waits for that paint never comes."""

    def call_after_refresh(self, callback: Any, *args: Any, **more: Any) -> bool:
        return False


async def test_hosts_are_connected_though_the_first_view_is_never_painted() -> None:
    engine = Awaited()
    async with Covered(lambda ask: engine, Settings(), look=Look()).run_test() as pilot:
        await asyncio.wait_for(engine.started.wait(), 10)
        await pilot.pause(0.5)
        assert engine.times == 1
