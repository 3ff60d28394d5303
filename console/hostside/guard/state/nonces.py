"""Nonces that the guard need not remember until they are used.

``issue time (10 hex) + random (16 hex) + HMAC-SHA256 under the host's secret, cut to 128 bits``.
The HMAC covers the host, the boot, and what was asked and answered, so that a console cannot bring
other facts than those that it was given. Used ones are files, until their time is over.
"""

from __future__ import annotations

import hmac
import os

from ..refused import Refused
from .files import NEW, Files, sync

SECRET = 32
LIFE_S = 3600  # as long as a request may live
AHEAD_S = 120
KEPT_S = LIFE_S + 600  # well beyond the life, as the clock may go back a little
MAX_USED = 4096  # only requests that were accepted use one, at most some a minute
LENGTH = 58


class Nonces:
    """Those of one host: ``secret`` is the file of the key, ``folder`` holds the used ones."""

    def __init__(self, secret: str, folder: str, files: Files) -> None:
        self.secret = secret
        self.folder = folder
        self.files = files

    def _key(self) -> bytes:
        try:
            key = self.files.read(self.secret, 64)
        except FileNotFoundError:
            key = os.urandom(SECRET)
            self.files.write(self.secret, key)
        if len(key) != SECRET:
            raise Refused("secret", "the host's secret is damaged", "restore or remove it as root")
        return key

    def _seal(self, head: str, bound: bytes) -> str:
        return hmac.new(self._key(), head.encode() + b"\0" + bound, "sha256").hexdigest()[:32]

    def issue(self, now: int, bound: bytes) -> str:
        """A new one for what was asked and answered."""
        head = f"{now:010x}{os.urandom(8).hex()}"
        return head + self._seal(head, bound)

    def check(self, nonce: str, now: int, bound: bytes) -> None:
        """Raise Refused unless it is ours, for exactly this, of the last hour and unused."""
        if len(nonce) != LENGTH or nonce.strip("0123456789abcdef"):
            raise Refused("nonce", "the nonce has another form than this host's")
        seal = self._seal(nonce[:26], bound)
        if not hmac.compare_digest(seal, nonce[26:]):
            raise Refused(
                "nonce",
                "the nonce was not given out by this host, in this boot, for exactly this",
                "ask the host for a new challenge",
            )
        issued = int(nonce[:10], 16)
        if not now - LIFE_S <= issued <= now + AHEAD_S:
            raise Refused("nonce-old", "the nonce is too old", "ask the host for a new challenge")
        if os.path.lexists(f"{self.folder}/{nonce}"):
            raise _used()

    def void(self) -> None:
        """Let none that was given out until now count again: the secret becomes another."""
        self.files.remove(self.secret)

    def use(self, nonce: str, now: int) -> None:
        """Take it, once for all. Raises Refused where it was taken or too many are."""
        names = os.listdir(self.folder)
        for name in names:
            if len(name) != LENGTH or int(name[:10], 16) < now - KEPT_S:
                self.files.remove(f"{self.folder}/{name}")
        if len(names) >= MAX_USED and len(os.listdir(self.folder)) >= MAX_USED:
            raise Refused(
                "nonces-full", "too many requests were made in the last hour", "wait some minutes"
            )
        try:
            os.close(os.open(f"{self.folder}/{nonce}", NEW, 0o600))
        except FileExistsError:
            raise _used() from None
        sync(self.folder)


def _used() -> Refused:
    return Refused("nonce-used", "this request was made before", "ask for it anew")
