"""Stages of the incident as events of the engine."""

from __future__ import annotations

import asyncio
import time

from console.demo.run import Begun
from console.demo.timeline import stages
from console.demo.told import StageEvents
from console.engine.session import LocalEngine
from console.model.words import sentence
from tests.support.scripted import ScriptedTransport, host


async def test_each_stage_is_one_event_of_its_host_when_it_has_begun() -> None:
    script = stages()
    begun: list[Begun] = []
    told = StageEvents(script, lambda: begun)
    assert list(told()) == []
    engine = LocalEngine([host("gw-fra-1")], ScriptedTransport(), others=told)
    await engine.start()
    try:
        begun.append(Begun(script[0].id, 5.0))
        deadline = time.monotonic() + 10
        while not (found := [e for e in engine.events() if e.kind == "demo.stage"]):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
    finally:
        await engine.stop()
    (event,) = found
    assert (event.host, event.key, event.at) == (script[0].host, script[0].id, 5.0)
    assert sentence(event) == f"incident of the demo [{script[0].id}]: {script[0].see}"
    assert list(told()) == [], "each once"
