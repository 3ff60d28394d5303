"""Why something was asked for: a host's state does not tell it, this console's own documents do."""

import hashlib
import json
from collections.abc import Callable, Iterable

import msgspec

from console.actions.pending import Judged
from console.errors import WatchfloorError
from console.model.guard import ActiveView, GuardView
from console.text import clean

MAX_KEPT = 4096
Sent = Callable[[str], list[tuple[str, bytes]]]
"""Ids and bytes of the requests that were sent to a host from here. Raises WatchfloorError."""


class Reasons:
    """Reason and time of requests that this console has verified, or has sent itself."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._known: dict[str, tuple[str, float]] = {}
        self._searched: set[tuple[str, str]] = set()  # host and id that were looked for

    def told(self, host: str, view: GuardView, judged: Iterable[Judged]) -> GuardView:
        """The same view, with the reason of what is applied, stands or has ended."""
        for item in judged:
            if not item.wrong:
                self._keep(item.id, item.request["reason"], item.request["not_before"])
        self._search(host, {item.id for item in (*view.active, *view.closed)})
        return msgspec.structs.replace(
            view,
            active=tuple(map(self._with, view.active)),
            closed=tuple(map(self._with, view.closed)),
        )

    def _keep(self, rid: str, reason: str, at: float) -> None:
        while len(self._known) >= MAX_KEPT:
            del self._known[next(iter(self._known))]
        self._known[rid] = clean(reason, 1000), float(at)

    def _search(self, host: str, ids: set[str]) -> None:
        wanted = {rid for rid in ids - self._known.keys() if (host, rid) not in self._searched}
        if not wanted:
            return
        if len(self._searched) >= MAX_KEPT:
            self._searched.clear()
        self._searched |= {(host, rid) for rid in wanted}
        try:
            sent = self._sent(host)
        except WatchfloorError:
            return
        for rid, data in sent:
            if rid in wanted and hashlib.sha256(data).hexdigest() == rid:
                try:
                    told = json.loads(data)
                    self._keep(rid, str(told["reason"]), float(told["not_before"]))
                except (ValueError, KeyError, TypeError):
                    continue

    def _with(self, item: ActiveView) -> ActiveView:
        reason, at = self._known.get(item.id, ("", 0.0))
        return msgspec.structs.replace(item, reason=reason, asked_at=at) if reason else item
