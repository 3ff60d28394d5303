"""One plugin over time: pinned, started, asked, ended when it misbehaves, started again."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from console.clock import Clock
from console.config.document import Plugin as Settings
from console.engine.plugins import landlock
from console.engine.plugins.manifest import Bundle, find
from console.engine.plugins.process import PluginProcess, held
from console.engine.plugins.protocol import MAX_HOSTS, Answer
from console.errors import PluginError
from console.fleet.history import KEEP_S, Ring
from console.model.event import Event
from console.model.history import Series
from console.model.panel import Note, Panel, PluginHost, series_name
from console.model.view import HostView
from console.text import clean

PAUSES = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds before each new start in a row; after the last it is given up."""
CALM_S = 600.0
"""One that ran so long begins again at the first pause."""
LOOK_S = 5.0
STEP_S = 10.0
MAX_SERIES = 64
"""Numbers that are kept of one host."""
UNIT = 1000.0
"""What one means in the half floats of a ring: values from 0.06 to 65 million keep three digits."""

PORTS = "it may connect to any port"
"""What a kernel whose Landlock knows no ports does not hold of a plugin that was granted one."""

Views = Callable[[], Mapping[str, HostView]]


class Around(msgspec.Struct, frozen=True):
    """What every plugin gets from the engine."""

    clock: Clock
    views: Views  # the newest view of each host
    emit: Callable[[Event], None]
    changed: Callable[[], None]
    within: Sequence[Path] | None = None  # folders to look in; None: the usual ones


