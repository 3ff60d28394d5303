"""Both people of the demo in turn, each at an engine of their own: the drill told as lines."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import msgspec

from console.demo.drill import FIRST, SECOND
from console.demo.run import Demo
from console.demo.seat import parts, state_dir
from console.engine.build import local_engine
from console.engine.session import LocalEngine
from console.errors import WatchfloorError
from console.model.guard import TWO_BEFORE, Outcome, Prompt
from console.model.words import rate

STAGE = "weights-again"
HOST = "store-fra-1"
LOOK_S = 0.2
WAIT_S = 30.0
STANDS_S = 12.0
"""How long the isolation is left standing, so that it can be seen."""


class Rehearsal:
    """Isolates the breached host and lets it go, once its last stage has begun."""

    def __init__(self, demo: Demo, alice: LocalEngine) -> None:
        """``alice`` is an engine at which the first person sits."""
        self._demo = demo
        self._alice = alice
        self._said: deque[tuple[float, str, str]] = deque()

    def told(self) -> list[tuple[float, str, str]]:
        """What was said since the last call: time, who, and what."""
        out = list(self._said)
        self._said.clear()
        return out

    def _tell(self, who: str, what: str) -> None:
        self._said.append((time.time(), who, what))

    async def run(self) -> None:
        """Wait for the stage, then go through the drill. Raises nothing but CancelledError."""
        while not any(one.id == STAGE for one in self._demo.stages_begun()):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
        config = self._demo.config()
        bob = local_engine(
            msgspec.structs.replace(
                config,
                hosts=tuple(host for host in config.hosts if host.name == HOST),
                workstation=False,
                history=False,
                state_dir=state_dir(self._demo.folder, SECOND),
                plugins={},
            ),
            acting=parts(self._demo.folder, SECOND, config.known),
        )
        await bob.start()
        try:
            await self._both(bob)
        except (WatchfloorError, TimeoutError) as error:
            self._tell("drill", f"it ends here: {error or 'something did not come in time'}")
        finally:
            await bob.stop()

    async def _both(self, bob: LocalEngine) -> None:
        alice = self._alice
        await self._until(lambda: self._egress() > 5e8)
        self._tell(FIRST, f"sees {rate(self._egress())} leave {HOST}, and asks to isolate it")
        preview = await alice.preview([HOST], "isolate", {})
        asked = await alice.submit(preview, "weights leave this host", TWO_BEFORE, self._by(FIRST))
        rid = _ok(asked)
        self._tell(FIRST, "has signed; one signature does nothing: the copy goes on")
        await self._approve(bob, rid)
        await self._until(lambda: self._state(rid) == "STANDING")
        told = f"is isolated: {rate(self._egress())} leave it now; SSH of the operators still works"
        self._tell(HOST, told)
        await asyncio.sleep(STANDS_S)
        self._tell(FIRST, "asks to let the host go; that takes two again")
        released = await alice.release([HOST], rid, "the copy was ended", self._by(FIRST))
        await self._approve(bob, _ok(released))
        await self._until(lambda: not self._state(rid))
        self._tell(HOST, "is released; its usual clients are back, the copy is not")
        self._tell("drill", f"its proof: watchfloor demo --join -- audit verify {HOST}")

    async def _approve(self, bob: LocalEngine, rid: str) -> None:
        await self._until(lambda: any(each.id == rid for each in bob.requests()))
        view = next(each for each in bob.requests() if each.id == rid)
        self._tell(SECOND, f"reads the same on a console of his own: {view.words}")
        _ok(await bob.decide([HOST], rid, True, "", self._by(SECOND)))
        self._tell(SECOND, "has approved")

    def _by(self, name: str) -> "Callable[[Prompt], asyncio.Future[str | None]]":
        def ask(prompt: Prompt) -> "asyncio.Future[str | None]":
            self._tell(name, prompt.text)
            return asyncio.get_running_loop().create_future()  # until it is taken away

        return ask

    def _egress(self) -> float:
        view = self._alice.snapshot().host(HOST)
        return (view.fast.tx_bps or 0.0) if view is not None and view.fast is not None else 0.0

    def _state(self, rid: str) -> str:
        view = self._alice.snapshot().host(HOST)
        active = view.guard.active if view is not None and view.guard is not None else ()
        return next((item.state for item in active if item.id == rid), "")

    async def _until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not true():  # noqa: ASYNC110  # an engine is looked at, it does not call
                await asyncio.sleep(LOOK_S)


def _ok(outcomes: list[Outcome]) -> str:
    """The id, where the host agreed. Raises WatchfloorError."""
    (one,) = outcomes
    if not one.ok:
        raise WatchfloorError(one.words, where=one.host, hint=one.hint)
    return one.id
