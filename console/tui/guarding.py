"""The part of the application that asks hosts to change something, by two people's signatures.

Nothing here signs or decides: the engine has a process sign, and each host's guard decides.
"""

import asyncio
import traceback
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from console.actions.forms import lifetime
from console.engine.protocol import Guarding, acting
from console.errors import WatchfloorError
from console.model.guard import ActionAbout, Outcome, Preview, Prompt
from console.text import clean
from console.tui.control.asking import (
    ASKED_TOO,
    EXPIRES,
    MODE,
    REASON,
    completions,
    filled,
    lacking,
    meant_hosts,
    parse_asked,
    the_action,
    unknown_names,
)
from console.tui.control.commands import CommandError
from console.tui.crash import keep
from console.tui.meaning.preview import draft_page, ends, left_out, preview_page
from console.tui.navigation import VIEWS, Navigation
from console.tui.screens.answers import AnswersScreen
from console.tui.screens.base import WatchScreen
from console.tui.screens.fleet import FleetScreen
from console.tui.screens.form import ActionScreen, FormScreen
from console.tui.screens.heat import HeatScreen
from console.tui.screens.host import HostScreen
from console.tui.screens.prefill import completed, prefilled
from console.tui.screens.request import RequestScreen
from console.tui.screens.requests import RequestsScreen
from console.tui.screens.sign import PromptScreen, Question, SignScreen
from console.tui.style.look import Cell

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp

NO_GUARD = "nothing can be asked of hosts here: this is no live session"
READY_LOOKS, READY_S = 50, 0.02
ALONE = "one person sits at this console, by [operator] of its configuration"


@runtime_checkable
class Seats(Protocol):
    """An engine at which several people take turns."""

    def people(self) -> tuple[str, ...]:
        """Who may sit here; the first is who does now."""
        ...

    def act_as(self, name: str) -> str:
        """Let that person sign from now on; why not, or empty."""
        ...