class Supervised:
    """A plugin that the configuration enables, for ``hosts``. ``run`` until cancelled."""

    def __init__(self, name: str, settings: Settings, hosts: Sequence[str], around: Around) -> None:
        self.name = name
        self._settings = settings
        self._hosts = tuple(hosts)
        self._around = around
        self._panels: dict[str, tuple[Panel, ...]] = {}
        self._rings: dict[str, dict[str, Ring]] = {}  # by host and whole name
        self._stopped = ""
        self._bare = False  # it was told that the kernel holds no ports

    # -- what faces see

    def panels(self, host: str) -> tuple[Panel, ...]:
        """What it shows of a host; where it is stopped, why."""
        if host not in self._hosts:
            return ()
        if self._stopped:
            note = Note(text=self._stopped, severity="bad")
            return (
                Panel(
                    host=host, title=self.name, items=(note,), plugin=self.name,
                    stopped=self._stopped,
                ),
            )  # fmt: skip
        if host not in self._panels:
            note = Note(text="has not answered yet")
            return (Panel(host=host, title=self.name, items=(note,), plugin=self.name),)
        return self._panels[host]

    def series(self, host: str) -> list[str]:
        """The whole names of its numbers of a host."""
        return [*self._rings.get(host, ())]

    def history(self, host: str, name: str, seconds: float) -> Series:
        """One of its numbers over the last hour at most; ``name`` is the whole name."""
        ring = self._rings.get(host, {}).get(name)
        if ring is None:
            return Series(host=host, name=name, step_s=0.0)
        since = self._around.clock.wall() - min(seconds, KEEP_S)
        return Series(host=host, name=name, step_s=ring.step, points=tuple(ring.points(since)))

    # -- life

    async def run(self) -> None:
        """Keep it running until it is given up."""
        bundle = await self._bundle()
        if bundle is None:
            return
        failures = 0
        while True:
            began = self._around.clock.mono()
            try:
                await self._live(bundle)
            except PluginError as error:
                reason = clean(error.message, 400)
            except Exception as error:  # noqa: BLE001,RUF100  # else the last panel stands for ever
                reason = _defect(error)
            if self._around.clock.mono() - began > CALM_S:
                failures = 0
            if failures >= len(PAUSES):
                self._stop("plugin.given-up", f"given up: {reason}", reason=reason, count=failures)
                return
            pause = PAUSES[failures]
            failures += 1
            again = f"stopped: {reason}; starts again after {pause:g} s"
            self._stop("plugin.stopped", again, reason=reason, again_s=pause)
            await asyncio.sleep(pause)

    async def _bundle(self) -> Bundle | None:
        """Its files, when they are those that were pinned; else None, and it is told.

        None too where this kernel would not hold the plugin.
        """
        try:
            if not self._settings.sha256:
                raise PluginError(
                    "has no sha256 in the configuration",
                    hint=f"`watchfloor plugins pin {self.name}` prints what to add.",
                )
            held()
            bundle = await asyncio.to_thread(find, self.name, self._around.within)
            if bundle.sha256 != self._settings.sha256:
                raise PluginError(
                    "its files are not those that were pinned",
                    hint=f"Look at what changed, then `watchfloor plugins pin {self.name}`.",
                )
        except PluginError as error:
            self._stop("plugin.refused", f"not loaded: {error}", reason=clean(str(error), 400))
            return None
        except Exception as error:  # noqa: BLE001,RUF100
            reason = _defect(error)
            self._stop("plugin.refused", f"not loaded: {reason}", reason=reason)
            return None
        return bundle

    async def _live(self, bundle: Bundle) -> None:
        """Start it and ask until it does something wrong. Always raises."""
        process = PluginProcess(bundle, dict(self._settings.settings), self._settings.connect)
        try:
            if held() < landlock.PORTS_FROM and process.network and not self._bare:
                self._bare = True
                self._tell("plugin.less-confined", missing=PORTS)
            await process.start()
            self._tell("plugin.started", version=bundle.manifest.version)
            while True:
                for hosts in self._questions():
                    at = self._around.clock.wall()
                    self._take(await process.ask(at, hosts), [host.name for host in hosts], at)
                left = self._settings.interval_s
                while left > 0:  # a long pause is no time without eyes
                    await asyncio.sleep(min(left, LOOK_S))
                    left -= LOOK_S
                    process.check_cost()
        finally:
            await process.kill()

    def _questions(self) -> Iterator[list[PluginHost]]:
        views = self._around.views()
        hosts = [
            PluginHost(name=name, address=view.spec.address, state=view.state.value)
            for name in self._hosts
            if (view := views.get(name)) is not None
        ]
        for begin in range(0, len(hosts), MAX_HOSTS):
            yield hosts[begin : begin + MAX_HOSTS]

    def _take(self, answer: Answer, asked: Sequence[str], at: float) -> None:
        for sample in answer.samples:
            rings = self._rings.setdefault(sample.host, {})
            name = series_name(self.name, sample.name)
            if name not in rings and len(rings) >= MAX_SERIES:
                raise PluginError(f"names more than {MAX_SERIES} numbers of one host")
            rings.setdefault(name, Ring(STEP_S, folded=True, unit=UNIT)).add(at, sample.value)
        new = {host: answer.panels.get(host, ()) for host in asked}
        if self._stopped or any(_bare(self._panels.get(h)) != _bare(p) for h, p in new.items()):
            self._around.changed()
        self._stopped = ""
        self._panels |= new

    def _stop(self, kind: str, words: str, **facts: Any) -> None:
        self._stopped = clean(words, 500)
        self._panels.clear()
        self._tell(kind, **facts)

    def _tell(self, kind: str, **facts: Any) -> None:
        at = self._around.clock.wall()
        self._around.emit(Event(kind=kind, host="", at=at, key=self.name, facts=facts))


def _bare(panels: tuple[Panel, ...] | None) -> list[Panel] | None:
    """Panels without their time: what a person would see change."""
    if panels is None:
        return None
    return [msgspec.structs.replace(panel, at=0.0) for panel in panels]


def _defect(error: Exception) -> str:
    """What is no fault of the plugin's, in one line."""
    return clean(f"a defect of Watchfloor: {type(error).__name__}: {error}", 400)
