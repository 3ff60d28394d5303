"""A sink for links that remembers what arrived and can be waited for."""

import asyncio

from console.model.link import Link


class RecordingSink:
    """Keeps the bytes, the narration and the end of one link."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.said: list[str] = []
        self.ends: list[Exception | None] = []
        self.pause_after = 0  # bytes after which ``link`` is paused, 0: never
        self.link: Link | None = None
        self._changed = asyncio.Event()

    def data(self, chunk: bytes) -> None:
        """Keep bytes."""
        self.received += chunk
        if self.pause_after and len(self.received) >= self.pause_after and self.link:
            self.link.pause()
        self._changed.set()

    def narration(self, text: str) -> None:
        """Keep a line of standard error."""
        self.said.append(text)
        self._changed.set()

    def closed(self, error: Exception | None) -> None:
        """Keep the end."""
        self.ends.append(error)
        self._changed.set()

    async def until(self, size: int, seconds: float = 20.0) -> bytes:
        """Wait until at least ``size`` bytes came, or the end."""
        async with asyncio.timeout(seconds):
            while len(self.received) < size and not self.ends:
                self._changed.clear()
                await self._changed.wait()
        return bytes(self.received)

    async def lines(self, count: int, seconds: float = 20.0) -> list[bytes]:
        """Wait until ``count`` whole lines came, or the end."""
        async with asyncio.timeout(seconds):
            while self.received.count(b"\n") < count and not self.ends:
                self._changed.clear()
                await self._changed.wait()
        return bytes(self.received).split(b"\n")[:-1]

    async def end(self, seconds: float = 20.0) -> Exception | None:
        """Wait for the end; its error."""
        async with asyncio.timeout(seconds):
            while not self.ends:
                self._changed.clear()
                await self._changed.wait()
        return self.ends[0]
