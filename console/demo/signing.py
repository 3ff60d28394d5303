"""Signing with a throw-away key made in software, for the demo's two people."""

from console.demo.fido import FidoKey
from console.model.guard import Ask, Prompt


class ThrowAwaySigning:
    """A ``Signing`` whose key is no hardware; it asks for a touch as a real one would."""

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
