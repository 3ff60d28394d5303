"""The terminal: pulls the newest snapshot from an engine and shows it on the screen in front."""

import asyncio
import difflib
import gc
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from console.tui.environ import ascii_only, reduced_motion, scrub

scrub(os.environ)

from textual.app import SystemCommand  # noqa: E402  # after the environment is clean
from textual.filter import LineFilter  # noqa: E402
from textual.screen import Screen  # noqa: E402

from console.engine.protocol import Engine  # noqa: E402
from console.model.event import Event  # noqa: E402
from console.model.history import Series  # noqa: E402
from console.model.link import AskPassphrase  # noqa: E402
from console.text import clean  # noqa: E402
from console.tui import actions  # noqa: E402
from console.tui.look import Look  # noqa: E402
from console.tui.safe import ScrubFilter  # noqa: E402
from console.tui.screens.base import WatchScreen  # noqa: E402
from console.tui.screens.fleet import FleetScreen  # noqa: E402
from console.tui.screens.host import HostScreen  # noqa: E402
from console.tui.screens.modal import HelpScreen, PassphraseScreen  # noqa: E402
from console.tui.theme_files import AUTO  # noqa: E402
from console.tui.themed import LOOK_AT_FILE_S, ThemedApp  # noqa: E402
from console.tui.widgets.line_table import LineTable  # noqa: E402

EngineFactory = Callable[[AskPassphrase], Engine]

LOOK_S = 0.1
PAINT_S = 0.5
AGES_S = 1.0
VERBS = ("help", "quit")
EVENTS_A_LOOK = 200
CRASHED = 70


