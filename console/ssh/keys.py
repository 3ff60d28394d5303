"""Private keys: read once, refused when loose, asked for once, kept only in memory.

A key file is read when a connection first needs it and again when the file changes. An encrypted
one is decrypted with a passphrase that a person gives once, however many connections wait for it;
the passphrase is not kept and is in no text. Hardware keys (``sk-``) sign through the agent.
"""

import asyncio
import os
import stat
import time
from pathlib import Path

import asyncssh
import msgspec
from asyncssh.public_key import load_keypairs

from console.errors import KeyFileError
from console.model.host import Host
from console.model.link import AskPassphrase
from console.text import clean

TRIES = 3
GIVEN_UP_S = 20.0  # covers a fleet that connects; a later retry by a person asks again
MAX_BYTES = 65_536

Stamp = tuple[int, int, int]


class KeyFile(msgspec.Struct, frozen=True):
    """Bytes of a key file, and the stamp that changes when the file does."""

    path: str
    data: bytes
    stamp: Stamp
    public: bool  # a public key line: names a key that an agent holds


class _GaveUp(msgspec.Struct, frozen=True):
    error: str
    until: float
    stamp: Stamp


def read_key_file(path: str) -> KeyFile:
    """Read a private (or public) key file.

    Raises KeyFileError when it is missing, too big, not ours, or private and readable by others.
    """
    where = clean(path, 300)
    try:
        # Without blocking, or a named pipe in its place would stop the console.
        number = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_NONBLOCK)
        with open(number, "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise KeyFileError("is not a regular file", where=where)
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        hint = "Check `key` in the inventory."
        raise KeyFileError(clean(exc.strerror or "cannot be read"), where=where, hint=hint) from exc
    if len(data) > MAX_BYTES:
        raise KeyFileError("is too big to be a key", where=where)
    public = b"PRIVATE KEY" not in data
    if not public:
        _check_private(info, where)
    return KeyFile(path, data, (info.st_ino, info.st_mtime_ns, info.st_size), public)


def _check_private(info: os.stat_result, where: str) -> None:
    if info.st_uid not in (os.geteuid(), 0):
        raise KeyFileError(
            f"the private key belongs to another user (uid {info.st_uid})",
            where=where,
            hint=f"Make it yours: chown {os.geteuid()} and chmod 600.",
        )
    if info.st_mode & 0o077:
        mode = stat.S_IMODE(info.st_mode)
        raise KeyFileError(
            f"the private key can be read by others (mode {mode:04o})",
            where=where,
            hint=f"Run: chmod 600 {where}",
        )


def is_encrypted(file: KeyFile) -> bool:
    """Whether a passphrase is needed; KeyFileError when it is no key at all."""
    try:
        asyncssh.import_private_key(file.data)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as exc:
        if "assphrase" in str(exc):
            return True
        raise _unreadable(file.path) from exc
    return False


def _unreadable(path: str) -> KeyFileError:
    return KeyFileError(
        "is not a private key that can be read",
        where=clean(path, 300),
        hint="Expected an OpenSSH or PEM private key.",
    )


def certificate_of(host: Host) -> asyncssh.SSHCertificate | None:
    """The user certificate of ``host``; None where none is named and none lies beside the key.

    Raises KeyFileError when it cannot be used.
    """
    stem = host.key.removesuffix(".pub")
    path = Path(host.certificate or f"{stem}-cert.pub").expanduser()
    if not host.certificate and not path.exists():
        return None
    try:
        return asyncssh.read_certificate(path)
    except (OSError, asyncssh.KeyImportError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no OpenSSH certificate"
        raise KeyFileError(
            f"the certificate cannot be read: {clean(reason or 'unknown')}",
            where=clean(str(path), 300),
            hint="Put the signed file (KEY-cert.pub) there, or set or leave out `certificate`.",
        ) from exc


class KeyRing:
    """The keys of one console run, shared by all connections."""

    def __init__(self, ask_passphrase: AskPassphrase | None = None) -> None:
        """``ask_passphrase`` is called at most once at a time for a file; None: never asked."""
        self._ask = ask_passphrase
        self._loaded: dict[str, tuple[Stamp, asyncssh.SSHKey]] = {}
        self._asking: dict[str, asyncio.Task[asyncssh.SSHKey]] = {}
        self._gave_up: dict[str, _GaveUp] = {}
        self._agent: asyncssh.SSHAgentClient | None = None

    async def pairs(self, host: Host) -> list[asyncssh.SSHKeyPair]:
        """Keys to offer to ``host``, best first: new objects, since signing changes them.

        Raises KeyFileError when there is none or the configured one cannot be used.
        """
        held = await self._agent_keys() if host.agent else []
        if not host.key:
            if held:
                return held
            raise KeyFileError(
                "no key: `key` is empty" + (" and the agent holds none" if host.agent else ""),
                where=clean(host.name, 80),
                hint="Set `key`, or `agent = true` with a running agent that holds one.",
            )
        certificate = certificate_of(host)
        chosen = await self._chosen(host, held)
        if certificate is not None and certificate.key.public_data != chosen.public_data:
            raise KeyFileError("the certificate is for another key", where=clean(host.key, 300))
        if isinstance(chosen, asyncssh.SSHKeyPair):
            if certificate is not None:
                chosen.set_certificate(certificate)
            first = [chosen]
        elif certificate is not None:
            first = list(load_keypairs([(chosen, certificate)]))
        else:
            first = list(load_keypairs([chosen]))
        offered = {item.public_data for item in first}
        return first + [item for item in held if item.public_data not in offered]

    async def _chosen(
        self, host: Host, held: list[asyncssh.SSHKeyPair]
    ) -> asyncssh.SSHKey | asyncssh.SSHKeyPair:
        """The configured key: from its file, or from the agent where only that can sign."""
        file = read_key_file(host.key)
        if file.public:
            public = _public(file)
        else:
            key = await self._private(file)
            if not key.algorithm.startswith(b"sk-"):
                return key
            public = key
        for item in held:
            if item.public_data == public.public_data:
                return item
        if public.algorithm.startswith(b"sk-"):
            raise KeyFileError(
                "a hardware key signs only through an agent or the system's ssh",
                where=clean(host.key, 300),
                hint='Add it with ssh-add and set `agent = true`, or set transport = "openssh".',
            )
        raise KeyFileError(
            "is a public key, and the agent does not hold the private one",
            where=clean(host.key, 300),
            hint="Set `key` to the private key, or ssh-add it and set `agent = true`.",
        )

    async def _private(self, file: KeyFile) -> asyncssh.SSHKey:
        known = self._loaded.get(file.path)
        if known is not None and known[0] == file.stamp:
            return known[1]
        if not is_encrypted(file):
            key = asyncssh.import_private_key(file.data)
            self._loaded[file.path] = (file.stamp, key)
            return key
        gave_up = self._gave_up.get(file.path)
        if gave_up and gave_up.stamp == file.stamp and time.monotonic() < gave_up.until:
            raise KeyFileError(gave_up.error, where=clean(file.path, 300), hint=_ENCRYPTED_HINT)
        task = self._asking.get(file.path)
        if task is None:
            task = asyncio.create_task(self._unlock(file), name="passphrase")
            self._asking[file.path] = task
            task.add_done_callback(lambda done: self._asked(file.path, done))
        # One connection that is given up must not take the question away from the others.
        return await asyncio.shield(task)

    def _asked(self, path: str, task: asyncio.Task[asyncssh.SSHKey]) -> None:
        self._asking.pop(path, None)
        if not task.cancelled():
            task.exception()  # seen: every waiter may have gone

    async def _unlock(self, file: KeyFile) -> asyncssh.SSHKey:
        error = "the private key is encrypted and nobody can be asked for its passphrase"
        for number in range(1, TRIES + 1 if self._ask else 1):
            assert self._ask is not None  # noqa: S101  # for the type checker
            wrong = f" (that was wrong; try {number} of {TRIES})" if number > 1 else ""
            passphrase = await self._ask(file.path + wrong)
            if passphrase is None:
                error = "the private key is encrypted and no passphrase was given"
                break
            try:
                # In a thread: the key derivation takes a tenth of a second on purpose.
                key = await asyncio.to_thread(asyncssh.import_private_key, file.data, passphrase)
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
                error = f"the passphrase was wrong {TRIES} times"
                continue
            finally:
                del passphrase
            self._loaded[file.path] = (file.stamp, key)
            return key
        self._gave_up[file.path] = _GaveUp(error, time.monotonic() + GIVEN_UP_S, file.stamp)
        raise KeyFileError(error, where=clean(file.path, 300), hint=_ENCRYPTED_HINT)

    def forget(self) -> None:
        """Ask again about keys that a person gave up on."""
        self._gave_up.clear()

    async def _agent_keys(self) -> list[asyncssh.SSHKeyPair]:
        path = os.environ.get("SSH_AUTH_SOCK", "")
        if not path:
            return []
        if self._agent is None:
            self._agent = asyncssh.SSHAgentClient(path)
        try:
            return list(await self._agent.get_keys())
        except ValueError:  # the agent is gone or locked: as if it held nothing
            return []

    async def close(self) -> None:
        """End questions and the connection to the agent; drop the keys."""
        for task in list(self._asking.values()):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._loaded.clear()
        if self._agent is not None:
            self._agent.close()
            await self._agent.wait_closed()
            self._agent = None


_ENCRYPTED_HINT = "Give its passphrase, or ssh-add it and set `agent = true`."


def _public(file: KeyFile) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(file.data)
    except (asyncssh.KeyImportError, ValueError) as exc:
        raise _unreadable(file.path) from exc
