"""What a person does with a recording, for ``test_actions``: each case sits down before one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.screens.replaying import seat


async def _pause(hand: Any) -> None:
    async with seat(10) as there:
        assert "paused" in there.shown
        await there.do("replay.pause")
        there.clock.advance(5)
        await there.rest()
        assert there.engine.position == there.engine.begin + 15
        assert "paused" not in there.shown
        await there.type("pause")
        there.clock.advance(5)
        await there.rest()
        assert there.engine.position == there.engine.begin + 15
        assert "paused" in there.shown


async def _step(hand: Any) -> None:
    async with seat(10) as there:
        first = there.engine.snapshot().at
        await there.do("replay.step")
        second = there.engine.snapshot().at
        assert 0.5 < second - first < 2
        await there.do("replay.step-back")
        assert there.engine.snapshot().at == first
        await there.do("replay.step-back")
        assert 0.5 < first - there.engine.snapshot().at < 2


async def _pace(hand: Any) -> None:
    async with seat(10) as there:
        await there.do("replay.faster")
        await there.do("replay.faster")
        assert "4x" in there.shown
        await there.do("replay.pause")
        there.clock.advance(2)
        await there.rest()
        assert there.engine.position == there.engine.begin + 18
        for _ in range(3):
            await there.do("replay.slower")
        assert "0.5x" in there.shown
        for _ in range(9):
            await there.do("replay.faster")
        assert "100x is the limit" in there.shown


async def _minute(hand: Any) -> None:
    async with seat(10) as there:
        await there.do("replay.minute-on")
        assert there.engine.position == there.engine.end
        assert "at its end" in there.shown
        await there.do("replay.minute-back")
        assert there.engine.position == there.engine.begin
        assert "0:00 of 0:35" in there.shown


async def _seek(hand: Any) -> None:
    async with seat(10) as there:
        begin, end = there.engine.begin, there.engine.end
        await there.type("seek +5s")
        assert there.engine.position == begin + 15
        await there.type("seek 50%")
        assert there.engine.position == pytest.approx((begin + end) / 2)
        await there.type("seek 21:53:00")
        assert "21:53:00" in there.shown
        await there.type("seek soon")
        assert "'soon' is no moment. Write +30s" in there.shown
        await there.pilot.press("colon", *"seek", "space", "s", "tab")
        assert there.app.screen.typed.value == ":seek start"  # type: ignore[attr-defined]


CASES = {
    "replay.pause": _pause,
    "replay.step": _step,
    "replay.step-back": _step,
    "replay.faster": _pace,
    "replay.slower": _pace,
    "replay.minute-on": _minute,
    "replay.minute-back": _minute,
    "replay.seek": _seek,
}
"""By the id of the action."""
