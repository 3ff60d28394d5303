"""Having a document signed: the console's side of the signer's process."""

import asyncio
import base64
import contextlib
import hashlib
import json
import struct
import sys
from pathlib import Path
from typing import Any, Protocol

from console.errors import ActionError
from console.model.guard import Ask, Prompt
from console.text import clean

_SIGNER = Path(__file__).with_name("signer.py")
_MAGIC = b"openssh-key-v1\0"
MAX_KEY = 65_536
MAX_LINE = 64 << 10
END_S = 3.0
HARDWARE = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")


class Signing(Protocol):
    """Signs as one person."""

    @property
    def blob(self) -> bytes:
        """The public key as SSH writes it. Raises ActionError where it cannot be read."""
        ...

    async def sign(self, namespace: str, data: bytes, ask: Ask) -> str:
        """An armored SSHSIG over ``data``. Raises ActionError."""
        ...


def fingerprint(blob: bytes) -> str:
    """``SHA256:...`` of a public key."""
    digest = hashlib.sha256(blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def kind_of(blob: bytes) -> str:
    """The type's name at the beginning of a public key; empty where there is none."""
    if len(blob) < 4:
        return ""
    (size,) = struct.unpack(">I", blob[:4])
    return blob[4 : 4 + size].decode("ascii", "replace") if size <= 64 else ""


class KeyFileSigning:
    """Signs with a key file by ``ssh-keygen`` in a process of its own; a hardware key's file too.

    The private part is never read here: the public one stands in the clear beside it.
    """

    def __init__(self, path: str) -> None:
        self.path = str(Path(path).expanduser())
        self._blob: bytes | None = None

    @property
    def blob(self) -> bytes:
        """The public key in the file's own head."""
        if self._blob is None:
            self._blob = _public_part(self.path)
        return self._blob

    async def sign(self, namespace: str, data: bytes, ask: Ask) -> str:
        """An armored signature; ``ask`` is called for a PIN, a passphrase and a touch."""
        order = {"key": self.path, "namespace": namespace, "data": data.decode("utf-8")}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-B", str(_SIGNER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # its own defects; a traceback may hold an answer
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            cwd="/",
            limit=MAX_LINE,
            start_new_session=True,  # what a terminal sends to all is not meant for it
        )  # fmt: skip
        try:
            return await _serve(process, order, Prompts(ask, self.path))
        finally:
            await _ended(process)
            # The pipes of a process that was killed would be closed by the collector, loudly.
            if process.stdin is not None:
                process.stdin.close()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End it where it has not: asked first, since it has a program and a folder to clear away."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    await process.wait()


class Prompts:
    """Puts a signer's questions to a person."""

    def __init__(self, ask: Ask, key: str) -> None:
        self._ask = ask
        self._key = key
        self._touch: asyncio.Task[str | None] | None = None

    async def answer(self, kind: str, text: str) -> str | None:
        """A PIN or a passphrase, None where the person gives up."""
        return await self._ask(Prompt(kind=kind, text=text, key=clean(self._key, 300)))

    def touch(self, text: str) -> asyncio.Task[str | None]:
        """Show that the key waits; the task ends by itself only where the person gives up."""
        if self._touch is None:
            prompt = Prompt(kind="touch", text=text, key=clean(self._key, 300))

            async def shown() -> str | None:
                return await self._ask(prompt)

            self._touch = asyncio.create_task(shown(), name="touch")
        return self._touch

    async def done(self) -> None:
        """Take the question about a touch away."""
        if self._touch is not None:
            self._touch.cancel()
            await asyncio.gather(self._touch, return_exceptions=True)


async def _serve(process: asyncio.subprocess.Process, order: Any, prompts: Prompts) -> str:
    assert process.stdout is not None  # noqa: S101  # asked for above
    await _send(process, order)
    touch: asyncio.Task[str | None] | None = None
    try:
        while True:
            line = asyncio.create_task(_line(process.stdout), name="signer")
            waits: set[asyncio.Task[Any]] = {line} if touch is None else {line, touch}
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not line.done():
                    line.cancel()
                    await asyncio.gather(line, return_exceptions=True)
            if line.cancelled():
                raise ActionError("nothing was signed", hint="It was given up.", rule="given-up")
            told = line.result()
            if "signature" in told:
                return str(told["signature"])
            if "error" in told or "ask" not in told:
                why = clean(str(told.get("error", "the signer ended without a word")), 400)
                raise ActionError(why, hint="Nothing was sent.", rule="signer")
            if told["ask"] == "touch":
                touch = prompts.touch(clean(str(told.get("text", "")), 300))
                continue
            kind = "pin" if told["ask"] == "pin" else "passphrase"
            given = await prompts.answer(kind, clean(str(told.get("text", "")), 300))
            await _send(process, {"answer": given})
    finally:
        await prompts.done()


async def _line(stream: asyncio.StreamReader) -> dict[str, Any]:
    try:
        told = json.loads(await stream.readline() or b"{}")
    except ValueError:
        told = {}
    return told if isinstance(told, dict) else {}


async def _send(process: asyncio.subprocess.Process, line: dict[str, Any]) -> None:
    assert process.stdin is not None  # noqa: S101
    with contextlib.suppress(ConnectionError):  # it has ended and says why
        process.stdin.write(json.dumps(line).encode() + b"\n")
        await process.stdin.drain()


def _public_part(path: str) -> bytes:
    """The public key of an OpenSSH private key file, which stands there unencrypted."""
    where = clean(path, 300)
    hint = "Make one with: ssh-keygen -t ed25519-sk -O verify-required -f FILE"
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_KEY)
    except OSError as error:
        why = error.strerror or "cannot be read"
        raise ActionError(
            f"the signing key cannot be read: {why}", where=where, hint=hint, rule="key"
        ) from None
    try:
        lines = text.split(b"\n")
        begin = lines.index(b"-----BEGIN OPENSSH PRIVATE KEY-----")
        end = lines.index(b"-----END OPENSSH PRIVATE KEY-----")
        data = base64.b64decode(b"".join(lines[begin + 1 : end]), validate=True)
        if not data.startswith(_MAGIC):
            raise ValueError
        data = data[len(_MAGIC) :]
        for _ in range(3):  # cipher, key derivation, its options
            _, data = _string(data)
        (count,) = struct.unpack(">I", data[:4])
        blob, _ = _string(data[4:])
        if count != 1 or not kind_of(blob):
            raise ValueError
    except (ValueError, struct.error):
        raise ActionError(
            "the signing key is no OpenSSH private key file", where=where, hint=hint, rule="key"
        ) from None
    return blob


def _string(data: bytes) -> tuple[bytes, bytes]:
    (size,) = struct.unpack(">I", data[:4])
    if size > len(data) - 4:
        raise ValueError
    return data[4 : 4 + size], data[4 + size :]
