"""The terminal: pulls the newest snapshot from an engine and shows it on the screen in front."""

import asyncio
import inspect
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import ClassVar

from console.tui.environ import ascii_only, plots, reduced_motion, scrub

scrub(os.environ)

from textual.binding import Binding  # noqa: E402  # after the environment is clean
from textual.filter import LineFilter  # noqa: E402

from console.engine.protocol import Engine  # noqa: E402
from console.model.event import Event  # noqa: E402
from console.model.history import Series  # noqa: E402
from console.model.link import AskPassphrase  # noqa: E402
from console.model.panel import Panel  # noqa: E402
from console.tui.alarms import Alarms  # noqa: E402
from console.tui.control.actions import Action, Mode, forbidden, named, refusal  # noqa: E402
from console.tui.control.bindings import bindings, keymap  # noqa: E402
from console.tui.control.keys import Keys  # noqa: E402
from console.tui.control.layout_actions import LayoutActions  # noqa: E402
from console.tui.control.palette import Palette  # noqa: E402
from console.tui.control.replaying import Replaying  # noqa: E402
from console.tui.crash import (  # noqa: E402
    CRASHED,
    keep,
    rare_collections,
    refuse_dumb_terminal,
)
from console.tui.deciding import Decided  # noqa: E402
from console.tui.hangup import LOOK_AT_TERMINAL_S, gone, terminal  # noqa: E402
from console.tui.meaning import present  # noqa: E402
from console.tui.overviews import Overviews  # noqa: E402
from console.tui.safe import ScrubFilter  # noqa: E402
from console.tui.screens.base import WatchScreen  # noqa: E402
from console.tui.screens.modal import HelpScreen, PassphraseScreen  # noqa: E402
from console.tui.settings import Settings  # noqa: E402
from console.tui.style.look import Look  # noqa: E402
from console.tui.style.themed import LOOK_AT_FILE_S  # noqa: E402
from console.tui.tables.layout import Layouts  # noqa: E402
from console.tui.takeaway.takeout import Takeout  # noqa: E402

EngineFactory = Callable[[AskPassphrase], Engine]

LOOK_S = 0.1
AGES_S = 1.0
BEGIN_S = 0.3
"""When hosts are connected at the latest, whether anything was painted or not."""
EVENTS_A_LOOK = 200
REST = 4
"""Between two paintings of a view there is at least this many times what one costs."""


