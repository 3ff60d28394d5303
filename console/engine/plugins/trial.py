"""Run a plugin a few times outside a session, for its author and for who is about to pin it."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from console.config.document import Plugin
from console.config.select import select
from console.engine.plugins.manifest import Bundle
from console.engine.plugins.process import PluginProcess
from console.engine.plugins.protocol import MAX_HOSTS
from console.errors import PluginError
from console.model.host import Host, HostState
from console.model.panel import Panel, PluginHost, Sample
from console.text import clean

ROUNDS = 2
"""Rates need two readings."""
BETWEEN_S = 1.0


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    panels: tuple[Panel, ...]
    samples: tuple[Sample, ...]
    landlock: int
    printed: str
    start_ms: float
    answer_ms: float


async def trial(
    bundle: Bundle, settings: Plugin, hosts: Sequence[Host], *, workstation: bool
) -> Trial:
    """Start it, ask it ``ROUNDS`` times, end it.

    Hosts are as the configuration has them; none is connected, so all are said to be CONNECTING.
    Raises PluginError with what it printed last.
    """
    here = [Host(name="workstation", address="localhost")] if workstation else []
    chosen = select([*here, *hosts], settings.hosts) if here or hosts else ()
    asked = [
        PluginHost(name=host.name, address=host.address, state=HostState.CONNECTING.value)
        for host in chosen[:MAX_HOSTS]
    ]
    process = PluginProcess(bundle, dict(settings.settings), settings.connect)
    slowest = 0.0
    try:
        began = time.monotonic()
        await process.start()
        started = time.monotonic() - began
        for number in range(ROUNDS):
            if number:
                await asyncio.sleep(BETWEEN_S)
            began = time.monotonic()
            answer = await process.ask(time.time(), asked)
            slowest = max(slowest, time.monotonic() - began)
    except PluginError as error:
        last = process.printed.strip().rpartition("\n")[2]
        hint = f"It printed: {clean(last)}" if last else error.hint
        raise PluginError(error.message, where=bundle.name, hint=hint) from error
    finally:
        await process.kill()
    return Trial(
        panels=tuple(panel for panels in answer.panels.values() for panel in panels),
        samples=answer.samples,
        landlock=process.landlock,
        printed=process.printed,
        start_ms=1000 * started,
        answer_ms=1000 * slowest,
    )