class ConsoleApp(ThemedApp):
    """Watches one engine. Nothing here changes a host."""

    ENABLE_COMMAND_PALETTE = True
    BINDINGS = actions.bindings("app")

    def __init__(
        self,
        make: EngineFactory,
        *,
        title: str = "",
        look: Look | None = None,
        paint_s: float = PAINT_S,
        theme: str = AUTO,
        own_themes: Path | None = None,
        still: bool = False,
    ) -> None:
        """``look`` given: drawn with it, whatever ``theme`` says. ``still``: reduced motion."""
        still = still or reduced_motion()
        drawn = look or Look(ascii_only=ascii_only(), reduced_motion=still)
        super().__init__(drawn, theme=theme, own_themes=own_themes)
        if look is None:
            self.first_theme()
        self._paint_s = max(AGES_S, paint_s) if drawn.reduced_motion else paint_s
        self.engine = make(self.ask_passphrase)
        self._scrub = ScrubFilter()
        self.report = ""  # where the traceback of a crash was written
        self._title = title
        self._version = -1
        self._painted = 0.0
        self._after = 0
        self._fleet = FleetScreen(self.look, title, self.engine.snapshot)
        self._questions = asyncio.Lock()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The library's own, and the wall against what should not be painted."""
        return [*super().get_line_filters(), self._scrub]

    async def on_mount(self) -> None:
        """First the picture, then the connections."""
        self.push_screen(self._fleet)
        self.call_after_refresh(self._begin)

    async def _begin(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP):  # so that the terminal is given back
            asyncio.get_running_loop().add_signal_handler(number, self.exit)
        await self.engine.start()
        self.set_interval(LOOK_S, self.look_at_engine)
        self.set_interval(LOOK_AT_FILE_S, self.watch_theme_file)
        self.say_unsaid()
        self.look_at_engine()

    async def on_unmount(self) -> None:
        """Close every link."""
        await self.engine.stop()

    def look_at_engine(self) -> None:
        """See whether anything is new; paint at most twice a second, ages once."""
        now = time.monotonic()
        self._take_events()
        snapshot = self.engine.snapshot()
        due = self._paint_s if snapshot.version != self._version else max(AGES_S, self._paint_s)
        if now - self._painted < due:
            return
        self._version = snapshot.version
        self._painted = now
        screen = self.screen
        if isinstance(screen, WatchScreen) and screen.ready:
            screen.show(snapshot)

    def settled(self) -> bool:
        """True when the screen in front shows the newest picture; for tests and screenshots."""
        newest = self.engine.snapshot().version
        return self._version == newest and self.engine.events(self._after, 1) == []

    def _take_events(self) -> None:
        events = self.engine.events(self._after, EVENTS_A_LOOK)
        if not events:
            return
        self._after = events[-1].seq
        self._fleet.show_events(events)
        for screen in self.screen_stack:
            if isinstance(screen, HostScreen):
                screen.show_events(events)

    # -- what screens ask for

    def retry(self, host: str) -> None:
        """Connect to a host now, and say what that can do."""
        view = self.engine.snapshot().host(host)
        if view is None or not isinstance(self.screen, WatchScreen):
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
        self.screen.tell(words, "accent")
        self.set_timer(4.0, self._untell)

    def _untell(self) -> None:
        if isinstance(self.screen, WatchScreen):
            self.screen.tell("")

    def history(self, host: str, name: str, seconds: float) -> Series:
        """One number of one host over time."""
        return self.engine.history(host, name, seconds)

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Open the host whose row was chosen."""
        event.stop()
        if self.screen is self._fleet:
            self.open_host(str(event.key))

    def open_host(self, host: str) -> None:
        """Show one host, with its full process table while it is in front."""
        if isinstance(self.screen, HostScreen):  # so that Esc always leads to the fleet
            self.pop_screen()  # type: ignore[no-untyped-call]  # as the library declares it
        screen = HostScreen(self.look, host, self.history, self._fleet.newcomers)
        self.engine.focus(host)
        self.push_screen(screen, lambda _: self.engine.focus())
        screen.call_after_refresh(self._fill, screen, self._after)

    def _fill(self, screen: HostScreen, until: int) -> None:
        screen.forgotten = self.engine.forgotten(screen.host)
        screen.show_events(self._past(screen.host, until))
        screen.show(self.engine.snapshot())

    def _past(self, host: str, until: int) -> list[Event]:
        """What happened on one host, as far as the stream was read: the rest came by it."""
        return [event for event in self.engine.events(0, 10_000, host) if event.seq <= until]

    def pop_screen(self):  # type: ignore[no-untyped-def]  # as the library declares it
        """Leave a screen; the summaries are enough again when it was a host."""
        if isinstance(self.screen, HostScreen):
            self.engine.focus()
        result = super().pop_screen()
        self._painted = 0.0
        return result

    async def ask_passphrase(self, path: str) -> str | None:
        """Ask the person; one question at a time."""
        async with self._questions:
            answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

            def done(passphrase: str | None) -> None:
                if not answer.done():
                    answer.set_result(passphrase)

            self.push_screen(PassphraseScreen(self.look, path), done)
            return await answer

    # -- actions

    def action_help(self) -> None:
        """Help for the view in front."""
        if isinstance(self.screen, WatchScreen):
            self.push_screen(HelpScreen(self.look, self.screen.PLACES))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A colon is text wherever a person types."""
        if action == "command":
            return isinstance(self.screen, WatchScreen) and not self.screen.typing
        return super().check_action(action, parameters)

    def action_command(self) -> None:
        """Type a command: :quit, :host NAME."""
        if isinstance(self.screen, WatchScreen):
            self.screen.ask(":", self.command, complete=self._complete)

    def _complete(self, typed: str) -> str:
        """A command, or the name of a host, as far as it is certain."""
        names = [view.name for view in self.engine.snapshot().hosts]
        offered = [*(f":host {name}" for name in names), *(f":{verb}" for verb in VERBS)]
        fitting = [whole for whole in offered if whole.startswith(typed)]
        if len(fitting) > 1 and isinstance(self.screen, WatchScreen):
            ends = [whole.rpartition(" ")[2].lstrip(":") for whole in fitting[:20]]
            self.screen.remark("  ".join(dict.fromkeys(ends)), "dim")
        return os.path.commonprefix(fitting) or typed  # noqa: RUF071  # of names

    def command(self, typed: str) -> None:
        """Carry out a typed command."""
        verb, _, rest = typed.lstrip(":").strip().partition(" ")
        screen = self.screen
        if verb in ("q", "quit"):
            self.exit()
        elif verb == "host" and rest.strip():
            self._go(rest.strip())
        elif verb == "help":
            self.action_help()
        elif isinstance(screen, WatchScreen):
            screen.remark("commands: :host NAME  :help  :quit")

    def _go(self, name: str) -> None:
        names = [view.name for view in self.engine.snapshot().hosts]
        if name in names:
            self.open_host(name)
        elif isinstance(self.screen, WatchScreen):
            near = difflib.get_close_matches(name, names, 3, 0.5)
            words = f"; nearest: {', '.join(near)}" if near else "; Tab completes names"
            self.screen.remark(f"no host is called {clean(name)}{words}")

    def action_leave(self) -> None:
        """End the console."""
        self.exit()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: what the registry has for the view in front, and every host."""
        places = (*screen.PLACES, "table") if isinstance(screen, WatchScreen) else ()
        for place in places:
            for action in actions.of(place):
                words = f"{actions.keys(action)}: {action.id}"
                yield SystemCommand(action.words, words, self._runner(action.name))

    def _runner(self, name: str) -> Callable[[], None]:
        async def run() -> None:
            focused = self.screen.focused
            await self.run_action(name, focused or self.screen)

        def later() -> None:
            self.call_later(run)

        return later

    # -- the end

    def _fatal_error(self) -> None:
        """Keep the traceback for who mends it, without the values of variables."""
        self.report = write_traceback(traceback.format_exc())
        self._close_messages_no_wait()


def write_traceback(text: str) -> str:
    """Write ``text`` into a new file that only this user may read; returns its path."""
    handle, path = tempfile.mkstemp(prefix="watchfloor-crash-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def rare_collections() -> None:
    """Let Python look for garbage in cycles seldom.

    Pictures of a fleet are trees of immutable values and hold no cycles, but there are so many
    of them that a full search stops the screens for tens of milliseconds, again and again.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def run_app(
    make: EngineFactory,
    *,
    title: str = "",
    paint_s: float = PAINT_S,
    read_only: bool = True,
    theme: str = AUTO,
    own_themes: Path | None = None,
    still: bool = False,
) -> int:
    """Run the terminal until the person leaves; returns the exit status.

    ``paint_s`` is the least time between two paints of a table, in seconds. There is nothing yet
    that ``read_only`` would have to forbid. ``theme`` is a name or "auto", ``own_themes`` the
    folder of the person's own; ``still``: nothing moves by itself, and paints come once a second.
    """
    if os.environ.get("TERM", "dumb") == "dumb":
        sys.stderr.write(
            "watchfloor: this terminal cannot draw screens; use `watchfloor watch --plain`\n"
        )
        return 2
    app = ConsoleApp(
        make, title=title, paint_s=paint_s, theme=theme, own_themes=own_themes, still=still
    )
    rare_collections()
    app.run()
    if app.report:  # written here, whole: the library would break a long path in two
        sys.stderr.write(f"watchfloor: ended by a defect of its own; see {app.report}\n")
    return CRASHED if app.return_code else 0
