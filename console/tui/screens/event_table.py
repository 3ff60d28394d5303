"""Events as a table: of one host, or of all."""

from console.model.words import INFO, severity
from console.tui.meaning.events import EventRows, Row, when
from console.tui.screens.host_tables import Section
from console.tui.style.look import Cell, Look
from console.tui.tables.table_model import Column
from console.tui.tables.units import MOMENT

NOTHING = "nothing has happened since this console began to watch"


def event_table(events: EventRows, *, hosts: bool = False) -> Section:
    """Rows of events as a table; with ``hosts`` those of several hosts."""
    where = Column[Row]("host", "HOST", 14, _host, lambda row: row.last.host, most=28)
    return Section(
        "events, newest first, UTC",
        (
            Column("time", "TIME", 14, _time, lambda row: row.last.at, unit=MOMENT),
            Column("level", "", 1, _mark, lambda row: severity(row.last)),
            *((where,) if hosts else ()),
            Column("what", "WHAT HAPPENED", 60, _words, lambda row: row.words(), most=1000),
            Column("count", "TIMES", 5, _count, lambda row: row.count, right=True, unit=""),
            Column("first", "FIRST", 14, _first, lambda row: row.first_at, drop=1, unit=MOMENT),
            Column("kind", "KIND", 16, _kind, lambda row: row.last.kind, drop=2),
        ),
        lambda view: events.rows(),
        NOTHING,
        key=lambda row: row,
        text=lambda row: f"{row.last.host} {row.last.kind} {row.words()}",
        name=lambda row: row.words(),
        needs=lambda row: severity(row.last) != INFO,
    )


def _time(row: Row, look: Look) -> Cell:
    return [(when(row.last.at), "dim")]


def _mark(row: Row, look: Look) -> Cell:
    level = severity(row.last)
    return [(look.mark(level), _style(level))]


def _words(row: Row, look: Look) -> Cell:
    return [(row.words(), _style(severity(row.last)))]


def _kind(row: Row, look: Look) -> Cell:
    return [(row.last.kind, "dim")]


def _style(level: str) -> str:
    return "" if level == INFO else level


def _count(row: Row, look: Look) -> Cell:
    return [(f"x{row.count}" if row.count > 1 else "", "")]


def _first(row: Row, look: Look) -> Cell:
    return [(when(row.first_at) if row.count > 1 else "", "dim")]


def _host(row: Row, look: Look) -> Cell:
    return [(row.last.host, "bold")]
