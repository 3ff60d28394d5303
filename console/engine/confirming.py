"""Reachabilities that are being confirmed, beside whatever else goes on."""

import asyncio
from collections.abc import Callable, Mapping

from console.actions.around import Around
from console.actions.confirm import confirm
from console.actions.send import Token
from console.clock import Clock
from console.model.event import Event
from console.model.host import Host

LEAVE_S = 2.0
"""For a reachability that is being confirmed: without it the host would undo what was approved."""


class Confirming:
    """Tasks that give tokens back to their hosts; what comes of each is an event."""

    def __init__(
        self, emit: Callable[[Event], None], clock: Clock, skew: Callable[[str], float]
    ) -> None:
        """``skew``: how far a host's clock is ahead of this machine's, by the host's name."""
        self._emit = emit
        self._clock = clock
        self._skew = skew
        self._tasks: set[asyncio.Task[None]] = set()

    def of(
        self, around: Around, action: str, plans: Mapping[str, int]
    ) -> Callable[[Host, Token], None]:
        """Confirms with what was true when it was sent: nothing may stop that half way. ``plans``:
        for how long each plan lets a host wait for it."""

        def begin(host: Host, token: Token) -> None:
            work = self._confirm(around, host, token, action, plans.get(host.name, 0))
            task = asyncio.create_task(work, name="confirm")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return begin

    async def _confirm(
        self, around: Around, host: Host, token: Token, action: str, confirm_s: int
    ) -> None:
        def tell(well: bool, said: str) -> None:
            kind = "guard.confirmed" if well else "guard.unreachable"
            facts = {"action": action, "state" if well else "why": said}
            self._emit(
                Event(
                    kind=kind, host=host.name, at=self._clock.wall(), key=token.id, facts=facts
                )
            )  # fmt: skip

        try:
            await confirm(around, host, token, self._skew(host.name), tell, confirm_s)
        except Exception as odd:  # noqa: BLE001,RUF100  # told: the host may undo it
            tell(False, f"this console failed on what the host says: {type(odd).__name__}")

    async def done(self) -> None:
        """Wait until every reachability is confirmed or given up: before a verb ends."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        """End what is under way; whoever leaves right after an approval still confirms it."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LEAVE_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
