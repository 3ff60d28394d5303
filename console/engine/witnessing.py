"""Keeps what guards publish as evidence, and tells at once where an audit log is not whole."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from console.clock import Clock
from console.errors import StoreError
from console.model.event import Event
from console.model.guard import GuardDocs
from console.store.witness import Witness

if TYPE_CHECKING:
    from console.audit.witness import Alarm, Watch

LOOK_S = 1.0


class Witnessing:
    """Looks at the raw documents of every host. The database is opened when the first comes."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        hosts: Callable[[], Iterable[str]],
        docs: Callable[[str], GuardDocs | None],
        emit: Callable[[Event], None],
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._hosts = hosts
        self._docs = docs
        self._emit = emit
        self._seen: dict[str, GuardDocs] = {}
        self._digests: dict[str, set[str]] = {}
        self._witness: Witness | None = None
        self._watch: Watch | None = None
        self._trouble = ""

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_S)
        finally:
            if self._witness is not None:
                self._witness.close()
                self._witness = self._watch = None  # opened anew where this is started again

    async def look(self) -> None:
        """Keep what is new of every host."""
        for host in self._hosts():
            docs = self._docs(host)
            if docs is None or docs is self._seen.get(host):
                continue
            before = self._digests.get(host, set())
            new = [(kind, data) for kind, digest, data in docs.docs if digest not in before]
            try:
                alarms = await asyncio.to_thread(self._keep, host, new)
            except StoreError as error:
                self._tell_trouble(str(error))
                return  # tried again: nothing is marked as seen
            self._tell_trouble("")
            self._seen[host] = docs
            self._digests[host] = {digest for _, digest, _ in docs.docs}
            for alarm in alarms:
                facts = {"reason": alarm.words, "hint": alarm.hint}
                self._emit(Event(kind=alarm.kind, host=host, at=self._clock.wall(), facts=facts))

    def _keep(self, host: str, new: list[tuple[str, bytes]]) -> "list[Alarm]":
        if self._watch is None:
            from console.audit.witness import (
                Watch,
            )  # what it checks signatures with is slow to load

            self._witness = Witness(self._folder)
            self._watch = Watch(self._witness)
        found: list[Alarm] = []
        for kind, data in new:
            try:
                found += self._watch.saw(host, kind, data)
            except StoreError:
                raise
            except Exception as defect:  # noqa: BLE001,RUF100  # one document, never all hosts
                found += self._watch.failed(host, kind, defect)
        return found

    def _tell_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            kind = "audit.unkept" if trouble else "audit.kept"
            facts = {"reason": trouble} if trouble else {}
            self._emit(Event(kind=kind, host="", at=self._clock.wall(), facts=facts))