class ConsoleApp(
    Replaying, Takeout, LayoutActions, Alarms, Decided, Overviews, inherit_bindings=False
):
    """Shows one engine. Nothing here changes a host: guards do, by the signatures of people."""

    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar = {Palette}
    BINDINGS: ClassVar = [*bindings("app"), *bindings("replay")]

    def __init__(
        self, make: EngineFactory, settings: Settings | None = None, *, look: Look | None = None
    ) -> None:
        """``look`` given: drawn with it, whatever the settings say of themes."""
        self.settings = settings or Settings()
        still = self.settings.still or reduced_motion()
        drawn = look or Look(
            ascii_only=ascii_only(), reduced_motion=still, plots=plots(self.settings.plots)
        )
        super().__init__(drawn, theme=self.settings.theme, own_themes=self.settings.own_themes)
        if look is None:
            self.first_theme()
        paint_s = self.settings.paint_s
        self._paint_s = max(AGES_S, paint_s) if drawn.reduced_motion else paint_s
        self.keys = Keys(self.settings.keys)
        state = self.settings.state
        self.layouts = Layouts(state and state / "layouts.toml", self.settings.layout)
        self.engine = make(self.ask_passphrase)
        self._scrub = ScrubFilter()
        self._terminal = terminal()
        self.report = ""  # where the traceback of a crash is
        self._version = -1
        self._begun = False
        self._painted = 0.0
        self._rest_s = 0.0  # what the last painting costs, with its rest
        self._after = 0
        present.follow(self.engine.now)
        self.begin_replay(self.engine)
        self.begin_alarms()
        self._questions = asyncio.Lock()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The library's own, and the wall against what should not be painted."""
        return [*super().get_line_filters(), self._scrub]

    async def on_mount(self) -> None:
        """First the picture, then the connections."""
        self.set_keymap(keymap(self.keys.changed))
        self.begin_views()
        self.call_after_refresh(self._begin)
        # A view that a quick hand opened meanwhile would keep the call above waiting for good.
        self.set_timer(BEGIN_S, self._begin)

    async def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        for number in (signal.SIGTERM, signal.SIGHUP):  # so that the terminal is given back
            asyncio.get_running_loop().add_signal_handler(number, self.exit)
        await self.engine.start()
        self.set_interval(LOOK_S, self.look_at_engine)
        if self._terminal is not None:
            self.set_interval(LOOK_AT_TERMINAL_S, self.look_at_terminal)
        self.set_interval(LOOK_AT_FILE_S, self.watch_theme_file)
        self._say_problems()
        self.look_at_engine()

    def _say_problems(self) -> None:
        """Everything that was wrong with keys, layouts and theme, at once: one hides no other."""
        problems = self.keys.problems[:1]
        if more := len(self.keys.problems) - 1:
            problems = [f"{told} (and {more} more)" for told in problems]
        told = [*problems, self.layouts.problem, self.take_unsaid()]
        if words := "; ".join(filter(None, told)):
            self.say(words)
        elif self.settings.greeting:
            self.say(self.settings.greeting, "accent")

    async def on_unmount(self) -> None:
        """Close every link."""
        await self.engine.stop()

    def look_at_engine(self) -> None:
        """See whether anything is new; paint at most twice a second, ages once.

        A view that takes long rests ``REST`` times as long, so that keys come through whatever a
        host sends.
        """
        now = time.monotonic()
        if self.went_back():
            self._after = 0
        self._take_events()
        snapshot = self.engine.snapshot()
        due = self._paint_s if snapshot.version != self._version else max(AGES_S, self._paint_s)
        if now - self._painted < max(due, self._rest_s):
            return
        self._version = snapshot.version
        self._painted = now
        views = [screen for screen in self.screen_stack if isinstance(screen, WatchScreen)]
        if views and views[-1].ready:  # also below a question or the help: it must not look frozen
            begun = time.thread_time()
            self.tell_all(snapshot)
            views[-1].show(snapshot)
            self._rest_s = (1 + REST) * (time.thread_time() - begun)

    def look_at_terminal(self) -> None:
        """End where nobody can see it any more."""
        if self._terminal is not None and gone(self._terminal):
            self.exit()

    def on_resize(self) -> None:
        """What is shared out by the size of the screen is so at once."""
        self.paint_soon()

    def paint_soon(self) -> None:
        """Let the next look paint whatever is in front."""
        self._painted = 0.0

    def settled(self) -> bool:
        """True when the screen in front shows the newest picture; for tests and screenshots."""
        newest = self.engine.snapshot().version
        return self._version == newest and self.engine.events(self._after, 1) == []

    def _take_events(self) -> None:
        events = self.engine.events(self._after, EVENTS_A_LOOK)
        if events:
            self._after = events[-1].seq
            self.call_person(events)
            self.show_events(events)

    # -- what screens ask for

    def retry(self, host: str) -> None:
        """Connect to a host now, and say what that can do."""
        view = self.engine.snapshot().host(host)
        if view is None:
            return
        self.engine.retry(host)
        words = f"{host}: trying now"
        if view.state.value == "NEW-KEY":
            words = (
                f"{host}: reading its stored key anew; "
                f"`watchfloor hosts trust {host} --replace` stores another one"
            )
        elif view.state.value == "LIVE":
            words = f"{host} is connected"
        self.say(words, "accent")

    def history(self, host: str, name: str, seconds: float) -> Series:
        """One number of one host over time."""
        return self.engine.history(host, name, seconds)

    def panels(self, host: str) -> tuple[Panel, ...]:
        """What plugins show of a host."""
        return self.engine.panels(host)

    @property
    def read_to(self) -> int:
        """The number of the newest event that views have been shown."""
        return self._after

    def past(self, host: str) -> list[Event]:
        """What happened on one host, as far as the stream was read: the rest comes by it."""
        return [event for event in self.engine.events(0, 10_000, host) if event.seq <= self._after]

    async def ask_passphrase(self, path: str) -> str | None:
        """Ask the person; one question at a time."""
        async with self._questions:
            if self.leaving:
                return None
            answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

            def done(passphrase: str | None) -> None:
                if not answer.done():
                    answer.set_result(passphrase)

            self.push_screen(PassphraseScreen(self.look, path), done)
            return await answer

    # -- actions

    @property
    def places(self) -> tuple[str, ...]:
        """Whose actions are offered in the view in front, or below the palette."""
        views = [screen for screen in self.screen_stack if isinstance(screen, WatchScreen)]
        return views[-1].places if views else ()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No action that the mode forbids; and a colon is text wherever a person types."""
        if self.leaving or forbidden(("app", "replay"), action, self.settings.mode):
            return False
        if action == "command_palette":
            return self.settings.mode is not Mode.WALL and isinstance(self.screen, WatchScreen)
        if action == "command":
            return isinstance(self.screen, WatchScreen) and not self.screen.typing
        return super().check_action(action, parameters)

    async def carry_out(self, action: Action, rest: str = "") -> None:
        """Do what a verb or the palette asks for, as its key would."""
        why = refusal(action, self.settings.mode)
        screen = self.screen
        if why or not isinstance(screen, WatchScreen):
            self.say(why or "not possible while a question is open")
            return
        target = self if action.where in ("app", "replay") else screen
        if action.where == "table":
            if screen.table is None:
                self.say("this page has no rows")
                return
            target = screen.table  # type: ignore[assignment]  # whatever has the method
        if action.takes:
            result = getattr(target, f"action_{action.name}")(rest)
            if inspect.isawaitable(result):
                await result
        else:
            await self.run_action(action.name, target)

    def choose(self, action: Action) -> None:
        """Carry out an action once the palette has closed."""
        self.call_later(self.carry_out, action)

    def action_help(self) -> None:
        """Help for the view in front."""
        if isinstance(self.screen, WatchScreen):
            self.push_screen(HelpScreen(self.look, self.screen.places, self.keys))

    def action_interrupt(self) -> None:
        """Say how to leave: whoever presses Ctrl+C may want to copy."""
        self.say(f"{self.keys.words(named('app.leave')) or ':quit'} leaves the console", "accent")

    def action_leave(self) -> None:
        """End the console."""
        self.exit()

    def get_key_display(self, binding: Binding) -> str:
        """Keys are written the same everywhere."""
        try:
            return self.keys.words(named(binding.id or ""))
        except KeyError:
            return super().get_key_display(binding)

    # -- the end

    def _fatal_error(self) -> None:
        """Keep the traceback for who mends it, without the values of variables."""
        if not self.report:  # what follows the first on the way out says less
            self.report = keep(traceback.format_exc())
        self._close_messages_no_wait()


def run_app(make: EngineFactory, settings: Settings | None = None) -> int:
    """Run the terminal until the person leaves; returns the exit status."""
    if refuse_dumb_terminal():
        return 2
    app = ConsoleApp(make, settings)
    rare_collections()
    app.run()
    if app.report:  # written here, whole: the library would break a long path in two
        sys.stderr.write(f"watchfloor: ended by a defect of its own; see {app.report}\n")
    return CRASHED if app.return_code else 0
