"""The row of this workstation, measured in threads so that no slow tool holds the fleet up."""

import asyncio
import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from console.clock import Clock, SystemClock
from console.model.host import Host, HostState
from console.model.view import HostView
from console.text import clean

if TYPE_CHECKING:
    from console.fleet.workstation.measure import Meter

NAME = "workstation"
FAST_S = 2.0
SLOW_S = 10.0  # processes
LISTEN_S = 30.0
FACTS_S = 60.0

T = TypeVar("T")


class Workstation:
    """This machine as a row (``RowSource``). LIVE from the first measurement on."""

    def __init__(self, *, clock: Clock | None = None, home: Path | None = None) -> None:
        self._clock = clock or SystemClock()
        self._home = home or Path.home()
        self._view = HostView(
            spec=Host(name=NAME, address="localhost", user=_user()),
            workstation=True,
            since=self._clock.wall(),
        )

    def view(self) -> HostView:
        """The newest view: the same object until something changed."""
        return self._view

    async def run(self, changed: Callable[[], None]) -> None:
        """Measure until cancelled; ``changed`` is called after each change.

        The fast lane keeps its pace while a tool of the posture is slow.
        """
        from console.fleet.workstation import measure, posture

        meter = measure.Meter()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fast(meter, changed))
            group.create_task(self._each(SLOW_S, "summary", meter.processes, changed))
            group.create_task(self._each(LISTEN_S, "listeners", measure.listeners, changed))
            group.create_task(self._each(FACTS_S * 10, "inventory", measure.inventory, changed))
            group.create_task(
                self._each(
                    FACTS_S, "facts", lambda: posture.posture(os.environ, self._home), changed
                )
            )

    async def _fast(self, meter: "Meter", changed: Callable[[], None]) -> None:
        while True:
            try:
                fast = await asyncio.to_thread(meter.fast)
            except Exception as exc:  # noqa: BLE001,RUF100  # psutil meets kernels nobody has seen
                self._state(HostState.STALE, f"cannot be measured: {_told(exc)}")
            else:
                self._set(fast=fast, frame_at=self._clock.wall())
                self._state(HostState.LIVE, "")
            changed()
            await asyncio.sleep(FAST_S)

    async def _each(
        self, period: float, field: str, read: Callable[[], T], changed: Callable[[], None]
    ) -> None:
        """Fill one field each ``period`` seconds; what cannot be read is denied, not empty."""
        while True:
            try:
                value = await asyncio.to_thread(read)
            except Exception as exc:  # noqa: BLE001,RUF100  # as above: one field, never the row
                self._set(denied={**self._view.denied, field: _told(exc)})
            else:
                rest = {key: why for key, why in self._view.denied.items() if key != field}
                self._set(**{field: value, "denied": rest})
            changed()
            await asyncio.sleep(period)

    def _state(self, state: HostState, reason: str) -> None:
        if (state, reason) != (self._view.state, self._view.reason):
            self._set(state=state, reason=reason, since=self._clock.wall())

    def _set(self, **fields: object) -> None:
        self._view = msgspec.structs.replace(self._view, **fields)


def _told(exc: Exception) -> str:
    return clean(f"{type(exc).__name__}: {exc}", 200)


def _user() -> str:
    try:
        return clean(getpass.getuser(), 64)
    except (KeyError, OSError):  # an account without a name, as in some containers
        return str(os.geteuid())
