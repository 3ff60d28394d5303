"""Signing with a throw-away key made in software, for the demo's people and for tests."""

import asyncio
import time
from pathlib import Path

from console.demo.fido import FidoKey
from console.errors import ActionError
from console.model.guard import Ask, Prompt

TOUCH_S = 1.2
"""How long the demo shows what a real key would wait for."""
TOUCH = "a real key blinks now and waits for a touch; this one is made in software and signs itself"


class ThrowAwaySigning:
    """A ``Signing`` whose key is no hardware; it says so instead of asking for a touch."""

    def __init__(self, key: FidoKey) -> None:
        self._key = key
        self._counter = 0

    @property
    def blob(self) -> bytes:
        """The public key."""
        return self._key.blob

    async def sign(self, namespace: str, data: bytes, ask: Ask) -> str:
        """An armored signature; the prompt says that nothing has to be touched."""
        await ask(Prompt(kind="confirm", text="a key of the demo signs, made in software"))
        self._counter += 1
        return self._key.sign(data, namespace, counter=self._counter)


class DemoSigning:
    """One person of the demo, by the file of their key's seed, read when it is first needed.

    Several consoles may sign as one person: the counter is one of time, so that it never falls.
    """

    def __init__(self, seed: Path, touch_s: float = TOUCH_S) -> None:
        self._seed = seed
        self._touch_s = touch_s
        self._found: FidoKey | None = None
        self._counter = 0

    @property
    def _key(self) -> FidoKey:
        if self._found is None:
            try:
                self._found = FidoKey(self._seed.read_bytes())
            except (OSError, ValueError):
                raise ActionError(
                    "the demo's key is not there", where=str(self._seed),
                    hint="Does the demo still run?", rule="key",
                ) from None  # fmt: skip
        return self._found

    @property
    def blob(self) -> bytes:
        """The public key. Raises ActionError."""
        return self._key.blob

    async def sign(self, namespace: str, data: bytes, ask: Ask) -> str:
        """An armored signature, after the prompt of a touch was there for a moment.

        Raises ActionError where the person gives up meanwhile.
        """
        key = self._key
        prompt = Prompt(kind="touch", text=TOUCH, key=f"demo key of {self._seed.parent.name}")

        async def shown() -> None:
            await ask(prompt)

        touch = asyncio.create_task(shown(), name="touch")
        try:
            await asyncio.wait({touch}, timeout=self._touch_s)
            if touch.done():
                touch.result()
                raise ActionError("nothing was signed", hint="It was given up.", rule="given-up")
        finally:
            touch.cancel()
            await asyncio.gather(touch, return_exceptions=True)
        began = self._seed.stat().st_mtime
        self._counter = max(self._counter + 1, int((time.time() - began) * 50) + 1)
        return key.sign(data, namespace, counter=self._counter)
