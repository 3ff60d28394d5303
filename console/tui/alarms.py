"""The part of the application that calls a person: notices on every view, and the bell."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from console.model.event import Event
from console.model.view import FleetSnapshot
from console.tui.control.actions import Mode, named
from console.tui.meaning import present
from console.tui.meaning.guards import notices
from console.tui.screens.base import WatchScreen
from console.tui.style.look import Piece

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp

WANTED = "guard.approval-wanted"


class Alarms:
    """Mixed into the application."""

    _called: dict[str, tuple[str, ...] | None]
    """Ids, with who had decided when they were first seen; None: not seen yet."""
    told: Sequence[Piece] = ()
    """What stands on every view now."""

    def begin_alarms(self) -> None:
        """Nobody has been called yet."""
        self._called = {}

    @property
    def _app(self) -> "ConsoleApp":
        return self  # type: ignore[return-value]  # it is mixed into no other

    def call_person(self, events: Sequence[Event]) -> None:
        """Ring once for requests that want somebody, and remember them until they are decided."""
        fresh = [event.key for event in events if event.kind == WANTED]
        fresh = [rid for rid in dict.fromkeys(fresh) if rid not in self._called]
        self._called.update(dict.fromkeys(fresh, None))
        app = self._app
        if fresh and app.settings.bell and app.settings.mode is not Mode.REPLAY:
            app.bell()

    def handled(self, rid: str) -> None:
        """The person at this terminal has seen to that request."""
        self._called.pop(rid, None)

    def tell_all(self, snapshot: FleetSnapshot) -> None:
        """Say on the view in front what must be said on every one."""
        app = self._app
        self._forget(snapshot)
        key = app.keys.words(named("app.requests")).split(" ")[0] or ":requests"
        if app.settings.mode is Mode.WALL:
            key = ""  # nobody sits there
        self.told = notices(snapshot, self._called, present.now(), app.look, key)
        for screen in app.screen_stack:
            if isinstance(screen, WatchScreen) and screen.ready:
                screen.notices.show(self.told)

    def _forget(self, snapshot: FleetSnapshot) -> None:
        """No call for what somebody has decided since, or what waits nowhere any more."""
        if not self._called:
            return
        now = {
            each.id: (*each.approved_by, *each.denied_by)
            for view in snapshot.hosts
            for each in (view.guard.requests if view.guard is not None else ())
        }
        for rid, before in list(self._called.items()):
            if before is not None and now.get(rid) != before:
                del self._called[rid]
            elif rid in now:
                self._called[rid] = now[rid]
