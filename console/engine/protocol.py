"""What a face (terminal, headless verb, test) may ask of an engine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from console.model.event import Event
from console.model.guard import ActionAbout, Ask, Custody, Draft, Outcome, Preview, RequestView
from console.model.history import Series
from console.model.panel import Panel
from console.model.view import FleetSnapshot


class Engine(Protocol):
    """One running session over a fleet.

    Faces pull: they look at ``snapshot().version`` at their own pace. Nothing is pushed into them.
    """

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        ...

    async def stop(self) -> None:
        """Close every link and the store, within five seconds."""
        ...

    def snapshot(self) -> FleetSnapshot:
        """The newest picture. Cheap: the same object until something changed."""
        ...

    def now(self) -> float:
        """Seconds since the epoch: the clock against which ages in the picture are told."""
        ...

    def events(self, after: int = 0, limit: int = 1000, host: str = "") -> list[Event]:
        """Events with ``seq`` greater than ``after``, oldest first; of one host where it is named.

        Memory is shared out evenly: a noisy host never hides the events of another.
        """
        ...

    def forgotten(self, host: str) -> int:
        """How many events of that host are no longer held."""
        ...

    def history(self, host: str, name: str, seconds: float) -> Series:
        """One number of one host over the last ``seconds``."""
        ...

    def series(self, host: str) -> list[str]:
        """Names of the numbers that ``history`` has of that host; none for an unknown host."""
        ...

    def panels(self, host: str) -> tuple[Panel, ...]:
        """What plugins show of that host; none for an unknown host. ``version`` tells changes."""
        ...

    def focus(self, *hosts: str) -> None:
        """Full process tables for these hosts only; all others go back to summaries."""
        ...

    def retry(self, host: str) -> None:
        """Connect now: ends a wait, and leaves REFUSED. NEW-KEY only once a person has
        stored another key: the host's entry is read anew.
        """
        ...


@runtime_checkable
class Playback(Protocol):
    """What an engine over a recording can do beside ``Engine``. Times: seconds since the epoch."""

    begin: float
    end: float
    ends: str  # how the recording ends, in words; "" for in good order
    turns: int  # grows with each seek back: events with known numbers are told anew

    @property
    def position(self) -> float:
        """The moment that is shown, or being sought."""
        ...

    @property
    def seeking(self) -> bool:
        """True while the picture of the position is not read yet."""
        ...

    @property
    def paused(self) -> bool:
        """Whether time stands still; also at the end."""
        ...

    @property
    def speed(self) -> float:
        """Recorded seconds a second."""
        ...

    def pause(self) -> None:
        """Let time stand still."""
        ...

    def resume(self) -> None:
        """Let time run; at the end from the beginning."""
        ...

    def set_speed(self, speed: float) -> None:
        """Another pace, within what is allowed."""
        ...

    def seek(self, at: float) -> None:
        """Go to a moment, at most to the beginning or the end."""
        ...

    def step(self, ticks: int) -> None:
        """Pause, and go so many recorded pictures on, or back where negative."""
        ...


@runtime_checkable
class Guarding(Protocol):
    """What an engine that may act can do beside ``Engine``; one over a recording is none.

    Nothing here changes a host by itself: each host's guard decides by the signatures. Methods
    that sign raise ActionError where this console must not (``may_act`` says why before).
    """

    def may_act(self) -> str:
        """Empty, or why nothing can be signed here, with the next step."""
        ...

    def actions(self, host: str) -> tuple[ActionAbout, ...]:
        """Every action there is, with the fields of a form."""
        ...

    async def preview(
        self, hosts: Sequence[str], action: str, params: Mapping[str, Any]
    ) -> Preview:
        """Ask each host for a challenge and work out the effect; changes nothing.

        Values may be text as typed in a form. Raises ActionError for wrong parameters.
        """
        ...

    def prepare(self, hosts: Sequence[str]) -> None:
        """Connect to these hosts while a person reads what they may sign, so that the signature
        leaves at once. Returns at once; what is not used is closed by itself."""
        ...

    def draft(self, preview: Preview, reason: str, mode: str) -> Draft:
        """The bytes that ``submit`` will have signed with the same arguments."""
        ...

    async def submit(self, preview: Preview, reason: str, mode: str, ask: Ask) -> list[Outcome]:
        """Sign once and send to every usable target; an outcome for each."""
        ...

    async def decide(
        self, hosts: Sequence[str], request: str, approve: bool, comment: str, ask: Ask,
        unseen: Sequence[str] = (),
    ) -> list[Outcome]:  # fmt: skip
        """Approve or deny a request on these of its hosts by one signature.

        An approval counts on all targets of the request: it is refused while one of them is not
        seen here, verified, unless the person has accepted that one by name, in ``unseen``.
        """
        ...

    async def cancel(
        self, hosts: Sequence[str], request: str, comment: str, ask: Ask
    ) -> list[Outcome]:
        """Withdraw a request of one's own."""
        ...

    async def begin(self, hosts: Sequence[str], request: str, ask: Ask) -> list[Outcome]:
        """Start an approved request of one's own whose action the requester starts."""
        ...

    async def review(
        self, hosts: Sequence[str], request: str, comment: str, ask: Ask
    ) -> list[Outcome]:
        """Sign that one has looked at somebody else's break-glass."""
        ...

    async def release(
        self, hosts: Sequence[str], request: str, reason: str, ask: Ask
    ) -> list[Outcome]:
        """Ask for the end of what stands: an ordinary request, which another person approves."""
        ...

    async def fetch(self, host: str, request: str, folder: Path, ask: Ask) -> Custody:
        """Take the evidence that a request collected into a folder, by one signature."""
        ...

    def requests(self) -> tuple[RequestView, ...]:
        """All that waits on all hosts, the soonest to expire first."""
        ...


def acting(engine: Engine) -> Engine:
    """The engine that may act where ``engine`` is one that is recorded; else itself."""
    inner: Engine | None = getattr(engine, "recorded", None)
    return engine if inner is None else inner
