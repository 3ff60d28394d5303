"""This console as a witness: C2SP signed notes with a ``cosignature/v1`` line of its own.

Formats: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature.
"""

import base64
import contextlib
import hashlib
import os
import struct
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from console.errors import StoreError

KEY_FILE = "witness.key"
COSIGNATURE = b"\4"


class Cosigner(msgspec.Struct, frozen=True):
    """The console's witness key. ``name`` is what its lines begin with."""

    name: str
    key: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        """32 bytes."""
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def key_id(self) -> bytes:
        """4 bytes, by name and key."""
        hashed = hashlib.sha256(self.name.encode() + b"\n" + COSIGNATURE + self.public)
        return hashed.digest()[:4]

    @property
    def vkey(self) -> str:
        """What an external tool is given to check the lines: ``name+id+base64``."""
        key = base64.b64encode(COSIGNATURE + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"

    def note(self, body: str, at: int) -> str:
        """The checkpoint body as a signed note with our line, made at ``at`` (seconds)."""
        signature = self.key.sign(f"cosignature/v1\ntime {at}\n{body}".encode())
        packed = self.key_id + struct.pack(">Q", at) + signature
        return f"{body}\n\u2014 {self.name} {base64.b64encode(packed).decode()}\n"


def cosigner(folder: Path) -> Cosigner:
    """The key of this console, made at first use with mode 0600. Raises StoreError."""
    path = folder / KEY_FILE
    try:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            _make(path)
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            mode = os.fstat(handle).st_mode
            data = file.read(4096)
        if mode & 0o077:
            raise StoreError(
                "others may read the witness key",
                where=str(path),
                hint=f"Was it copied? Then delete it and tell the peers; else: chmod 600 {path}",
            )
        key = load_pem_private_key(data, None)
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (ValueError, TypeError):
        raise StoreError("is no private key", where=str(path)) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError("is no Ed25519 key", where=str(path))
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Cosigner("watchfloor-console/" + hashlib.sha256(public).hexdigest()[:16], key)


def _make(path: Path) -> None:
    """Written beside and linked into place: of two processes, both then use the one that won."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
