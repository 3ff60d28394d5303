"""What screens ask of the application, so that none of them needs to know it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from console.engine.protocol import Playback
from console.model.event import Event
from console.model.guard import Custody
from console.model.panel import Panel
from console.tui.control.keys import Keys
from console.tui.settings import Settings
from console.tui.style.look import Piece
from console.tui.tables.layout import Layouts

if TYPE_CHECKING:
    from console.tui.screens.base import WatchScreen
    from console.tui.screens.request import RequestScreen


class Console(Protocol):
    """What screens ask of the application."""

    @property
    def keys(self) -> Keys:
        """The keys in force."""
        ...

    @property
    def settings(self) -> Settings:
        """What a person has set."""
        ...

    @property
    def layouts(self) -> Layouts:
        """The layouts, and the one in use."""
        ...

    @property
    def playback(self) -> Playback | None:
        """What a replay can do beside showing; None when hosts are watched."""
        ...

    @property
    def leaving(self) -> bool:
        """Whether the end was asked for; then no action is carried out any more."""
        ...

    @property
    def acts(self) -> bool:
        """Whether there is an engine here that may ask hosts to change something."""
        ...

    @property
    def told(self) -> Sequence[Piece]:
        """What every view says until somebody has seen to it."""
        ...

    @property
    def typed_before(self) -> Sequence[str]:
        """Commands that were typed, oldest first, each with its colon."""
        ...

    def retry(self, host: str) -> None:
        """Connect to a host now."""
        ...

    def panels(self, host: str) -> tuple[Panel, ...]:
        """What plugins show of a host."""
        ...

    def say(self, words: str, style: str = "warn") -> None:
        """Tell the person something on the screen in front."""
        ...

    def open_host(self, host: str, tab: str = "overview") -> None:
        """Show one host."""
        ...

    def open_view(self, screen: "WatchScreen") -> None:
        """Put a view in front."""
        ...

    def sitting(self) -> str:
        """Who sits here now, where several people take turns; else nothing."""
        ...

    def open_request(self, host: str, id: str) -> None:
        """Everything about one request."""
        ...

    def decide(self, screen: "RequestScreen", *, approve: bool, comment: str = "") -> None:
        """Let the person look again, then sign an approval or a denial."""
        ...

    def withdraw(self, screen: "RequestScreen", comment: str = "") -> None:
        """Cancel one's own request, wherever it waits."""
        ...

    def start_approved(self, screen: "RequestScreen") -> None:
        """Start what the second person approved."""
        ...

    def ask_release(self, screen: "RequestScreen", reason: str = "") -> None:
        """Ask for the end of what stands."""
        ...

    def past(self, host: str) -> list[Event]:
        """What happened on one host, as far as the stream was read."""
        ...

    def custody(self, host: str, id: str) -> Custody | None:
        """What was fetched of the evidence of that request at this console."""
        ...

    def fetch(self, screen: "RequestScreen", folder: str = "") -> None:
        """Take collected evidence into a folder, by a signature."""
        ...

    def review(self, screen: "RequestScreen", comment: str = "") -> None:
        """Sign that somebody else's break-glass was looked at."""
        ...

    def ask_command(self, start: str) -> None:
        """Let the person complete a command that begins with ``start``."""
        ...
