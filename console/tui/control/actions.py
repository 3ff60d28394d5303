"""Every action of the terminal, once.

Keys, ``:`` verbs, help, footer, palette, docs/actions.md and what a mode forbids are made from
this. Nothing here draws, so that the command line can read it without loading the terminal.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Risk = Literal["none", "local", "connect", "act"]
"""none: only looks. local: writes a file or the clipboard of this workstation. connect: opens a
connection. act: asks a host to change something."""


class Mode(StrEnum):
    """What this console may do at all."""

    FULL = "full"
    READ_ONLY = "read-only"  # no action on a host
    REPLAY = "replay"  # a recording: there is nothing to connect to
    WALL = "wall"  # a board that nobody sits at


_FORBIDDEN: dict[Mode, frozenset[Risk]] = {
    Mode.FULL: frozenset(),
    Mode.READ_ONLY: frozenset({"act"}),
    Mode.REPLAY: frozenset({"act", "connect"}),
    Mode.WALL: frozenset({"act", "connect", "local"}),
}


@dataclass(frozen=True)
class Action:
    """One thing a person can do.

    ``id`` is ``<where>.<name>``; the method ``action_<name>`` of that place carries it out, or
    ``call`` where several share one. With a ``verb`` it is also ``:verb`` on the command line, and
    the method takes what stands after it, in the form of ``takes``. ``typing`` is for what opens
    the typed line: keys that follow at once belong to it.
    """

    id: str
    keys: str
    words: str
    short: str = ""  # in the footer; "" keeps it out of there
    verb: str = ""
    takes: str = ""
    risk: Risk = "none"
    who: str = "anyone"
    typing: bool = False
    call: str = ""
    asks: bool = False  # its key opens a question; nothing happens by that key alone

    @property
    def where(self) -> str:
        """The place that carries it out: app, table, or a kind of screen."""
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        """What the library runs: name of the method without ``action_``, with its arguments."""
        return self.call or self.id.partition(".")[2].replace("-", "_")


ASKED = "[ACTION [HOST...] [NAME=VALUE...] [reason=WHY]]"

ACTIONS: tuple[Action, ...] = (
    # -- one row a host
    Action("fleet.open", "enter", "open the host under the cursor", "open"),
    Action("fleet.retry", "r", "connect to this host now", "retry", "retry", risk="connect"),
    Action("fleet.filter", "slash", "filter rows", "filter", typing=True),
    Action("fleet.sort", "s", "sort by the next column", "sort"),
    Action("fleet.reverse", "S", "turn the order round", "reverse"),
    # -- one host
    Action("host.back", "escape", "back", "back"),
    Action("host.overview", "1", "overview", verb="overview", call="tab('overview')"),
    Action("host.gpus", "2", "GPUs", verb="gpus", call="tab('gpus')"),
    Action("host.processes", "3", "processes", verb="processes", call="tab('processes')"),
    Action("host.network", "4", "network", verb="network", call="tab('network')"),
    Action("host.inventory", "5", "inventory", verb="inventory", call="tab('inventory')"),
    Action("host.events", "6", "events", verb="events", call="tab('events')"),
    Action("host.panels", "7", "panels of plugins", verb="panels", call="tab('panels')"),
    Action("host.next-tab", "tab,right_square_bracket", "next tab", "next tab"),
    Action("host.previous-tab", "shift+tab,left_square_bracket", "previous tab"),
    Action("host.section", "n", "next section (network, inventory)", "section"),
    Action("host.previous-section", "N", "previous section", call="section(-1)"),
    Action("host.filter", "slash", "filter rows", "filter", typing=True),
    Action("host.sort", "s", "sort by the next column", "sort"),
    Action("host.reverse", "S", "turn the order round"),
    Action("host.details", "enter", "everything about the row under the cursor", "details"),
    Action("host.tree", "t", "processes as a tree, or flat", "tree", "tree"),
    Action("host.retry", "r", "connect to this host now", "retry", "retry", risk="connect"),
    # -- what happened on all hosts
    Action("events.back", "escape", "end the filter, or back", "back"),
    Action("events.open", "enter", "open the host of the event", "open"),
    Action("events.filter", "slash", "filter rows", "filter", typing=True),
    Action("events.sort", "s", "sort by the next column", "sort"),
    Action("events.reverse", "S", "turn the order round"),
    # -- rows, wherever there are some
    Action("table.up", "up,k", "up"),
    Action("table.down", "down,j", "down"),
    Action("table.page-up", "pageup,ctrl+b", "page up"),
    Action("table.page-down", "pagedown,ctrl+f", "page down"),
    Action("table.first", "home,g", "first row"),
    Action("table.last", "end,G", "last row"),
    Action("table.left", "left,h", "columns to the left"),
    Action("table.right", "right,l", "columns to the right", "columns"),
    Action(
        "table.jump", "apostrophe", "move to the row whose name begins with what is typed",
        typing=True,
    ),
    Action("table.need", "w", "next row that needs a look", verb="next"),
    Action(
        "table.columns", "", "show, hide or list columns",
        verb="columns", takes="[+COLUMN -COLUMN | reset]",
    ),
    Action("table.pin", "", "keep a column at the left", verb="pin", takes="COLUMN"),
    Action("table.unpin", "", "let a column scroll again", verb="unpin", takes="COLUMN"),
    Action("table.sort-by", "", "sort by a column", verb="sort", takes="[COLUMN [up|down]]"),
    # -- what was asked of hosts
    Action("requests.back", "escape", "end the filter, or back", "back"),
    Action("requests.open", "enter", "everything about the request under the cursor", "open"),
    Action("requests.filter", "slash", "filter rows", "filter", typing=True),
    Action("requests.sort", "s", "sort by the next column", "sort"),
    Action("requests.reverse", "S", "turn the order round"),
    Action("request.back", "escape", "back", "back"),
    Action(
        "request.approve", "a", "look at it once more and sign an approval", "approve",
        "approve", "[COMMENT]", "act", "another person than the requester", asks=True,
    ),
    Action(
        "request.deny", "d", "sign that it must not be done", "deny", "deny", "[COMMENT]", "act",
        "who may approve", asks=True,
    ),
    Action(
        "request.cancel", "c", "withdraw your own request", "cancel", "cancel", "[COMMENT]", "act",
        "the requester", asks=True,
    ),
    Action(
        "request.start", "s", "start your own request that another person approved", "start",
        "start", "", "act", "the requester", asks=True,
    ),
    Action(
        "request.release", "x", "ask for the end of what stands: two people again", "release",
        "release", "REASON", "act", "two people", asks=True,
    ),
    Action(
        "request.review", "v", "sign that you looked at somebody's break-glass", "review",
        "review", "COMMENT", "act", "another person than the requester", asks=True,
    ),
    Action(
        "request.fetch", "f", "take the evidence that was collected into a folder, by a signature",
        "fetch", "fetch", "[FOLDER]", "connect", "who may ask for or approve it", asks=True,
    ),
    # -- a recording that is shown again, whatever the view
    Action("replay.pause", "space", "stop the recording here, or let it go on", verb="pause"),
    Action("replay.step", "full_stop", "one recorded picture on"),
    Action("replay.step-back", "comma", "one recorded picture back"),
    Action("replay.faster", "greater_than_sign", "twice as fast"),
    Action("replay.slower", "less_than_sign", "half as fast"),
    Action("replay.minute-on", "right_curly_bracket", "a minute on"),
    Action("replay.minute-back", "left_curly_bracket", "a minute back"),
    Action("replay.speed", "", "another pace", verb="speed", takes="0.1 to 100"),
    Action(
        "replay.seek", "", "go to a moment of the recording",
        verb="seek", takes="+30s | -1m | 0:20 | 12:30:05 | 50%",
    ),
    # -- everywhere
    Action("app.help", "question_mark,f1", "help for this view", "help", "help"),
    Action("app.command", "colon", "command line", "command", typing=True),
    Action(
        "app.host", "", "open a host; a pattern shows the hosts that fit it",
        verb="host", takes="PATTERN [/FILTER]",
    ),
    Action("app.fleet", "", "the fleet", verb="fleet", takes="[/FILTER]"),
    Action("app.view-back", "alt+left,ctrl+o", "to the view before", verb="back"),
    Action("app.view-forward", "alt+right", "and forward again", verb="forward"),
    Action("app.last", "minus", "change between this view and the last one", verb="last"),
    Action("app.events", "E", "what happened on all hosts", verb="events"),
    Action(
        "app.requests", "R", "what was asked of hosts: waiting, applied, standing, ended",
        verb="requests", takes="[HOST]",
    ),
    Action(
        "app.act", "exclamation_mark",
        "ask the host under the cursor, or those named, to change something",
        "act", "act", ASKED, "act", "two people", asks=True,
    ),
    Action(
        "app.request", "", "the same, without a form where everything is named",
        verb="request", takes=ASKED, risk="act", who="two people", call="act", asks=True,
    ),
    Action(
        "app.operator", "", "another person takes the seat at this terminal",
        verb="operator", takes="[NAME]", risk="act", who="a person of the roster",
    ),
    Action(
        "app.heat", "H", "all GPUs as a heat map", verb="heat", takes="[util|mem|temp|power]",
    ),
    Action(
        "app.plot", "P", "a number over time, of several hosts where they are named",
        verb="plot", takes="[NUMBER [HOST...]]",
    ),
    Action(
        "app.copy", "y", "copy the name of the row under the cursor, the row or the table",
        verb="copy", takes="[row|table]", risk="local",
    ),
    Action(
        "app.export", "e", "write the table in view into a file",
        verb="export", takes="[FILE.csv|FILE.json|FILE.svg]", risk="local",
    ),
    Action(
        "app.picture", "ctrl+s", "write the screen as a picture",
        verb="picture", takes="[FILE.svg]", risk="local",
    ),
    Action(
        "app.layout", "", "take or keep an arrangement of columns and panes",
        verb="layout", takes="[NAME | save NAME | delete NAME | list | reset | events LINES]",
        risk="local",
    ),
    Action("app.theme", "T", "the next theme, or the one named", verb="theme", takes="[NAME]"),
    Action("app.interrupt", "ctrl+c", "say how to leave"),
    Action("app.leave", "q,ctrl+q", "leave", "leave", "quit"),
    # -- one number over time
    Action("plot.back", "escape", "take the ruler away, or back", "back"),
    Action("plot.previous-number", "left,h", "the number before"),
    Action("plot.next-number", "right,l", "the next number", "number"),
    Action("plot.longer", "up,k", "look further back: 10 min, 1 h, 24 h, 7 d", "longer"),
    Action("plot.shorter", "down,j", "look closer", "shorter"),
    Action("plot.cursor-left", "a", "read off values: ruler to the left", "ruler"),
    Action("plot.cursor-right", "d", "ruler to the right"),
    Action("plot.cursor-far-left", "A", "ruler far to the left"),
    Action("plot.cursor-far-right", "D", "ruler far to the right"),
    # -- all GPUs
    Action("heat.back", "escape", "back", "back"),
    Action("heat.open", "enter", "open the host under the cursor", "open"),
    Action("heat.number", "n", "another number: use, memory, temperature, power", "number"),
    Action("heat.left", "left,h", "the host before"),
    Action("heat.right", "right,l", "the next host"),
    Action("heat.up", "up,k", "a line up"),
    Action("heat.down", "down,j", "a line down"),
    Action("heat.page-up", "pageup,ctrl+b", "a screen up"),
    Action("heat.page-down", "pagedown,ctrl+f", "a screen down"),
    Action("heat.first", "home,g", "the first host"),
    Action("heat.last", "end,G", "the last host"),
    # -- a board that nobody sits at
    Action("wall.leave", "q,ctrl+c", "leave", "leave"),
)  # fmt: skip


def offered_in(view: str) -> tuple[str, ...]:
    """Whose actions work in a view, nearest first: its own, then those of rows and of the console.

    On a wall board nothing works besides its own.
    """
    if view == "wall":
        return (view,)
    return (
        view,
        *(("table",) if view in ("fleet", "host", "events", "requests") else ()),
        "replay",
        "app",
    )


def of(where: str) -> Iterator[Action]:
    """The actions of one place."""
    return (action for action in ACTIONS if action.where == where)


def named(id: str) -> Action:
    """The action of that id. Raises KeyError."""
    found = next((action for action in ACTIONS if action.id == id), None)
    if found is None:
        raise KeyError(id)
    return found


def verbs(*places: str) -> dict[str, Action]:
    """What can be typed after a colon in a view, by verb; the first place that has one wins."""
    found: dict[str, Action] = {}
    for place in places:
        for action in of(place):
            if action.verb:
                found.setdefault(action.verb, action)
    return found


def refusal(action: Action, mode: Mode) -> str:
    """Why ``mode`` forbids an action; "" where it does not."""
    if mode is Mode.WALL and action.where != "wall":
        return "a wall board takes no commands"
    if action.where == "replay" and mode is not Mode.REPLAY:
        return "only a recording has a past to go to: `watchfloor replay FILE`"
    if action.risk in _FORBIDDEN[mode]:
        return {
            Mode.READ_ONLY: f"this console is read-only: it does not {action.words}",
            Mode.REPLAY: f"this is a recording: it cannot {action.words}",
        }.get(mode, "not possible here")
    return ""


def forbidden(places: tuple[str, ...], name: str, mode: Mode) -> str:
    """Why ``mode`` forbids what the library calls ``name`` in one of ``places``."""
    for place in places:
        for action in of(place):
            if action.name.partition("(")[0] == name and (why := refusal(action, mode)):
                return why
    return ""
