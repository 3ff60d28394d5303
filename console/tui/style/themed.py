"""The part of the application that is about themes: which one, changing it, and reading it anew."""

from pathlib import Path

from textual.app import App
from textual.command import CommandPalette
from textual.widgets import Input, OptionList

from console.errors import ConfigError
from console.tui.control.palette import SearchScreen
from console.tui.environ import colourless, colours, fitting_theme
from console.tui.mend import forget_old_splits, let_closed_views_go
from console.tui.screens.base import WatchScreen
from console.tui.style import theme_css
from console.tui.style.look import Look
from console.tui.style.theme import Theme
from console.tui.style.theme_files import AUTO, Stamp, ThemeFiles
from console.tui.widgets.strips import plain_scroll_bar

LOOK_AT_FILE_S = 1.0
LONGEST_SEARCH = 200
"""Letters in the palette: each one more is compared with everything that can be done."""


class ThemedApp(App[None]):
    """Draws with ``look.theme`` and lets a person change it; a wrong file changes nothing."""

    CSS = theme_css.CSS

    def __init__(self, look: Look, *, theme: str = AUTO, own_themes: Path | None = None) -> None:
        """``theme`` is a name or "auto"; ``own_themes`` the folder of the person's own."""
        let_closed_views_go()
        forget_old_splits()
        self.look = look
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"  # whose rules convert nothing; all its colours are replaced
        self.theme_files = ThemeFiles(own_themes)
        self._theme_name = theme
        self._theme_stamp: Stamp | None = None
        self._unsaid = ""
        if look.reduced_motion:
            self.animation_level = "none"

    def get_css_variables(self) -> dict[str, str]:
        """The library's, with the theme's colours in their place."""
        return {**super().get_css_variables(), **theme_css.variables(self.look.theme)}

    def say(self, words: str, style: str = "warn") -> None:
        """Tell the person something on the screen in front; before there is one, when it is there.

        Under a modal screen the one below tells it.
        """
        ready = [s for s in self.screen_stack if isinstance(s, WatchScreen) and s.ready]
        if ready:
            ready[-1].remark(words, style)
        else:
            self._unsaid = words

    def take_unsaid(self) -> str:
        """What could not be told before there was a screen; once."""
        words, self._unsaid = self._unsaid, ""
        return words

    # -- which theme

    def choose_theme(self, name: str) -> bool:
        """Draw with the theme of that name; where that cannot be, say why and keep the one it has.

        "auto" is what fits this terminal.
        """
        meant = fitting_theme() if name == AUTO else name
        try:
            theme = self.theme_files.load(meant)
            if colourless() and not theme.colourless:
                raise ConfigError(
                    f"theme {meant} has colours, and NO_COLOR asks for none",
                    hint="Take mono, or start without NO_COLOR.",
                )
        except ConfigError as error:
            self.say(f"{error} The theme stays {self.look.theme.name}.")
            return False
        self._theme_name = meant
        self._theme_stamp = self.theme_files.stamp(meant)
        self._wear(theme)
        return True

    def first_theme(self) -> None:
        """Before the first paint: the theme that was asked for, else what fits the terminal."""
        if not self.choose_theme(self._theme_name):
            self.choose_theme(AUTO)

    def watch_theme_file(self) -> None:
        """Look whether the file of the theme in use has changed, and take it then."""
        stamp = self.theme_files.stamp(self._theme_name)
        if stamp is None or stamp == self._theme_stamp:
            return
        self._theme_stamp = stamp
        if self.choose_theme(self._theme_name):
            self.say(f"theme {self._theme_name} was read anew", "accent")

    def _wear(self, theme: Theme) -> None:
        if theme == self.look.theme:
            return
        self.look.use(theme)
        if self.is_running and self.screen_stack:
            self.refresh_css(animate=False)
            for screen in self.screen_stack:
                for widget in screen.walk_children():
                    widget.refresh()

    # -- actions

    def action_theme(self, rest: str = "") -> None:
        """The theme of that name, else the next one."""
        name = rest.strip()
        if not name:
            name = self._next_theme()
        if self.choose_theme(name):
            self._say_theme()

    def _say_theme(self) -> None:
        theme = self.look.theme
        if theme.rgb and colours() <= 16:
            self.say(f"theme {theme.name}: this terminal has sixteen colours; ansi16 fits it")
        else:
            self.say(f"theme {theme.name}" + (f": {theme.about}" if theme.about else ""), "accent")

    def complete_theme(self, typed: str) -> list[str]:
        """Names of themes that begin with what was typed."""
        return [name for name in (AUTO, *self.theme_files.names()) if name.startswith(typed)]

    def _next_theme(self) -> str:
        names = self.theme_files.names()
        if colourless():
            names = [name for name in names if self._has_no_colour(name)]
        here = self.look.theme.name
        return names[(names.index(here) + 1) % len(names)] if here in names else names[0]

    def _has_no_colour(self, name: str) -> bool:
        try:
            return self.theme_files.load(name).colourless
        except ConfigError:
            return False

    # -- the palette

    def action_command_palette(self) -> None:
        """The library's palette, in words that every terminal can show, and still if wanted."""
        if self.use_command_palette and not isinstance(self.screen, CommandPalette):
            plain = "plain" if self.look.ascii_only else ""
            palette = SearchScreen(id="--command-palette", placeholder="what to do", classes=plain)
            self.push_screen(palette)
            palette.call_after_refresh(self._tame, palette)

    def _tame(self, palette: CommandPalette) -> None:
        """What is typed has an end and does not blink for who wants nothing that moves; the scroll
        bar is one that the terminal can draw.
        """
        for hits in palette.query(OptionList):
            plain_scroll_bar(hits, self.look)
        for line in palette.query(Input):
            line.max_length = LONGEST_SEARCH
            if self.look.reduced_motion:
                line.cursor_blink = False
