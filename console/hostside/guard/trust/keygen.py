"""The second opinion: OpenSSH's own verifier, asked about one key and one name.

Never one file of all signers: with wildcards and several names a line, OpenSSH accepts one
person's key under another's name.
"""

from __future__ import annotations

import os

from ..refused import Refused
from ..spawn import memory
from ..world import Ran, World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..spawn import Running

TIME_S = 10.0
PROGRAM = "/usr/bin/ssh-keygen"
_SIGNER = "signer"  # a name of no meaning: who a key belongs to, the roster says


class Asked:
    """A question to OpenSSH that is under way; without ``running`` it is asked when waited for."""

    def __init__(self, argv: list[str], message: bytes, handles: tuple[int, ...]) -> None:
        self.argv = argv
        self.message = message
        self.handles = handles
        self.running: Running | None = None

    def ended(self, world: World) -> Ran:
        """How it was answered. Called once."""
        try:
            if self.running is not None:
                return world.ended(self.running, TIME_S)
            return world.run(self.argv, self.message, timeout=TIME_S, fds=self.handles)
        finally:
            for handle in self.handles:
                os.close(handle)


def begin(
    message: bytes, armored: str, key_line: str, namespace: str, world: World
) -> Asked | None:
    """Ask it, with the arguments of ``verify``; our own verification goes on meanwhile. None where
    there is no OpenSSH."""
    if not os.path.lexists(PROGRAM):
        return None
    allowed = memory("signers", f'{_SIGNER} namespaces="{namespace}" {key_line}\n'.encode())
    signature = memory("signature", armored.encode())
    argv = [PROGRAM, "-Y", "verify", "-n", namespace, "-I", _SIGNER,
            "-f", f"/proc/self/fd/{allowed}", "-s", f"/proc/self/fd/{signature}"]  # fmt: skip
    asked = Asked(argv, message, (allowed, signature))
    asked.running = world.begin(argv, message, asked.handles)
    return asked


def verify(
    message: bytes, armored: str, key_line: str, namespace: str, world: World
) -> bool | None:
    """Whether ``ssh-keygen -Y verify`` accepts; None where there is none, or one older than 8.1.

    ``key_line`` is ``kind base64``; all texts were parsed before, and hold no line ends but the
    signature's own. Raises Refused where it is there and could not be asked: a host short of
    memory or processes must not be a host without a second opinion.
    """
    return answer(begin(message, armored, key_line, namespace, world), world)


def answer(asked: Asked | None, world: World) -> bool | None:
    """What ``verify`` says, of a question that was begun."""
    if asked is None:
        return None
    ran = asked.ended(world)
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
