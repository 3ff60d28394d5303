"""Which tables each tab of a host has, and what they remember from one picture to the next."""

from collections.abc import Sequence

from console.model.view import HostView
from console.model.words import span
from console.tui.meaning import facts, present
from console.tui.meaning.events import EventRows, when
from console.tui.meaning.newcomers import Newcomers
from console.tui.screens.event_table import event_table
from console.tui.screens.host_tables import INVENTORY, Section, denials
from console.tui.screens.network_tables import FLOWS, PEERS, listeners
from console.tui.screens.process_table import ProcessTable
from console.tui.style.look import Cell, Look


class HostSections:
    """The tables of one host. ``events`` are the rows of its events."""

    def __init__(self, newcomers: Newcomers, events: EventRows) -> None:
        self.processes = ProcessTable()
        self._network = (listeners(newcomers), PEERS, FLOWS)
        self._events = (event_table(events),)

    def of(self, tab: str) -> tuple[Section, ...]:
        """The tables of a tab, the first shown first; none for a tab that is a page."""
        return {
            "processes": (self.processes.section,),
            "network": self._network,
            "inventory": INVENTORY,
            "events": self._events,
        }.get(tab, ())


def as_of(view: HostView, now: float) -> str:
    """How old what is shown is, where a host is silent; "" where it is not."""
    age = view.age(now)
    if age is None or not facts.silent(view):
        return ""
    return f"as of {when(now - age)} UTC, {span(age)} ago: the host is {view.state.value}"


def notes(view: HostView, section: Section, look: Look, *, forgotten: int = 0) -> list[Cell]:
    """What to know of a table: how old it is, what may not be seen, how many events are lost."""
    old = as_of(view, present.now())
    out: list[Cell] = [[(f"  {look.mark('warn')} {old}", "warn")]] if old else []
    if forgotten:
        words = "1 older event is" if forgotten == 1 else f"{forgotten} older events are"
        out.append([(f"  {words} no longer held", "dim")])
    missing = denials(view, section)
    out += [[(f"  {look.mark('warn')} not visible: {words}", "warn")] for words in missing[:2]]
    if len(missing) > 2:
        out.append([(f"  and {len(missing) - 2} more, see the overview", "warn")])
    return out


def too_many(titles: Sequence[str], width: int) -> bool:
    """Whether the titles of sections do not fit beside each other into ``width`` cells."""
    return sum(len(words) + 2 for words in titles) + 14 > width


def names(titles: Sequence[str], here: int, width: int, key: str) -> list[tuple[str, str]]:
    """The sections of a tab, or which of them is in view where they are too many.

    ``key`` leads to the next one.
    """
    if too_many(titles, width):
        words = f"{here + 1} of {len(titles)}" + (f", {key} next" if key else "")
        return [(" ", ""), (f" {titles[here]} ", "bar"), (words, "dim")]
    return [
        (" ", ""),
        *((f" {words} ", "bar" if n == here else "dim") for n, words in enumerate(titles)),
    ]


def pressed(words: Sequence[str], x: int) -> int | None:
    """Which of ``words``, which stand one after the other, is at cell ``x``."""
    left = 0
    for index, text in enumerate(words):
        left += len(text)
        if x < left:
            return index if x >= 0 else None
    return None
