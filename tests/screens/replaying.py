"""A person before a replay that stands still until it is moved."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from textual.pilot import Pilot

from console.clock import ManualClock
from console.engine.replay import ReplayEngine
from console.tui.app import ConsoleApp
from console.tui.control.actions import Mode, named
from console.tui.control.keys import Keys
from console.tui.settings import Settings
from console.tui.style.look import Look
from tests.screens.conftest import settle, text
from tests.support.recordings import incident

_NAMES = {" ": "space", "+": "plus", "-": "minus", "%": "percent_sign", ":": "colon"}


@dataclass
class Seat:
    """The screens over the recorded incident."""

    app: ConsoleApp
    pilot: Pilot[None]
    engine: ReplayEngine
    clock: ManualClock

    @property
    def shown(self) -> str:
        return text(self.app)

    async def do(self, id: str) -> None:
        """Press the first key of an action."""
        await self.pilot.press(Keys().of(named(id)).split(",")[0])
        await self.rest()

    async def type(self, command: str) -> None:
        """Type a command and Enter."""
        await self.pilot.press("colon", *(_NAMES.get(sign, sign) for sign in command), "enter")
        await self.rest()

    async def rest(self) -> None:
        """Let everything that was asked for be done and drawn."""
        await self.pilot.pause()
        self.app.paint_soon()
        self.app.look_at_engine()
        await settle(self.pilot)
        for bar in self.app.screen.query("ReplayBar"):
            bar.draw()  # type: ignore[attr-defined]  # else a quarter of a second later
        await self.pilot.pause()


@contextlib.asynccontextmanager
async def seat(seconds: float, *, size: tuple[int, int] = (150, 40)) -> AsyncIterator[Seat]:
    """The screens so many seconds after the begin of the recording."""
    clock = ManualClock()
    with incident(seconds, clock) as engine:
        settings = Settings(title="incident", mode=Mode.REPLAY)
        app = ConsoleApp(lambda ask: engine, settings, look=Look())
        async with app.run_test(size=size) as pilot:
            there = Seat(app, pilot, engine, clock)
            await settle(pilot)
            await there.rest()
            yield there
