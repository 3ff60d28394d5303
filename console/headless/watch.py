"""What happens, line by line, until stopped."""

import asyncio
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from console.engine.logins import Logins
from console.engine.protocol import Engine
from console.headless.document import counters, named
from console.headless.plain import event_line, summary
from console.headless.status import code
from console.model.event import Event
from console.model.view import FleetSnapshot, HostView

LOOK_S = 0.25
SUMMARY_S = 10.0
QUIET = frozenset({"process.new", "log.line"})
"""Events that plain lines leave out: a busy host has hundreds a minute. --json has them all."""


def brief(view: HostView) -> dict[str, Any]:
    """A host's state and fast numbers, for one line of JSON."""
    return {
        "type": "host",
        "host": view.name,
        "state": view.state.value,
        "reason": view.reason,
        "at": view.frame_at,
        "counters": counters(view.fast),
        "gpus": [named(gpu) for gpu in view.fast.gpu] if view.fast is not None else [],
        "listeners": len(view.listeners),
        "gpu_processes": len(view.gpu_processes),
    }


class Lines:
    """Makes lines from what is new in an engine."""

    def __init__(
        self, engine: Engine, *, as_json: bool, files: Sequence[str] = (), after: int = 0
    ) -> None:
        """``files`` of the configuration: where hosts can be added while there are none.

        Events up to number ``after`` are not told.
        """
        self._engine = engine
        self._files = files
        self._json = as_json
        self._after = after
        self._logins = Logins()
        self._shown: dict[str, HostView] = {}
        self._summary_at = 0.0

    def new(self, now: float) -> Iterator[str]:
        """What is new at monotonic time ``now``."""
        while events := self._engine.events(self._after):
            self._after = events[-1].seq
            yield from (line for event in events if (line := self._event(event)))
        snapshot = self._engine.snapshot()
        if self._json:
            yield from self._changed(snapshot)
        elif now >= self._summary_at:
            if self._summary_at:
                yield summary(snapshot, self._files)
            self._summary_at = now + SUMMARY_S

    def _event(self, event: Event) -> str:
        if self._json:
            whole = {"type": "event", **msgspec.to_builtins(event)}
            return msgspec.json.encode(whole).decode()
        event = self._logins.read(event)  # as on the screens; --json has events as they came
        return "" if event.kind in QUIET else event_line(event)

    def _changed(self, snapshot: FleetSnapshot) -> Iterator[str]:
        for view in snapshot.hosts:
            before = self._shown.get(view.name)
            if before is view:
                continue
            self._shown[view.name] = view
            same_frame = before is not None and before.frame_at == view.frame_at
            if not same_frame or (before is not None and before.state is not view.state):
                yield msgspec.json.encode(brief(view)).decode()


async def watch(
    engine: Engine, *, as_json: bool, seconds: float | None, files: Sequence[str] = ()
) -> int:
    """Print until a signal or the end of ``seconds``; 0 when all hosts are LIVE then."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    lines = Lines(engine, as_json=as_json, files=files)
    await engine.start()
    end = None if seconds is None else loop.time() + seconds
    try:
        while not stopped.is_set():
            for line in lines.new(loop.time()):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
            left = LOOK_S if end is None else min(LOOK_S, end - loop.time())
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    await stopped.wait()
            except TimeoutError:
                continue
        return code(engine.snapshot())
    finally:
        await engine.stop()
