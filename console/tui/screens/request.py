"""One request on one host, or what became of it: everything a person needs to decide."""

from textual.app import ComposeResult

from console.model.guard import BREAK_GLASS, ActiveView, RequestView
from console.model.view import FleetSnapshot
from console.tui.control.actions import Action
from console.tui.control.bindings import bindings
from console.tui.control.trail import Place
from console.tui.meaning import present
from console.tui.meaning.guarded import active_page, collected, custody_lines, request_page
from console.tui.screens.base import WatchScreen
from console.tui.style.look import Cell, Look
from console.tui.widgets.lines import Page
from console.tui.widgets.strips import fold

WAITS = ("PENDING", "APPROVED")


class RequestScreen(WatchScreen):
    """A page. Its keys open a question each; none of them signs by itself."""

    KIND = "request"
    BINDINGS = bindings("request")

    def __init__(self, look: Look, first: FleetSnapshot, host: str, id: str) -> None:
        super().__init__(look)
        self._first = first
        self.host = host
        self.request_id = id
        self.request: RequestView | None = None
        self.active: ActiveView | None = None
        self._confirmed = 0.0
        self._page = Page(look, id="request")

    @property
    def place(self) -> Place:
        """This request on this host."""
        return Place(self.KIND, (self.host, self.request_id))

    def body(self) -> ComposeResult:
        """The page."""
        yield self._page

    def on_mount(self) -> None:
        """Keys go to the page."""
        super().on_mount()
        self._page.focus()
        self.show(self._first)

    def refocus(self) -> None:
        """Keys go to the page."""
        self._page.focus()

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw the newest snapshot."""
        view = snapshot.host(self.host)
        guard = view.guard if view is not None else None
        every = guard.requests if guard is not None else ()
        self.request = next((each for each in every if each.id == self.request_id), None)
        done = (*guard.active, *guard.closed) if guard is not None else ()
        self.active = next((each for each in done if each.id == self.request_id), None)
        now = present.now()
        lines: list[Cell] = []
        if self.request is not None:
            lines += request_page(self.request, self.look, now)
        if self.active is not None:
            self._look_for_confirmation(self.active)
            lines += (
                [[], *active_page(self.active, self.look, now, self._confirmed)]
                if lines
                else active_page(self.active, self.look, now, self._confirmed)
            )
            lines += custody_lines(self.console.custody(self.host, self.request_id), self.look)
        if not lines:
            lines = [[(f" {self.host} does not tell of this request any more", "warn")]]
        width = max(20, self.size.width - 2)
        self._page.show([piece for each in lines for piece in fold(each, width, 12) or [[]]])
        name = self.request.action if self.request else self.active.action if self.active else ""
        self.top.show([(f" {name} ", "bold"), (f" {self.host} ", "")], right=self.clock())
        self.hint()

    def _look_for_confirmation(self, active: ActiveView) -> None:
        """When this console has reached the host over a new connection, if it was this one."""
        if self._confirmed or "confirm" in active.needs or active.about.dead_man == "none":
            return
        told = self.console.past(self.host)
        self._confirmed = next(
            (each.at for each in told if each.kind == "guard.confirmed" and each.key == active.id),
            0.0,
        )

    def offers(self, action: Action) -> bool:
        """Only what can be done with this one."""
        request, active = self.request, self.active
        can = {
            "request.approve": request is not None and request.may_approve,
            "request.deny": request is not None and request.may_approve,
            "request.cancel": request is not None and request.mine and request.state in WAITS,
            "request.start": request is not None and request.may_start,
            "request.release": active is not None and active.state in ("APPLIED", "STANDING"),
            "request.review": active is not None and active.mode == BREAK_GLASS,
            "request.fetch": active is not None and collected(active),
        }
        return can.get(action.id, True)

    # -- actions

    def action_back(self) -> None:
        """Back to where one came from."""
        if not self.end_typing(undo=True):
            self.app.pop_screen()

    def action_approve(self, rest: str = "") -> None:
        """Look at what would be signed."""
        self.console.decide(self, approve=True, comment=rest)

    def action_deny(self, rest: str = "") -> None:
        """Sign that it must not be done."""
        self.console.decide(self, approve=False, comment=rest)

    def action_cancel(self, rest: str = "") -> None:
        """Withdraw one's own."""
        self.console.withdraw(self, comment=rest)

    def action_start(self) -> None:
        """Start what the second person approved."""
        self.console.start_approved(self)

    def action_release(self, rest: str = "") -> None:
        """Ask for its end, which takes two people again."""
        self.console.ask_release(self, reason=rest)

    def action_fetch(self, rest: str = "") -> None:
        """Take the evidence that was collected, by a signature."""
        self.console.fetch(self, folder=rest)

    def action_review(self, rest: str = "") -> None:
        """Sign that somebody else's break-glass was looked at."""
        self.console.review(self, comment=rest)
