"""The second opinion: OpenSSH's own verifier, asked about one key and one name.

Never one file of all signers: with wildcards and several names a line, OpenSSH accepts one
person's key under another's name.
"""

from __future__ import annotations

import os

from ..refused import Refused
from ..world import World

PROGRAM = "/usr/bin/ssh-keygen"
_SIGNER = "signer"  # a name of no meaning: who a key belongs to, the roster says


def _memory(name: str, data: bytes) -> int:
    """A file of memory with ``data`` in it, to be closed by the caller."""
    handle = os.memfd_create(name)
    with os.fdopen(os.dup(handle), "wb") as file:
        file.write(data)
    return handle


def verify(
    message: bytes, armored: str, key_line: str, namespace: str, world: World
) -> bool | None:
    """Whether ``ssh-keygen -Y verify`` accepts; None where there is none, or one older than 8.1.

    ``key_line`` is ``kind base64``; all texts were parsed before, and hold no line ends but the
    signature's own. Raises Refused where it is there and could not be asked: a host short of
    memory or processes must not be a host without a second opinion.
    """
    if not os.path.lexists(PROGRAM):
        return None
    allowed = _memory("signers", f'{_SIGNER} namespaces="{namespace}" {key_line}\n'.encode())
    signature = _memory("signature", armored.encode())
    try:
        ran = world.run(
            [PROGRAM, "-Y", "verify", "-n", namespace, "-I", _SIGNER,
             "-f", f"/proc/self/fd/{allowed}", "-s", f"/proc/self/fd/{signature}"],
            message, timeout=10.0, fds=(allowed, signature),
        )  # fmt: skip
    finally:
        os.close(allowed)
        os.close(signature)
    if ran.code in (124, 127) or ran.code < 0:
        raise Refused(
            "verifier",
            f"{PROGRAM} could not verify a signature: {'a signal' if ran.code < 0 else ran.why}",
            "see what the host is short of, and send it again",
        )
    # An OpenSSH before 8.1 does not know -Y; it ends before it reads anything of ours.
    if ran.code == 1 and b"option -- " in ran.err[:80] and b"Y" in ran.err[:80].split(b"\n")[0]:
        return None
    return ran.code == 0
