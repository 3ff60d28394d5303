"""What happened on hosts in the last half hour that somebody should look at, though it is over."""

from typing import NamedTuple, TypeVar

from console.engine.logins import Logins
from console.model.event import Event
from console.model.view import HostView
from console.model.words import refusals, sentence
from console.text import clip
from console.tui.meaning import present

K = TypeVar("K")
V = TypeVar("V")

LATELY_S = 1800.0
"""So long after it happened (by the host's clock) something is told."""
MANY = 10
"""Refused logins from one address from which on they are told without a login that follows."""
MOST = 32
"""Things, and addresses, that are remembered of one host; the oldest are forgotten first."""
HOSTS = 4096
USERS = 16
NAME = 32
"""Cells that are kept of the name of a user or a program."""


class Odd(NamedTuple):
    """One thing that needs a look."""

    rank: int  # greater is worse
    at: float  # seconds since the epoch, by the console's clock
    words: str  # few, for a cell
    sentence: str


class _Told(NamedTuple):
    odd: Odd  # its time is still that of the host
    seen: float  # when the console saw it


class _Refused(NamedTuple):
    times: int
    last: float
    users: tuple[str, ...]


class Lately:
    """Remembers what events told; they come in the order in which they happened."""

    def __init__(self) -> None:
        self._logins = Logins()
        self._told: dict[str, dict[tuple[str, str], _Told]] = {}
        self._refused: dict[str, dict[str, _Refused]] = {}

    def clear(self) -> None:
        """Forget everything: events are told anew from the beginning."""
        self._logins = Logins()
        self._told.clear()
        self._refused.clear()

    def see(self, event: Event) -> None:
        """Take one event of any host."""
        if not event.host:
            return
        event = self._logins.read(event)
        facts = event.facts
        user, source, name = (str(facts.get(n) or "?") for n in ("user", "source", "name"))
        user, name, refused = clip(user, NAME), clip(name, NAME), facts.get("refused_before")
        if event.kind == "auth.failed":
            self._refuse(event, source, user)
        elif event.kind == "auth.accepted" and isinstance(refused, int) and refused > 0:
            self._tell(event, source, 4, f"login after {refused} refused", sentence(event))
        elif event.kind == "auth.sudo" and facts.get("doubted") is True:
            self._tell(
                event, user, 3, f"sudo by {user}", f"{sentence(event)}, after a doubtful login"
            )
        elif event.kind == "weights.opened":
            self._tell(event, name, 2, f"{name} opened weights", sentence(event))

    def _refuse(self, event: Event, source: str, user: str) -> None:
        of = self._refused.setdefault(event.host, {})
        before = of.pop(source, _Refused(0, event.at, ()))
        if event.at - before.last > LATELY_S:
            before = _Refused(0, event.at, ())
        users = (user, *(name for name in before.users if name != user))[:USERS]
        now = of[source] = _Refused(before.times + 1, event.at, users)
        _trim(of, MOST)
        _trim(self._refused, HOSTS)
        if now.times >= MANY:
            said = refusals(now.times, source, now.users)
            self._tell(event, source, 1, f"{now.times} logins refused", said)

    def _tell(self, event: Event, what: str, rank: int, words: str, said: str) -> None:
        of = self._told.setdefault(event.host, {})
        of.pop((event.kind, what), None)
        of[event.kind, what] = _Told(Odd(rank, event.at, words, said), present.now())
        _trim(of, MOST)
        _trim(self._told, HOSTS)

    def of(self, view: HostView) -> list[Odd]:
        """What happened on this host lately, the worst and then the newest first."""
        told = self._told.get(view.name)
        if not told:
            return []
        now, skew = present.now(), view.clock_skew_s or 0.0
        # Not later than it was seen: a host that dates it into the future is not told for ever.
        odd = [odd._replace(at=min(odd.at - skew, seen)) for odd, seen in told.values()]
        recent = [one for one in odd if now - one.at <= LATELY_S]
        return sorted(recent, key=lambda one: (-one.rank, -one.at))


def _trim(held: dict[K, V], most: int) -> None:
    if len(held) > most:
        del held[next(iter(held))]
