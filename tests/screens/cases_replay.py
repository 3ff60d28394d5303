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
        assert "UTC, 0:15 from the begin" in there.shown
        await there.type("seek 0:20")  # as the bar counts
        assert there.engine.position == begin + 20
        assert "UTC, 0:20 from the begin" in there.shown
        await there.type("seek 9:00")
        assert there.engine.position == begin + 20
        assert "'9:00' is outside the recording" in there.shown
        await there.type("seek 50%")
        assert there.engine.position == pytest.approx((begin + end) / 2)
        await there.type("seek 21:53:00")
        assert "21:53:00" in there.shown
        await there.type("seek soon")
        assert "'soon' is no moment. Write +30s" in there.shown
        await there.pilot.press("colon", *"seek", "space", "s", "tab")
        assert there.app.screen.typed.value == ":seek start"  # type: ignore[attr-defined]


async def _speed(hand: Any) -> None:
    async with seat(10) as there:
        await there.type("speed 4")
        assert there.engine.speed == 4
        assert "4x" in there.shown
        await there.type("speed 0.5x")
        assert there.engine.speed == 0.5
        for wrong in ("0", "101", "fast", "nan"):
            await there.type(f"speed {wrong}")
            assert there.engine.speed == 0.5
            assert f"'{wrong}' is no pace: write 0.1 to 100" in there.shown
        await there.pilot.press("colon", *"speed", "space", "1", "tab")
        assert there.app.screen.typed.value.startswith(":speed 1")  # type: ignore[attr-defined]


CASES = {
    "replay.pause": _pause,
    "replay.step": _step,
    "replay.step-back": _step,
    "replay.faster": _pace,
    "replay.slower": _pace,
    "replay.minute-on": _minute,
    "replay.minute-back": _minute,
    "replay.seek": _seek,
    "replay.speed": _speed,
}
"""By the id of the action."""