class Guarded(Navigation):
    """Requests, their pages, and the way from a form to a signature."""

    _home = ""  # whose seat this is, once another has taken it

    def _guarding(self) -> Guarding | None:
        """The engine where it can act; else says why not."""
        engine = acting(self.engine)
        if not isinstance(engine, Guarding):
            self.say(NO_GUARD)
            return None
        if why := engine.may_act():
            self.say(why)
            return None
        return engine

    @property
    def acts(self) -> bool:
        """Whether there is an engine here that may ask hosts to change something."""
        return isinstance(acting(self.engine), Guarding)

    def _work(self, what: Coroutine[Any, Any, None]) -> None:
        self.run_worker(self._safely(what), exclusive=False)

    async def _safely(self, what: Coroutine[Any, Any, None]) -> None:
        try:
            await what
        except (WatchfloorError, CommandError) as error:
            self.say(clean(str(error), 400), "bad")
        except Exception as defect:  # noqa: BLE001,RUF100  # one host's words must not end it
            report = keep(traceback.format_exc())
            words = f"a defect of this console, {type(defect).__name__}: look at what was done"
            self.say(clean(f"{words}; see {report}", 400), "bad")

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

    # -- who sits here

    def action_operator(self, rest: str = "") -> None:
        """Let another person sign at this terminal, or say who may."""
        engine, name = acting(self.engine), rest.strip()
        people = engine.people() if isinstance(engine, Seats) else ()
        if len(people) < 2 or not isinstance(engine, Seats):
            self.say(ALONE)
        elif not name:
            self.say(f"{people[0]} sits here; :operator {' | '.join(people)}", "accent")
        elif name not in people:
            self.say(f"nobody here is called {clean(name, 40)}; there are {', '.join(people)}")
        elif why := engine.act_as(name):
            self.say(clean(why, 200))
        elif name == (home := self._home or people[0]):
            self.say(f"{name} sits here now, in their own seat: what is signed is theirs", "accent")
        else:
            self._home = home
            told = f"{name} sits here now: what is signed is theirs; hosts note: same console"
            self.say(told, "accent")

    def sitting(self) -> str:
        """Who sits here now, where several people take turns; else nothing."""
        engine = acting(self.engine)
        people = engine.people() if isinstance(engine, Seats) else ()
        return clean(people[0], 40) if len(people) > 1 else ""

    def complete_operator(self, typed: str) -> list[str]:
        """Who may sit here."""
        engine = acting(self.engine)
        people = engine.people() if isinstance(engine, Seats) else ()
        return [name for name in people if name.startswith(typed)]

    # -- a new request

    def action_act(self, rest: str = "") -> None:
        """``[ACTION [HOST...] [NAME=VALUE...] [reason=WHY]]``, for the host that is looked at."""
        engine = self._guarding()
        if engine is None:
            return
        asked = parse_asked(rest)
        try:
            hosts = meant_hosts(asked.hosts, self.host_names()) or self._aimed()
        except CommandError as error:
            self.say(str(error))
            return
        if not hosts:
            self.say("no host is meant; :act ACTION HOST")
            return
        if why := self._guardless(hosts):
            self.say(why)
            return
        self._work(self._ask(engine, hosts, asked.action, asked.values))

    def complete_act(self, typed: str) -> list[str]:
        """Actions, then hosts and fields."""
        names = self.host_names()
        engine = acting(self.engine)
        every = engine.actions(next(iter(names), "")) if isinstance(engine, Guarding) else ()
        return list(completions(typed, every, names))

    def _guardless(self, hosts: Sequence[str]) -> str:
        """Why this machine itself cannot be asked for anything; empty: another one is meant."""
        views = [self.engine.snapshot().host(name) for name in hosts]
        if not all(view is not None and view.workstation for view in views):
            return ""
        return f"{clean(hosts[0], 60)} is this machine, which has no guard; :act ACTION HOST"

    def _aimed(self) -> list[str]:
        """The host that a person looks at."""
        screen = self.screen
        if isinstance(screen, HostScreen | RequestScreen):
            return [screen.host]
        if isinstance(screen, FleetScreen) and screen.table.aimed is not None:
            return [str(screen.table.aimed)]
        if isinstance(screen, RequestsScreen) and screen.aimed_host:
            return [screen.aimed_host]
        if isinstance(screen, HeatScreen) and screen.map.cursor:
            return [screen.map.cursor]
        return []

    async def _ask(
        self, engine: Guarding, hosts: Sequence[str], name: str, known: dict[str, str]
    ) -> None:
        every = engine.actions(hosts[0])
        if bare := self._unguarded(hosts):
            self.say(bare)
            return
        row = self.screen.aimed_row if isinstance(self.screen, HostScreen) else None
        if not name:
            picked: str | None = await self.push_screen_wait(ActionScreen(self.look, hosts, every))
            if not picked:
                return
            name = picked
        action = the_action(name, every)
        if wrong := unknown_names(action, known):
            self.say(wrong)
            return
        view = self.engine.snapshot().host(hosts[0])
        if len(hosts) == 1 and view is not None:
            said = prefilled(name, row, view)
            if "pid" in known and known["pid"] != said.get("pid"):
                said = {}  # another process is meant than the one under the cursor
            known = completed(name, {**said, **known}, view)
        await self.ask_for(engine, hosts, action, known)

    def _unguarded(self, hosts: Sequence[str]) -> str:
        """Which of these hosts nobody can ask, and the next step; empty: all can be."""
        views = [self.engine.snapshot().host(name) for name in hosts]
        bare = [view.name for view in views
                if view is not None and view.guard is None and not view.spec.guard_id]  # fmt: skip
        if not bare:
            return ""
        return f"{', '.join(bare[:3])}: no guard is here; watchfloor enroll {bare[0]} --guard"

    async def ask_for(
        self, engine: Guarding, hosts: Sequence[str], action: ActionAbout, known: dict[str, str]
    ) -> None:
        """From the values that are there to a signature, by a form where some are missing."""
        told = ""
        values = filled(action, known)
        while True:
            if told or lacking(action, values):
                form = FormScreen(self.look, hosts, action, values, told)
                typed: dict[str, str] | None = await self.push_screen_wait(form)
                if typed is None:
                    self.say("nothing was asked of any host")
                    return
                values = filled(action, typed)
            view = self.engine.snapshot().host(hosts[0]) if len(hosts) == 1 else None
            values = values if view is None else completed(action.name, values, view)
            try:
                told = await self._from_form(engine, hosts, action, values)
            except WatchfloorError as error:
                told = str(error)
            if not told:
                return

    async def _from_form(
        self, engine: Guarding, hosts: Sequence[str], action: ActionAbout, values: dict[str, str]
    ) -> str:
        """Preview and signature; else what is wrong with the form."""
        params = {key: value for key, value in values.items() if key not in ASKED_TOO}
        mode, reason = values[MODE], values[REASON]
        self.say(f"asking {', '.join(hosts)[:80]} what would happen", "accent")
        try:
            preview = await engine.preview(hosts, action.name, params)
            preview = lifetime(preview, values.get(EXPIRES, ""))
        finally:
            self.say("")
        if not preview.usable:
            return left_out(preview)
        draft = engine.draft(preview, reason, mode)

        def lines(now: float) -> list[Cell]:
            page = draft_page(preview, draft, reason, mode, self.look, now)
            return [*preview_page(preview, self.look), *page]

        def over(now: float) -> str:
            return "it has run out; ask again" if now >= ends(preview) else ""

        names = [target.host for target in preview.usable]
        title = f"request {action.name} on {self._some(preview)}"
        engine.prepare(names)
        if not await self.confirm(title, lines, names, high=action.about.high_risk, over=over):
            self.say("nothing was signed")
            return ""
        outcomes = await engine.submit(preview, reason, mode, self.ask_prompt)
        self.action_requests()
        await self._view_is_there()
        if isinstance(self.screen, RequestsScreen):
            self.screen.aim([(name, draft.id) for name in names])
        await self.answered("requested", outcomes)
        return ""

    async def _view_is_there(self) -> None:
        """What is told before a view has its widgets would be told below it."""
        for _ in range(READY_LOOKS):
            screen = self.screen
            if not isinstance(screen, WatchScreen) or screen.ready:
                return
            await asyncio.sleep(READY_S)

    def _some(self, preview: Preview) -> str:
        names = [target.host for target in preview.usable]
        out = len(preview.targets) - len(names)
        words = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return words + (f"; {out} LEFT OUT" if out else "")

    # -- a signature

    async def confirm(
        self,
        title: str,
        lines: Callable[[float], Sequence[Cell]],
        hosts: Sequence[str],
        *,
        high: bool,
        over: Callable[[float], str] = lambda now: "",
    ) -> bool:
        """Show what would be signed; high risk takes the host's name, or the group and how many.

        Else the word that says what is signed is typed.
        """
        if not high:
            word, why = title.split()[0], "the word"
        elif len(hosts) == 1:
            word, why = hosts[0], "the host's name"
        else:
            word, why = f"{self._group(hosts)} {len(hosts)}", "what they are and how many"
        question = Question(title, lines, word, why, over)
        signed: bool = await self.push_screen_wait(SignScreen(self.look, question))
        return signed

    def _group(self, hosts: Sequence[str]) -> str:
        """A group that all of them are in; else "hosts"."""
        views = [self.engine.snapshot().host(name) for name in hosts]
        groups = [set(view.spec.groups) if view is not None else set() for view in views]
        return min(set.intersection(*groups), default="hosts")

    # -- what came of it

    async def answered(self, done: str, outcomes: Sequence[Outcome]) -> None:
        """Tell what each host answered: a remark for one that agreed, a page for all else."""
        if len(outcomes) == 1 and outcomes[0].ok:
            one = outcomes[0]
            state = f", {one.state}" if one.state else ""
            self.say(clean(f"{one.host}: {done}{state}", 400), "ok")
            return
        await self.push_screen_wait(AnswersScreen(self.look, done, outcomes))

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
            if screen in self.screen_stack:
                screen.over()


def _requests(app: "ConsoleApp", args: tuple[str, ...]) -> RequestsScreen:
    return RequestsScreen(app.look, app.engine.snapshot(), *args)


def _request(app: "ConsoleApp", args: tuple[str, ...]) -> RequestScreen:
    return RequestScreen(app.look, app.engine.snapshot(), *args)


VIEWS.update(requests=_requests, request=_request)
