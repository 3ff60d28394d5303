"""The part of the application that asks hosts to change something, by two people's signatures.

Nothing here signs or decides: the engine has a process sign, and each host's guard decides.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from console.engine.protocol import Guarding
from console.errors import WatchfloorError
from console.model.guard import ActionAbout, Outcome, Preview, Prompt
from console.text import clean
from console.tui.control.commands import fitting
from console.tui.meaning import present
from console.tui.meaning.guarded import in_line, request_page
from console.tui.meaning.preview import draft_page, preview_page
from console.tui.navigation import VIEWS, Navigation
from console.tui.screens.fleet import FleetScreen
from console.tui.screens.form import MODE, REASON, ActionScreen, FormScreen
from console.tui.screens.host import HostScreen
from console.tui.screens.request import RequestScreen
from console.tui.screens.requests import RequestsScreen
from console.tui.screens.sign import PromptScreen, SignScreen
from console.tui.style.look import Cell

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp

NO_GUARD = "nothing can be asked of hosts here: this is no live session"


class Guarded(Navigation):
    """Requests, their pages, and the way from a form to a signature."""

    def _guarding(self) -> Guarding | None:
        """The engine where it can act; else says why not."""
        engine = self.engine
        if not isinstance(engine, Guarding):
            self.say(NO_GUARD)
            return None
        if why := engine.may_act():
            self.say(why)
            return None
        return engine

    def _work(self, what: Coroutine[Any, Any, None]) -> None:
        self.run_worker(self._safely(what), exclusive=False)

    async def _safely(self, what: Coroutine[Any, Any, None]) -> None:
        try:
            await what
        except WatchfloorError as error:
            self.say(clean(str(error), 400), "bad")

    # -- views

    def action_requests(self, rest: str = "") -> None:
        """What was asked of all hosts, or of one."""
        host = rest.strip()
        if host and host not in self.host_names():
            self.say(f"no host is called {clean(host, 60)}; Tab completes names")
            return
        self.open_view(RequestsScreen(self.look, self.engine.snapshot(), host))

    def complete_requests(self, typed: str) -> list[str]:
        """Names of hosts."""
        return [name for name in self.host_names() if name.startswith(typed)]

    def open_request(self, host: str, id: str) -> None:
        """Everything about one request."""
        self.open_view(RequestScreen(self.look, self.engine.snapshot(), host, id))

    # -- a new request

    def action_act(self, rest: str = "") -> None:
        """``[ACTION [HOST...] [NAME=VALUE...]]``: the form, for the host that is looked at."""
        engine = self._guarding()
        if engine is None:
            return
        words = rest.split()
        known = dict(word.split("=", 1) for word in words if "=" in word)
        plain = [word for word in words if "=" not in word]
        hosts = [name for word in plain[1:] for name in fitting(word, self.host_names())]
        hosts = list(dict.fromkeys(hosts)) or self._aimed()
        if not hosts:
            self.say("no host is meant; :act ACTION HOST")
            return
        self._work(self._ask(engine, hosts, plain[0] if plain else "", known))

    def complete_act(self, typed: str) -> list[str]:
        """Actions, then hosts."""
        *before, last = typed.split(" ")
        engine = self.engine
        if not before and isinstance(engine, Guarding):
            names = [each.name for each in engine.actions(next(iter(self.host_names()), ""))]
            return [name for name in names if name.startswith(last)]
        head = " ".join(before)
        return [f"{head} {name}" for name in self.host_names() if name.startswith(last)]

    def _aimed(self) -> list[str]:
        """The host that a person looks at."""
        screen = self.screen
        if isinstance(screen, HostScreen | RequestScreen):
            return [screen.host]
        if isinstance(screen, FleetScreen) and screen.table.aimed is not None:
            return [str(screen.table.aimed)]
        return []

    async def _ask(
        self, engine: Guarding, hosts: Sequence[str], name: str, known: dict[str, str]
    ) -> None:
        every = engine.actions(hosts[0])
        if not name:
            picked: str | None = await self.push_screen_wait(ActionScreen(self.look, hosts, every))
            name = picked or ""
            if not name:
                return
        action = next((each for each in every if each.name == name), None)
        if action is None:
            self.say(f"no action is called {clean(name, 40)}; Tab completes names")
            return
        if action.why_not:
            self.say(f"{action.name}: not by you: {action.why_not}")
            return
        while True:
            filled = await self.push_screen_wait(FormScreen(self.look, hosts, action, known))
            if filled is None:
                return
            known = filled
            try:
                done = await self._from_form(engine, hosts, action, filled)
            except WatchfloorError as error:
                self.say(clean(str(error), 400), "bad")
                continue
            if done:
                return

    async def _from_form(
        self, engine: Guarding, hosts: Sequence[str], action: ActionAbout, filled: dict[str, str]
    ) -> bool:
        """Preview and signature; False: back to the form."""
        params = {key: value for key, value in filled.items() if key not in (MODE, REASON)}
        mode, reason = filled.get(MODE) or action.modes[0], filled[REASON]
        self.say(f"asking {', '.join(hosts)[:80]} what would happen", "accent")
        preview = await engine.preview(hosts, action.name, params)
        usable = preview.usable
        if not usable:
            told = preview.targets[0] if preview.targets else None
            self.say(f"{told.host}: {told.trouble}. {told.hint}" if told else "no host answered")
            return False
        draft = engine.draft(preview, reason, mode)
        lines = [*preview_page(preview, self.look), *draft_page(preview, draft, reason, mode)]
        if not await self._sign(f"request {action.name}", lines, action.about.high_risk, preview):
            self.say("nothing was signed")
            return True
        self._told("requested", await engine.submit(preview, reason, mode, self.ask_prompt))
        self.action_requests()
        return True

    async def _sign(self, title: str, lines: Sequence[Cell], high: bool, preview: Preview) -> bool:
        hosts = [target.host for target in preview.usable]
        return await self._confirm(title, lines, high, hosts)

    async def _confirm(
        self, title: str, lines: Sequence[Cell], high: bool, hosts: Sequence[str]
    ) -> bool:
        """Show what would be signed; high risk takes the host's name, or how many hosts."""
        if high:
            word = hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts"
            why = "the host's name" if len(hosts) == 1 else "how many hosts it is"
        else:
            word, why = title.split()[0], "the word"
        signed: bool = await self.push_screen_wait(SignScreen(self.look, title, lines, word, why))
        return signed

    # -- a request that waits

    def decide(self, screen: RequestScreen, *, approve: bool, comment: str = "") -> None:
        """Let the person look again, then sign an approval or a denial."""
        request, engine = screen.request, self._guarding()
        if engine is None:
            return
        if request is None or not request.may_approve:
            self.say(request.why_not if request else "it waits for nobody any more")
            return
        verb = "approve" if approve else "deny"
        lines = list(request_page(request, self.look, present.now()))
        high = approve and request.about.high_risk

        async def go() -> None:
            if await self._confirm(f"{verb} {request.action}", lines, high, [request.host]):
                told = await engine.decide(
                    [request.host], request.id, approve, comment, self.ask_prompt
                )
                self._told("approved" if approve else "denied", told)
            else:
                self.say("nothing was signed")

        self._work(go())

    def withdraw(self, screen: RequestScreen, comment: str = "") -> None:
        """Cancel one's own request."""
        self._simple(screen, "cancel", "cancelled", comment)

    def start_approved(self, screen: RequestScreen) -> None:
        """Start what the second person approved."""
        self._simple(screen, "start", "started", "")

    def review(self, screen: RequestScreen, comment: str = "") -> None:
        """Sign that somebody else's break-glass was looked at."""
        self._simple(screen, "review", "reviewed", comment)

    def ask_release(self, screen: RequestScreen, reason: str = "") -> None:
        """Ask for the end of what stands; another person approves that too."""
        active = screen.active
        if active is None:
            self.say("nothing of it stands any more")
        elif not reason:
            self.ask_command(":release ")
            self.say("say why: :release REASON")
        else:
            self._simple(screen, "release", "release requested", reason)

    def _simple(self, screen: RequestScreen, verb: str, done: str, words: str) -> None:
        """One signature about one request, looked at once more."""
        engine = self._guarding()
        about = screen.request or screen.active
        if engine is None or about is None:
            return
        host, id = screen.host, screen.request_id
        lines: list[Cell] = [
            [(f" {verb} {about.action} on {host}", "bold")],
            [(f"  {in_line(about.parameters)}", "")],
            [("  six words ", "dim"), (about.words, "accent")],
            [("  said ", "dim"), (words or "nothing", "")],
        ]
        high = verb in ("start", "release") and about.about.high_risk

        async def go() -> None:
            if not await self._confirm(f"{verb} {about.action}", lines, high, [host]):
                self.say("nothing was signed")
                return
            if verb == "start":
                told = await engine.begin([host], id, self.ask_prompt)
            elif verb == "cancel":
                told = await engine.cancel([host], id, words, self.ask_prompt)
            elif verb == "review":
                told = await engine.review([host], id, words, self.ask_prompt)
            else:
                told = await engine.release([host], id, words, self.ask_prompt)
            self._told(done, told)

        self._work(go())

    # -- what came of it

    def _told(self, done: str, outcomes: Sequence[Outcome]) -> None:
        bad = [each for each in outcomes if not each.ok]
        good = [each.host for each in outcomes if each.ok]
        words = f"{done}: {', '.join(good)}" if good else ""
        if bad:
            first = bad[0]
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            words += f"{'; ' if words else ''}{first.host}: {first.words}. {first.hint}{more}"
        self.say(clean(words, 400), "bad" if bad else "ok")

    async def ask_prompt(self, prompt: Prompt) -> str | None:
        """What a key asks for while it signs. A touch is shown until the call is cancelled."""
        if self.leaving:
            return None
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

        def done(value: str | None) -> None:
            if not answer.done():
                answer.set_result(value)

        screen = PromptScreen(self.look, prompt)
        self.push_screen(screen, done)
        try:
            return await answer
        finally:
            if screen in self.screen_stack and self.screen is screen:
                screen.dismiss(None)


def _requests(app: "ConsoleApp", args: tuple[str, ...]) -> RequestsScreen:
    return RequestsScreen(app.look, app.engine.snapshot(), *args)


def _request(app: "ConsoleApp", args: tuple[str, ...]) -> RequestScreen:
    return RequestScreen(app.look, app.engine.snapshot(), *args)


VIEWS.update(requests=_requests, request=_request)
