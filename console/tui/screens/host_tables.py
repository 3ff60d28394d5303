"""The tables of one host as columns over rows of the probe, and those of the inventory."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from console.model.host import HostState
from console.model.view import HostView
from console.model.words import rate, size, span
from console.tui.meaning import present
from console.tui.meaning.values import yes_no
from console.tui.style.look import Cell, Look
from console.tui.tables.filter import Value
from console.tui.tables.table_model import Column
from console.tui.tables.units import RATE, TEXT, YES_NO


@dataclass(frozen=True)
class Section:
    """One table of a tab. ``denied`` is the prefix of what may be denied of it."""

    title: str
    columns: tuple[Column[Any], ...]
    rows: Callable[[HostView], Sequence[Any]]
    empty: str
    key: Callable[[Any], Hashable] = lambda row: row.key
    sort: str = ""
    down: bool = False
    denied: tuple[str, ...] = ()
    text: Callable[[Any], str] | None = None  # what words of the filter look at; None: all texts
    name: Callable[[Any], str] | None = None  # what a person calls a row; None: its first column
    copied: Callable[[Any], str] | None = None  # what is copied of a row; None: its name
    needs: Callable[[Any], bool] | None = None  # whether somebody should look at a row


def row_text(row: Any) -> str:
    """What words of the filter look at: every text of the row."""
    values = (getattr(row, name) for name in row.__struct_fields__)
    return " ".join(str(value) for value in values if value is not None)


def _plain(field: str) -> Callable[[Any, Look], Cell]:
    def cell(row: Any, look: Look) -> Cell:
        value = getattr(row, field)
        return [("?", "dim")] if value is None else [(yes_no(value), "")]

    return cell


def _value(field: str) -> Callable[[Any], Value]:
    def value(row: Any) -> Value:
        found = getattr(row, field)
        return float(found) if isinstance(found, bool) else found

    return value


def column(field: str, title: str, width: int, **more: Any) -> Column[Any]:
    """A column that shows a field as it is; unknown is a question mark. At the right: a number."""
    unit = more.pop("unit", "" if more.get("right") else TEXT)
    return Column(field, title, width, _plain(field), _value(field), unit=unit, **more)


def sized(field: str, title: str, width: int, start: str, **more: Any) -> Column[Any]:
    """A column of an amount in bytes, KiB ("K") or MiB ("M")."""

    def cell(row: Any, look: Look) -> Cell:
        return [(size(getattr(row, field), start=start), "")]

    return Column(field, title, width, cell, _value(field), right=True, unit=start, **more)


def rated(field: str, title: str) -> Column[Any]:
    """A column of bytes a second."""

    def cell(row: Any, look: Look) -> Cell:
        return [(rate(getattr(row, field)), "")]

    return Column(field, title, 9, cell, _value(field), right=True, unit=RATE)


INVENTORY = (
    Section(
        "packages",
        (
            column("name", "PACKAGE", 28, most=48),
            column("version", "VERSION", 34),
            column("arch", "ARCH", 8, drop=1),
            column("kind", "KIND", 4, drop=2),
            column("source", "SOURCE", 20, drop=3),
        ),
        lambda view: view.packages,
        "no packages are known yet",
        denied=("packages",),
    ),
    Section(
        "python",
        (
            column("name", "DISTRIBUTION", 28),
            column("version", "VERSION", 18),
            column("environment", "ENVIRONMENT", 40, most=1000),
        ),
        lambda view: view.python,
        "no Python environment serves a model here",
        denied=("pydists",),
    ),
    Section(
        "containers",
        (
            column("name", "NAME", 20),
            column("image", "IMAGE", 36, most=80),
            column("digest", "DIGEST", 24, drop=1, most=71),
            column("runtime", "RUNTIME", 10),
            column("state", "STATE", 10),
        ),
        lambda view: view.containers,
        "no containers",
        denied=("containers",),
    ),
    Section(
        "models",
        (
            column("source", "MODEL", 18, most=32),
            column("version", "VERSION", 14, most=24),
            column("current", "CURRENT", 7, unit=YES_NO),
            sized("size_bytes", "SIZE", 7, "B"),
            column("files", "FILES", 6, right=True),
            column("unit", "UNIT", 20, drop=2, most=32),
            column("path", "PATH", 30, most=1000),
            column("error", "ERROR", 12, drop=1),
        ),
        lambda view: view.models,
        "no model source is declared in /etc/watchfloor/probe.json on that host",
        denied=("models",),
    ),
    Section(
        "accounts",
        (
            column("key", "ACCOUNT", 18),
            column("uid", "UID", 7, right=True),
            column("shell", "SHELL", 18),
            column("locked", "LOCKED", 6, unit=YES_NO),
            column("keys", "KEYS", 4, right=True),
            column("groups", "GROUPS", 24, most=60),
            column("home", "HOME", 20, drop=1),
        ),
        lambda view: view.accounts,
        "no accounts are known yet",
        denied=("accounts",),
    ),
    Section(
        "mounts",
        (
            column("key", "MOUNTED ON", 26, most=48),
            column("source", "SOURCE", 26, most=40),
            column("fstype", "TYPE", 8),
            column("encrypted", "ENCRYPTED", 9),
            sized("used_mib", "USED", 6, "M"),
            sized("size_mib", "SIZE", 6, "M"),
            column("options", "OPTIONS", 20, drop=1, most=1000),
        ),
        lambda view: view.mounts,
        "no mounts are known yet",
        denied=("mounts",),
    ),
    Section(
        "openers of weights",
        (
            column("name", "PROGRAM", 16),
            column("pid", "PID", 8, right=True),
            column("user", "USER", 10),
            column("how", "HOW", 4),
            column("writable", "WRITES", 6, unit=YES_NO),
            column("path", "PATH", 40, most=1000),
        ),
        lambda view: view.openers,
        "nobody holds a declared weight file open",
        denied=("openers",),
    ),
    Section(
        "sessions",
        (
            column("user", "USER", 14),
            column("tty", "TTY", 10),
            column("source", "FROM", 30, most=40),
            Column(
                "since",
                "SINCE",
                8,
                lambda r, look: [(span(max(0.0, present.now() - r.since)), "")],
                lambda r: present.now() - r.since,
                right=True,
                unit="s",
            ),
        ),
        lambda view: view.sessions,
        "nobody is logged in",
        denied=("sessions",),
    ),
)


def denials(view: HostView, section: Section) -> list[str]:
    """What is missing in a table, and the right that would show it."""
    return [
        f"{what} needs {right}"
        for what, right in view.denied.items()
        if section.denied and what.startswith(section.denied)
    ]


def nothing(view: HostView, section: Section, *, forgotten: int = 0, recorded: bool = False) -> str:
    """Why a table has no rows: not connected, not allowed to look, or really nothing there.

    ``forgotten`` events of the host are no longer held. ``recorded``: a replay shows it.
    """
    if section.title.startswith("events"):  # the console has those, whatever the host says
        return "" if forgotten else f" {section.empty}"
    if view.hello is None and not view.workstation:
        return f" nothing is known yet: the host is {view.state.value}"
    if denials(view, section):
        return " nothing is visible with this account"
    if section.title == "processes" and recorded and not view.focused:
        return " not recorded: the screen of this host was not open then"
    if section.title == "processes" and view.state is not HostState.LIVE and not view.workstation:
        return f" the process table comes with the next frame; the host is {view.state.value}"
    return f" {section.empty}"
