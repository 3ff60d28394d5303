"""Which engines act on hosts, and what one without an operator says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from console.clock import SystemClock
from console.engine.protocol import Guarding, acting
from console.engine.recorder import Recorded
from console.engine.replay import ReplayEngine
from console.engine.session import LocalEngine
from console.errors import ActionError
from console.hostside.guard.actions import NAMES
from console.model.event import Event
from console.model.guard import Prompt
from console.model.host import Host
from console.ssh.transport import Transports


async def nothing(prompt: Prompt) -> str | None:
    return None


async def test_an_engine_without_an_operator_shows_all_and_signs_nothing() -> None:
    host = Host(name="gpu01", address="127.0.0.1", guard_id="a" * 32)
    engine = LocalEngine([host], Transports({}), clock=SystemClock(), plugin_folders=())
    assert isinstance(engine, Guarding)
    assert "[operator] names no person" in engine.may_act()
    about = engine.actions("gpu01")
    assert tuple(each.name for each in about) == NAMES
    assert all(each.why_not for each in about)
    with pytest.raises(ActionError, match="names no person"):
        await engine.preview(["gpu01"], "isolate", {})
    with pytest.raises(ActionError, match="names no person"):
        await engine.decide(["gpu01"], "0" * 64, True, "", nothing)


def test_an_engine_over_a_recording_is_none_that_acts() -> None:
    assert not issubclass(ReplayEngine, Guarding)


def test_a_recorded_engine_acts_by_the_one_it_records(tmp_path: Path) -> None:
    made: list[LocalEngine] = []

    def make(more: Callable[[], Iterable[Event]]) -> LocalEngine:
        made.append(LocalEngine([], Transports({}), others=more))
        return made[0]

    engine = Recorded(make, tmp_path / "night.gz")
    assert not isinstance(engine, Guarding)
    assert acting(engine) is made[0]
    assert isinstance(acting(engine), Guarding)
