"""Logins that need a second look: what a host's own lines tell only when they are read together."""

from typing import TypeVar

import msgspec

from console.model.event import Event
from console.model.words import by_password

V = TypeVar("V")

DOUBT_S = 3600.0
"""So long after a login in doubt, sudo of the same user is told beside it."""
MOST = 4096
"""Addresses, and users, that are remembered; the oldest are forgotten first."""


class Logins:
    """Remembers refused logins by host and address, and who got in under doubt."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str], int] = {}
        self._doubted: dict[tuple[str, str], float] = {}

    def read(self, event: Event) -> Event:
        """The event, with what came before it: ``refused_before`` (a count), ``doubted`` (true).

        Events come in the order in which they happened.
        """
        source, user = str(event.facts.get("source") or ""), str(event.facts.get("user") or "")
        if event.kind == "auth.failed" and source:
            count = self._refused.pop((event.host, source), 0) + 1
            self._refused[event.host, source] = count
            _trim(self._refused)
        elif event.kind == "auth.accepted":
            refused = self._refused.get((event.host, source), 0)
            if refused or by_password(event):
                self._doubted.pop((event.host, user), None)
                self._doubted[event.host, user] = event.at
                _trim(self._doubted)
            if refused:
                return _with(event, refused_before=refused)
        elif event.kind == "auth.sudo":
            since = self._doubted.get((event.host, user))
            if since is not None and event.at - since <= DOUBT_S:
                return _with(event, doubted=True)
        return event


def _with(event: Event, **facts: object) -> Event:
    return msgspec.structs.replace(event, facts=event.facts | facts)


def _trim(held: dict[tuple[str, str], V]) -> None:
    if len(held) > MOST:
        del held[next(iter(held))]
