"""The command palette: the actions of the view in front, and every host."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from console.tui.control.actions import named, of, refusal
from console.tui.control.help import places_to_look

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp

HOSTS = 200
"""More hosts than that are not offered for one search; it becomes narrower with each letter."""


def _safe(words: str) -> str:
    """Text that the library would read as markup if it were a plain string."""
    return cast(str, Content(words))


class Palette(Provider):
    """What can be done here, found by its words. Everything shown is text, never markup."""

    @property
    def console(self) -> "ConsoleApp":
        """The application."""
        return cast("ConsoleApp", self.app)

    def _entries(self) -> Iterator[tuple[str, str, Callable[[], Any]]]:
        console = self.console
        for place in console.places:
            for action in of(place):
                if not refusal(action, console.settings.mode) and action.id != "app.command":
                    keys = console.keys.words(action)
                    verb = f":{action.verb}" if action.verb else ""
                    how = "  ".join(filter(None, (keys, verb)))
                    yield action.words, how, partial(console.choose, action)

    async def discover(self) -> AsyncIterator[DiscoveryHit]:
        """Everything that can be done here, before a letter is typed."""
        for words, how, run in self._entries():
            yield DiscoveryHit(Content(words), run, text=words, help=_safe(how))

    async def search(self, query: str) -> Hits:
        """What fits the letters typed so far."""
        matcher = self.matcher(query)
        for words, how, run in self._entries():
            score = matcher.match(f"{words} {how}")
            if score > 0:
                yield Hit(score, Content(words), run, text=words, help=_safe(how))
        for what, where in places_to_look():
            score = matcher.match(f"{what} {where}")
            if score > 0:
                show_help = partial(self.console.choose, named("app.help"))
                yield Hit(score, Content(what), show_help, text=what, help=_safe(where))
        offered = 0
        for name in self.console.host_names():
            score = matcher.match(name)
            if score > 0 and offered < HOSTS:
                offered += 1
                open_it = partial(self.console.open_host, name)
                yield Hit(score, Content(f"host {name}"), open_it, text=name, help="open this host")


class SearchScreen(CommandPalette):
    """The library's palette, which survives keys that come before its list is laid out."""

    def _action_command_list(self, action: str) -> None:
        try:
            super()._action_command_list(action)
        except KeyError:  # a page down, and the list does not yet know where its first line is
            return
