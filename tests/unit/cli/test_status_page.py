"""docs/status-json.md names every field of ``status --json`` and ``watch --json``, in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.headless.document import VERSION, document, encode
from console.headless.watch import Lines, brief
from console.model.event import Event
from console.model.panel import Gauge, Panel
from console.model.view import FleetSnapshot
from tests.support.pages import field_tables, json_type
from tests.support.samples import ANY_KEY, fields, sample

PAGE = (Path(__file__).resolve().parents[3] / "docs/status-json.md").read_text(encoding="utf-8")


def one_host() -> FleetSnapshot:
    """A host, not this machine, with every field set, and one finding."""
    whole: FleetSnapshot = sample(FleetSnapshot)
    (view,) = whole.hosts
    spec = msgspec.structs.replace(view.spec, tier=0)
    view = msgspec.structs.replace(view, spec=spec, workstation=False)
    return msgspec.structs.replace(whole, hosts=(view,))


SNAPSHOT = one_host()
GAUGE = Gauge(label="KV cache", percent=12.0, text="12%", severity="warn")
PANEL = Panel(host="h", title="t", items=(GAUGE,), plugin="p", at=1.0, stopped="why")
UNITS = {
    "_s": "s", "_ms": "ms", "_ns": "ns", "_mib": "MiB", "_kib": "KiB", "_bytes": "B", "_bps": "B/s",
    "_pct": "%", "_c": "°C", "_w": "W", "_mhz": "MHz", "_mj": "mJ", "_mbps": "Mbit/s",
}  # fmt: skip


class OneLook:
    """An engine that has one picture and one event."""

    def snapshot(self) -> FleetSnapshot:
        """The sampled picture."""
        return SNAPSHOT

    def events(self, after: int = 0, limit: int = 100, host: str = "") -> list[Event]:
        """The sampled event, once."""
        return [] if after else [sample(Event)]


def objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that is printed, by the code in its heading, with every field set."""
    whole = msgspec.json.decode(encode(SNAPSHOT, lambda host: (PANEL,)))
    for path in fields(whole):
        found: Any = whole
        for part in filter(None, path.split(".")):
            found = found[part.removesuffix("[]")]
            found = found[0] if part.endswith("[]") else found
        yield path or "document", found
    lines = Lines(OneLook(), as_json=True)  # type: ignore[arg-type]  # only what Lines asks
    event, host = (msgspec.json.decode(line) for line in lines.new(0.0))
    yield "watch: host", host
    yield "watch: event", event


TABLES = field_tables(PAGE)
OBJECTS = dict(objects())


@pytest.mark.parametrize("name", OBJECTS)
def test_a_table_has_the_fields_that_are_printed(name: str) -> None:
    rows = [row[:2] for row in TABLES[name]]
    want = [(field, json_type(value)) for field, value in OBJECTS[name].items()]
    if name == "watch: event":
        rows = rows[: len(want)]  # kinds of events follow
    assert rows == want, f"docs/status-json.md, table under `{name}`"


def test_no_table_is_about_something_that_is_not_printed() -> None:
    assert set(TABLES) == set(OBJECTS)


@pytest.mark.parametrize("name", OBJECTS)
def test_every_field_has_a_meaning_and_its_unit(name: str) -> None:
    for row in TABLES[name][: len(OBJECTS[name])]:
        assert len(row) == 4, row
        field, _, unit, meaning = row
        assert meaning
        suffix = "_" + field.rpartition("_")[2] if "_" in field else ""
        assert unit.startswith(UNITS.get(suffix, "")), row


def test_what_a_watch_line_shares_with_the_document_is_the_same() -> None:
    view = SNAPSHOT.hosts[0]
    line, host = brief(view), document(SNAPSHOT)["hosts"][0]
    assert line["counters"] == host["counters"]
    told = {key: host["gpus"][0][key] for key in line["gpus"][0]}
    assert line["gpus"][0] == told


def test_the_version_is_on_the_page() -> None:
    assert f"version {VERSION}\n" in PAGE.splitlines(keepends=True)[0]
    assert ANY_KEY not in {field for rows in TABLES.values() for field, *_ in rows}
