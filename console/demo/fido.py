"""Throw-away signing keys made in software, for the demo's two people and for tests.

They sign as a FIDO2 authenticator does (OpenSSH's PROTOCOL.u2f): the flags, the counter and the
application are whatever the caller says, so that a test can also make what no honest key makes.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from console.hostside.guard.trust import sshsig

TOUCHED_AND_VERIFIED = sshsig.PRESENT | sshsig.VERIFIED


def string(data: bytes) -> bytes:
    """``data`` behind its length, as SSH writes it."""
    return len(data).to_bytes(4, "big") + data


class FileKey:
    """An Ed25519 key as of a file. ``seed`` (32 bytes) makes the same key each time."""

    kind = sshsig.ED25519

    def __init__(self, seed: bytes | None = None) -> None:
        self._key = (
            Ed25519PrivateKey.generate()
            if seed is None
            else Ed25519PrivateKey.from_private_bytes(seed)
        )
        self.public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def blob(self) -> bytes:
        """The public key as SSH encodes it."""
        return string(self.kind.encode()) + string(self.public)

    @property
    def public_line(self) -> str:
        """``kind base64``, as in a roster."""
        return f"{self.kind} {b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """``SHA256:…``."""
        return sshsig.fingerprint(self.blob)

    def _inner(self, to_sign: bytes, flags: int, counter: int) -> bytes:
        return string(self.kind.encode()) + string(self._key.sign(to_sign))

    def sign(
        self,
        message: bytes,
        namespace: str,
        flags: int = TOUCHED_AND_VERIFIED,
        counter: int = 1,
        hash_name: str = "sha512",
    ) -> str:
        """An armored SSHSIG of ``message``. A file key has no flags and no counter."""
        digest = hashlib.new(hash_name, message).digest()
        fields = [namespace.encode(), b"", hash_name.encode()]
        to_sign = b"SSHSIG" + b"".join(map(string, [*fields, digest]))
        inner = self._inner(to_sign, flags, counter)
        outer = b"SSHSIG" + (1).to_bytes(4, "big")
        return sshsig.armor(outer + b"".join(map(string, [self.blob, *fields, inner])))


class FidoKey(FileKey):
    """A key as of a FIDO2 authenticator, with the ``application`` that it was made for."""

    kind = sshsig.SK_ED25519

    def __init__(self, seed: bytes | None = None, application: str = "ssh:") -> None:
        super().__init__(seed)
        self.application = application

    @property
    def blob(self) -> bytes:
        """The public key as SSH encodes it."""
        return super().blob + string(self.application.encode())

    def _inner(self, to_sign: bytes, flags: int, counter: int) -> bytes:
        said = bytes((flags,)) + counter.to_bytes(4, "big")
        application = hashlib.sha256(self.application.encode()).digest()
        signature = self._key.sign(application + said + hashlib.sha256(to_sign).digest())
        return string(self.kind.encode()) + string(signature) + said
