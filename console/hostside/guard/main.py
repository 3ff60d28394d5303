"""The guard as a program: one envelope on standard input, one line as the answer.

What it was started with is not trusted: sudo passes on limits, the folder, signals and timers.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from .guard import Guard

MAX_INPUT = 256 << 10
INPUT_S = 10
LOCK_S = 60
LONG_S = 600  # a timer or root waits rather than gives up
LIMITS = (
    (resource.RLIMIT_FSIZE, resource.RLIM_INFINITY),
    (resource.RLIMIT_CPU, resource.RLIM_INFINITY),
    (resource.RLIMIT_AS, resource.RLIM_INFINITY),
    (resource.RLIMIT_DATA, resource.RLIM_INFINITY),
    (resource.RLIMIT_STACK, 8 << 20),
    (resource.RLIMIT_NOFILE, 1024),
    (resource.RLIMIT_CORE, 0),
)


def main(path: str, digest: str, genuine: Callable[[], bool]) -> int:
    """Run as the program in the file ``path`` with that sha256; the exit status. ``genuine`` says
    whether the code that runs is what this Python makes of that file."""
    harden()
    arguments = sys.argv[1:]
    try:
        if arguments == ["--self-test"]:
            return _self_test(digest)
        envelope = {} if arguments else read()
        g = make(path, digest)
        _critical()
        _patience(
            LONG_S if arguments else LOCK_S,
            "busy",
            "the guard of this host is at work for somebody else",
        )
        g.at_lock = lambda: signal.setitimer(signal.ITIMER_REAL, 0)
        if arguments:
            from .commands import command

            return command(g, arguments, genuine)
        from .call import answer

        found = answer(g, envelope)
    except Refused as error:
        found = {"ok": False, "rule": error.rule, "words": error.words, "hint": error.hint}
    say(found)
    return 0


def harden() -> None:
    """Begin from a known state, whatever this process was given."""
    os.chdir("/")
    os.umask(0o077)
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for kind in (signal.SIGALRM, signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ):
        signal.signal(kind, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for limit, wanted in LIMITS:
        _limit(limit, wanted)
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open("/dev/null", os.O_RDWR)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    os.closerange(3, highest + 1)


def _limit(kind: int, wanted: int) -> None:
    for hard in (wanted, resource.getrlimit(kind)[1]):
        try:
            resource.setrlimit(kind, (hard, hard))
            return
        except (ValueError, OSError):
            continue


def _critical() -> None:
    """From here on a lost connection ends nothing half way."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)


def _patience(seconds: int, rule: str, words: str) -> None:
    def give_up(number: int, frame: object) -> NoReturn:
        raise Refused(rule, words, "try again")

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def read() -> dict[str, Any]:
    """The envelope. Raises Refused."""
    _patience(INPUT_S, "input-late", f"no whole envelope came within {INPUT_S} s")
    parts, size = [], 0
    while True:
        part = os.read(0, 65536)
        if not part:
            break
        parts.append(part)
        size += len(part)
        if size > MAX_INPUT:
            raise Refused("envelope", f"the envelope is longer than {MAX_INPUT} bytes")
    signal.setitimer(signal.ITIMER_REAL, 0)
    return parse(b"".join(parts))


def parse(data: bytes) -> dict[str, Any]:
    """An envelope: a JSON object without a field twice. Raises Refused."""
    import json

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        whole = dict(found)
        if len(whole) != len(found):
            raise ValueError
        return whole

    try:
        envelope = json.loads(data.decode("utf-8"), object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        envelope = None
    if type(envelope) is not dict:
        raise Refused("envelope", "standard input is no JSON object", "see docs/guard.md")
    return envelope


def say(found: dict[str, Any]) -> None:
    """Write the answer; whether anybody still reads it changes nothing."""
    import json

    line = json.dumps(found, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    view = memoryview(line)
    try:
        while view:
            view = view[os.write(1, view) :]
    except OSError:
        return


def _self_test(digest: str) -> int:
    """Whether this build runs here at all: every module is there, and the digest is known."""
    from importlib import import_module

    from . import actions, steps

    for name in actions.NAMES:
        actions.action(name)
    for kind in steps.KINDS:
        steps.step(kind)
    from .ops import VERBS

    for verb in VERBS:
        import_module(".ops." + verb, __package__)
    sys.stdout.write(digest + "\n")
    return 0


def make(path: str, digest: str) -> Guard:
    """The guard of this host, as this build is made."""
    from . import built, caller
    from .guard import Guard
    from .place import Place
    from .state.clock import Clock, boot_id
    from .world import World

    who = caller.derive(os.environ)
    os.environ.clear()
    place = Place(built.BASE)
    world = World(place)
    if built.EFFECTOR != "real":
        from .simulation import SimulatedWorld

        world = SimulatedWorld(place)

    def arm(seconds: int, name: str) -> None:
        from .state import deadman

        deadman.arm([path, "tick"], seconds, world, name)

    def detach(g: Guard, entry: dict[str, Any], work: Any) -> bool:
        from .state import worker

        return worker.detach(g, g.held, entry, work)

    boot = boot_id(_boot_file(place))
    return Guard(world, Clock(boot), who, digest, built.EFFECTOR, arm, detach)


def _boot_file(place: Any) -> str:
    """The kernel's, or one below the base folder of a build that is not real."""
    name = "/proc/sys/kernel/random/boot_id"
    below = place.path(name)
    return below if os.path.exists(below) else name
