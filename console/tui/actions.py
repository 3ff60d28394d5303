"""Every action of the terminal, once. Keys, help, footer and palette are made from this."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Action:
    """One thing a person can do.

    ``id`` is ``<where>.<name>``; the method ``action_<name>`` of that place carries it out.
    ``risk`` is "none" for what only looks; nothing here changes a host.
    """

    id: str
    keys: str
    words: str
    short: str = ""  # in the footer; "" keeps it out of there
    risk: str = "none"
    typing: bool = False  # opens the typed line: keys that follow at once belong to it

    @property
    def where(self) -> str:
        """Where it is offered: ``app``, ``table``, ``fleet`` or ``host``."""
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        """Name of the method without ``action_``."""
        return self.id.partition(".")[2].replace("-", "_")


ACTIONS: tuple[Action, ...] = (
    Action("fleet.open", "enter", "open the host under the cursor", "open"),
    Action("fleet.retry", "r", "connect to this host now", "retry"),
    Action("fleet.filter", "slash", "filter rows", "filter", typing=True),
    Action("fleet.sort", "s", "sort by the next column", "sort"),
    Action("fleet.reverse", "S", "turn the order round", "reverse"),
    Action("host.back", "escape", "back to the fleet", "back"),
    Action("host.tab('overview')", "1", "overview"),
    Action("host.tab('gpus')", "2", "GPUs"),
    Action("host.tab('processes')", "3", "processes"),
    Action("host.tab('network')", "4", "network"),
    Action("host.tab('inventory')", "5", "inventory"),
    Action("host.tab('events')", "6", "events"),
    Action("host.next-tab", "tab,right_square_bracket", "next tab", "next tab"),
    Action("host.previous-tab", "shift+tab,left_square_bracket", "previous tab"),
    Action("host.section", "n", "next section (network, inventory)", "section"),
    Action("host.previous-section", "N", "previous section"),
    Action("host.filter", "slash", "filter rows", "filter", typing=True),
    Action("host.sort", "s", "sort by the next column", "sort"),
    Action("host.reverse", "S", "turn the order round"),
    Action("host.retry", "r", "connect to this host now", "retry"),
    Action("table.up", "up,k", "up"),
    Action("table.down", "down,j", "down"),
    Action("table.page-up", "pageup,ctrl+b", "page up"),
    Action("table.page-down", "pagedown,ctrl+f", "page down"),
    Action("table.first", "home,g", "first row"),
    Action("table.last", "end,G", "last row"),
    Action("app.help", "question_mark,f1", "help for this view", "help"),
    Action("app.command", "colon", "command line", typing=True),
    Action("app.leave", "q", "leave", "leave"),
)

_SHOWN = {
    "slash": "/",
    "question_mark": "?",
    "colon": ":",
    "escape": "Esc",
    "enter": "Enter",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "shift+tab": "Shift+Tab",
    "tab": "Tab",
    "home": "Home",
    "end": "End",
    "f1": "F1",
    "up": "Up",
    "down": "Down",
}


def of(where: str) -> Iterator[Action]:
    """The actions of one place."""
    return (action for action in ACTIONS if action.where == where)


def bindings(where: str) -> list[BindingType]:
    """Key bindings of one place, each under the action's id.

    One that opens the typed line is carried out before the next key is looked at. Otherwise a
    quick ``/q`` would leave.
    """
    return [
        Binding(
            action.keys,
            action.name,
            action.words,
            id=action.id,
            show=False,
            priority=action.typing,
        )
        for action in of(where)
    ]


def keys(action: Action) -> str:
    """The keys of an action as a person reads them."""
    return " ".join(_SHOWN.get(key, key.replace("ctrl+", "^")) for key in action.keys.split(","))


def footer(*places: str, offered: Callable[[Action], bool] = lambda action: True) -> str:
    """The line of keys at the bottom of a view, of the actions that are ``offered`` there."""
    shown = [action for place in places for action in of(place) if action.short and offered(action)]
    return " " + "  ".join(f"{keys(action).split()[0]} {action.short}" for action in shown)
