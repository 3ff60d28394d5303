"""The part of the application that signs about a request that is there already.

One signature stands under one request, on every host where it waits: there is no way to approve
several requests at once.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from console.actions.decide import unseen
from console.actions.gate import risks
from console.engine.protocol import Guarding
from console.model.guard import ActiveView, Custody, Outcome, RequestView
from console.text import clean
from console.tui.control.asking import REASON, the_action
from console.tui.guarding import Guarded
from console.tui.meaning.guarded import (
    active_page,
    beside,
    collected,
    not_seen_lines,
    request_page,
)
from console.tui.meaning.preview import workstation
from console.tui.screens.request import RequestScreen
from console.tui.screens.sign import Question, SignScreen
from console.tui.style.look import Cell

GONE = "it waits on no host any more: it was decided, withdrawn, or ran out"
NOBODY = "it waits for nobody any more"


class Decided(Guarded):
    """Approve, deny, cancel, start, release, review, fetch."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._fetched: dict[tuple[str, str], Custody] = {}

    def decide(self, screen: RequestScreen, *, approve: bool, comment: str = "") -> None:
        """Let the person look again, then sign an approval or a denial."""
        request, engine = screen.request, self._guarding()
        if engine is None:
            return
        if request is None or not request.may_approve:
            self.say(request.why_not if request else NOBODY)
            return
        self._work(self._decide(engine, request, approve, comment))

    async def _decide(
        self, engine: Guarding, request: RequestView, approve: bool, comment: str
    ) -> None:
        every = self._same(engine, request)
        hosts = [each.host for each in every if each.may_approve]
        rest = unseen(every) if approve else ()

        async def sign() -> list[Outcome]:
            if rest and not await self._also(rest):
                return []
            return await engine.decide(hosts, request.id, approve, comment, self.ask_prompt, rest)

        verb, done = ("approve", "approved") if approve else ("deny", "denied")
        high = approve and request.about.high_risk
        counts = request.hosts if approve else ()
        await self._about(
            engine, request, verb, done, hosts, sign, comment=comment, high=high, counts=counts,
            not_seen=rest,
        )  # fmt: skip

    async def _also(self, rest: Sequence[str]) -> bool:
        """Let the person accept, by a line of its own, that it counts where nothing is seen."""

        def lines(now: float) -> list[Cell]:
            return list(not_seen_lines(rest, self.look))

        word = f"and {len(rest)} not seen here"
        question = Question("approve, unseen", lines, word, "that you accept this")
        also: bool = await self.push_screen_wait(SignScreen(self.look, question))
        return also

    def withdraw(self, screen: RequestScreen, comment: str = "") -> None:
        """Cancel one's own request, wherever it waits."""
        request, engine = screen.request, self._guarding()
        if engine is None:
            return
        if request is None or not request.mine:
            self.say("only who has made it withdraws it" if request else NOBODY)
            return
        hosts = [each.host for each in self._same(engine, request)]

        async def sign() -> list[Outcome]:
            return await engine.cancel(hosts, request.id, comment, self.ask_prompt)

        self._work(
            self._about(engine, request, "cancel", "cancelled", hosts, sign, comment=comment)
        )

    def start_approved(self, screen: RequestScreen) -> None:
        """Start what the second person approved."""
        request, engine = screen.request, self._guarding()
        if engine is None:
            return
        if request is None or not request.may_start:
            self.say("only your own request that was approved is started by you")
            return
        hosts = [each.host for each in self._same(engine, request) if each.may_start]

        async def sign() -> list[Outcome]:
            return await engine.begin(hosts, request.id, self.ask_prompt)

        high = request.about.high_risk
        self._work(self._about(engine, request, "start", "started", hosts, sign, high=high))

    def review(self, screen: RequestScreen, comment: str = "") -> None:
        """Sign that somebody else's break-glass was looked at."""
        active, engine = screen.active, self._guarding()
        if engine is None:
            return
        if active is None or active.mode != "break_glass":
            self.say("only a break-glass is reviewed")
        elif not comment:
            self.ask_command(":review ")
            self.say("say what you found: :review COMMENT")
        else:
            self._work(self._review(engine, active, comment))

    async def _review(self, engine: Guarding, active: ActiveView, comment: str) -> None:
        def lines(now: float) -> list[Cell]:
            return [*active_page(active, self.look, now), *self._said("comment", comment)]

        title = f"review {active.action} on {active.host}"
        engine.prepare([active.host])
        if await self.confirm(title, lines, [active.host], high=False):
            told = await engine.review([active.host], active.id, comment, self.ask_prompt)
            await self.answered("reviewed", told)
        else:
            self.say("nothing was signed")

    def custody(self, host: str, id: str) -> Custody | None:
        """What was fetched of that request at this console."""
        return self._fetched.get((host, id))

    def fetch(self, screen: RequestScreen, folder: str = "") -> None:
        """Take collected evidence into a folder, where none is named that of the exports."""
        active, engine = screen.active, self._guarding()
        if engine is None:
            return
        if active is None or not collected(active):
            self.say("only what collect-evidence has packed is fetched")
            return
        into = Path(folder).expanduser() if folder else self.settings.state
        self._work(self._fetch(engine, active, (into or Path()).absolute()))

    async def _fetch(self, engine: Guarding, active: ActiveView, folder: Path) -> None:
        def lines(now: float) -> list[Cell]:
            said = self._said("written into", clean(str(folder), 300))
            return [*active_page(active, self.look, now), [], *said]

        title = f"fetch evidence of {active.host}"
        engine.prepare([active.host])
        if not await self.confirm(title, lines, [active.host], high=False):
            self.say("nothing was signed")
            return
        got = await engine.fetch(active.host, active.id, folder, self.ask_prompt)
        self._fetched[active.host, active.id] = got
        words = f"{Path(got.file).name}, {got.size:,} bytes, sha256 {got.sha256[:16]}; verified"
        self.say(clean(words, 300), "ok")

    def ask_release(self, screen: RequestScreen, reason: str = "") -> None:
        """Ask for the end of what stands: a request as any other, which another approves."""
        active, engine = screen.active, self._guarding()
        if engine is None:
            return
        if active is None:
            self.say("nothing of it stands any more")
            return
        self._work(self._release(engine, active, reason))

    async def _release(self, engine: Guarding, active: ActiveView, reason: str) -> None:
        action = the_action("release", engine.actions(active.host))
        await self.ask_for(engine, [active.host], action, {"id": active.id, REASON: reason})

    # -- the same for all of them

    def _same(self, engine: Guarding, request: RequestView) -> list[RequestView]:
        """The request on every host where it waits, the one in view first."""
        found = [each for each in engine.requests() if each.id == request.id]
        return sorted(found, key=lambda each: each.host != request.host)

    def _said(self, label: str, words: str) -> list[Cell]:
        return [[(f"  {label} ", "dim"), (words or "none", "")]]

    async def _about(
        self,
        engine: Guarding,
        request: RequestView,
        verb: str,
        done: str,
        hosts: Sequence[str],
        sign: Callable[[], Awaitable[list[Outcome]]],
        *,
        comment: str = "",
        high: bool = False,
        counts: Sequence[str] = (),
        not_seen: Sequence[str] = (),
    ) -> None:
        """One signature about one request, looked at once more on each of its hosts.

        ``counts``: the hosts on which it counts, where these are more than it is sent to;
        ``not_seen``: those of them that do not show the request here.
        """
        seen = [request]

        def lines(now: float) -> list[Cell]:
            every = self._same(engine, request)
            if every:
                seen[:] = every
            more = [line for each in seen[1:] for line in beside(each, self.look)]
            more += not_seen_lines(not_seen, self.look)
            more += [[], *workstation("", risks(os.environ), self.look)]
            if comment:
                more += [[], *self._said("you say", comment)]
            return list(request_page(seen[0], self.look, now, more))

        def over(now: float) -> str:
            every = self._same(engine, request)
            if every and counts and (new := set(unseen(every)) - set(not_seen)):
                return f"{', '.join(sorted(new))} does not show it any more; look at it anew"
            return "" if every else GONE

        whole = counts or hosts
        names = ", ".join(whole[:3]) + (f" and {len(whole) - 3} more" if len(whole) > 3 else "")
        title = f"{verb} {request.action} on {names}"
        engine.prepare(hosts)
        if not await self.confirm(title, lines, whole, high=high, over=over):
            self.say("nothing was signed")
            return
        outcomes = await sign()
        if not outcomes:
            self.say("nothing was signed")
            return
        if any(each.ok for each in outcomes):
            self._console.handled(request.id)
        await self.answered(done, outcomes)
