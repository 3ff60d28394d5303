"""What leaves as a file: the rows in view, typed, harmless to a spreadsheet, never over another."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model.event import Event
from console.model.host import Host, HostState
from console.tui.meaning.events import EventRows
from console.tui.screens.event_table import event_table
from console.tui.style.look import Look
from console.tui.tables.table_model import Column, TableModel
from console.tui.takeaway import takeout
from console.tui.takeaway.export import (
    ExportError,
    Taken,
    as_csv,
    as_json,
    as_line,
    paths,
    store,
    take,
    target,
)
from tests.screens.conftest import make_app, settle
from tests.screens.replaying import seat
from tests.screens.test_tables import command, until
from tests.support.still_engine import StillEngine, view

LOOK = Look()
ROW = tuple[str, "float | None", float, float]
COLUMNS: tuple[Column[ROW], ...] = (
    Column("name", "NAME", 8, lambda r, look: [], lambda r: r[0]),
    Column("load", "LOAD", 8, lambda r, look: [(f"{r[1]}%", "")], lambda r: r[1], unit="%"),
    Column("size", "SIZE", 8, lambda r, look: [(f"{r[2]}M", "")], lambda r: r[2], unit="M"),
    Column("on", "ON", 8, lambda r, look: [], lambda r: r[3], unit="yes"),
)


def model(*rows: ROW) -> TableModel[ROW]:
    made = TableModel(COLUMNS, lambda row: row[0], lambda row: row[0], sort="load", down=True)
    made.update(rows, 0.0)
    return made


def csv_of(table: TableModel[ROW]) -> str:
    return as_csv(take(table), LOOK)


def test_csv_has_what_is_shown_and_the_numbers_order_filter_and_the_columns_in_view() -> None:
    table = model(("a", 1.5, 3.0, 1.0), ("b", 99.0, 4.0, 0.0), ("c", None, 1.0, 0.0))
    assert csv_of(table).splitlines() == [
        '"NAME","LOAD","LOAD %","SIZE","SIZE MiB","ON"',
        '"b","99.0%",99,"4.0M",4,False', '"a","1.5%",1.5,"3.0M",3,True',
        '"c","None%","","1.0M",1,False',
    ]  # fmt: skip
    table.set_filter("!b", 0.0)
    table.arrangement.change(["-size", "-on"])
    assert csv_of(table).splitlines() == [
        '"NAME","LOAD","LOAD %"', '"a","1.5%",1.5', '"c","None%",""',
    ]  # fmt: skip
    assert as_line(table, "a") == "a\t1.5"
    assert as_line(table, "gone") == ""
    recorded = as_csv(take(table), LOOK, recorded=1_700_000_000.0).splitlines()
    assert recorded[0].endswith('"RECORDED AT UTC"')
    assert recorded[1].endswith('"2023-11-14T22:13:20Z"'), "a file of the past says so itself"


def test_an_export_stays_as_it_was_when_it_was_asked_for() -> None:
    table = model(("a", 1.5, 3.0, 1.0))
    taken = take(table)
    table.update([("b", 1.0, 1.0, 1.0)], 1.0)
    assert as_csv(taken, LOOK).splitlines()[1].startswith('"a"')


def test_json_has_types_ids_and_utc() -> None:
    table = model(("a\x1b]52;c;x\x07", 1.5, float("inf"), 1.0))
    whole = json.loads(as_json(take(table), LOOK, "hosts", "fleet", 1_700_000_000.0))
    assert whole["at"] == whole["exported"] == "2023-11-14T22:13:20Z"
    assert whole["recording"] is False
    assert (whole["table"], whole["sort"], whole["descending"]) == ("hosts", "load", True)
    assert whole["columns"][2] == {"id": "size", "title": "SIZE", "unit": "MiB"}
    (row,) = whole["rows"]
    assert row["values"] == {"name": row["id"], "load": 1.5, "size": None, "on": True}
    assert row["shown"]["load"] == "1.5%"
    assert "\x1b" not in row["id"]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1", '=HYPERLINK("x";"y")'],
)
def test_a_foreign_text_is_no_formula(text: str) -> None:
    (_, (cell, *_)) = csv.reader(io.StringIO(csv_of(model((text, 1.0, 1.0, 1.0)))))
    assert cell[0] in "'\ufffd"
    assert not csv_of(model((text, -1.0, 1.0, 1.0))).splitlines()[1].startswith(f'"{text[0]}')


@pytest.mark.parametrize(
    "text", ['a;=HYPERLINK("http://x/"&A1);b', "a; +1", "a;\u3000=1", "\u2003=1+1", "\ufffd=1"]
)
def test_a_foreign_text_is_no_formula_where_a_cell_ends_at_a_semicolon(text: str) -> None:
    line = csv_of(model((text, 1.0, 1.0, 1.0))).splitlines()[1]
    for cell in next(csv.reader(io.StringIO(line), delimiter=";")):
        assert cell.strip(' \u3000\u2003\ufffd"')[:1] not in ("=", "+", "@", "-"), cell


@given(st.lists(st.text(max_size=20), unique=True, max_size=5))
def test_any_text_stays_in_its_cell(names: list[str]) -> None:
    lines = list(csv.reader(io.StringIO(csv_of(model(*((n, 1.0, 1.0, 0.0) for n in names))))))
    assert len(lines) == 1 + len(names)
    assert all(len(line) == 6 for line in lines)
    assert not any(line[0].lstrip(" \xa0")[:1] in ("=", "+", "@") for line in lines[1:])


def test_a_file_is_private_whole_and_never_over_another(tmp_path: Path) -> None:
    path = target("", tmp_path / "exports", "watchfloor-hosts", ".csv", 1_700_000_000.0)
    assert path.name == "watchfloor-hosts-20231114T221320Z.csv"
    with pytest.raises(ExportError, match=r"no such folder: .*/exports; make it first"):
        store(path, "x")
    assert not path.parent.exists(), "nobody asked for a folder"
    store(path, "x", make=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ExportError, match="is there already"):
        store(path, "y")
    assert path.read_text() == "x"
    again = target("", path.parent, "watchfloor-hosts", ".csv", 1_700_000_000.0)
    assert again.name == "watchfloor-hosts-20231114T221320Z-2.csv"
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExportError, match="is there already"):
        store(link, "y")
    assert not (tmp_path / "elsewhere").exists()
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name], "nothing is left behind"


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="was not written: Not a directory"):
        store(tmp_path / "file" / "x.csv", "x")
    with pytest.raises(ExportError, match="was not written"):
        store(Path("/proc/x.csv"), "x")
    with pytest.raises(ExportError, match="was not written"):
        store(tmp_path / "a\0b.csv", "x")
    with pytest.raises(ExportError, match=r"ends in \.csv, \.json, \.svg"):
        target("x.xlsx", tmp_path, "", ".csv", 0.0)
    with pytest.raises(ExportError, match="no such home"):
        target("~nobody-of-that-name/x.csv", tmp_path, "", ".csv", 0.0)
    home = target("~/x.CSV", tmp_path, "", ".csv", 0.0)
    assert home == Path(os.path.expanduser("~/x.CSV"))


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match="No space left on device"):
        store(tmp_path / "x.csv", "x")
    assert list(tmp_path.iterdir()) == []


async def test_an_export_says_of_each_row_how_old_it_is(tmp_path: Path) -> None:
    spec = Host(name="b", address="192.0.2.1", site="fra", environment="prod")
    engine = StillEngine(
        view("a", listeners=()), view("b", HostState.DOWN, spec=spec, reason="gone")
    )
    app = make_app(engine)
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        await command(pilot, f"export {tmp_path}/x.csv")
        await until(pilot, "written:")
        live, down = csv.DictReader((tmp_path / "x.csv").read_text().splitlines())
        assert (live["HOST STATE"], down["HOST STATE"]) == ("LIVE", "DOWN")
        assert float(down["HOST AGE s"]) > 0
        assert (live["GPU MEM"], live["GPU MEM %"]) == ("320G/640G", "50")
        assert (live["WORST"], live["WORST RANK"], down["SITE"]) == ("-", "0", "fra prod")
        assert float(live["EGRESS B/s"]) > 1e6
        assert down["CPU %"], "the last number, which the state beside it tells as old"
        await pilot.press("enter")
        await settle(pilot)
        await command(pilot, "processes")
        await command(pilot, f"export {tmp_path}/y.json")
        await until(pilot, "y.json")
        rows = json.loads((tmp_path / "y.json").read_text())["rows"]
        assert rows[0]["host"]["name"] == "a"
        assert rows[0]["host"]["state"] == "LIVE"
        assert rows[0]["host"]["age_s"] > 0


async def test_an_export_of_the_past_says_so(tmp_path: Path) -> None:
    async with seat(33) as there:
        there.app.settings = dataclasses.replace(there.app.settings, state=tmp_path)
        await there.type(f"export {tmp_path}/x.json")
        await until(there.pilot, "written:")
        whole = json.loads((tmp_path / "x.json").read_text())
        now = time.strftime("%Y-%m-%dT%H", time.gmtime())
        assert whole["recording"] is True
        assert whole["exported"].startswith(now)
        assert whole["at"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(there.engine.now()))
        assert not whole["at"].startswith(now)
        await there.type("export")
        await until(there.pilot, "watchfloor-replay-hosts-")
        (path,) = (tmp_path / "exports").iterdir()
        assert path.name[len("watchfloor-replay-hosts-") :][:8] == whole["at"][:10].replace("-", "")
        assert "RECORDED AT UTC" in path.read_text()


async def test_a_huge_table_is_written_down_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeout, "AT_ONCE", 3)
    threads: list[bool] = []

    def seen(taken: Taken, look: Look, *, recorded: float | None = None) -> str:
        threads.append(threading.current_thread() is threading.main_thread())
        return as_csv(taken, look, recorded=recorded)

    monkeypatch.setattr(takeout, "as_csv", seen)
    app = make_app(StillEngine(*(view(f"h{n}") for n in range(4))))
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        await command(pilot, f"export {tmp_path}/x.csv")
        await until(pilot, "written:")
        app._fleet.table.filter("host=h1")
        await command(pilot, f"export {tmp_path}/y.csv")
        await until(pilot, "y.csv")
    assert threads == [False, True]
    whole, one = ((tmp_path / name).read_text().splitlines() for name in ("x.csv", "y.csv"))
    assert (len(whole), len(one)) == (1 + 4, 1 + 1), "written whole, and the rows in view alone"


def test_a_row_without_a_name_is_numbered() -> None:
    events = EventRows(5)
    events.add([Event(kind="kernel.xid", host="a", at=1.0, facts={"xid": 79})])
    section = event_table(events)
    table = TableModel(section.columns, section.key, str)
    table.update(events.rows(), 0.0)
    (row,) = json.loads(as_json(take(table), LOOK, "events", "host:a", 2.0))["rows"]
    assert row["id"] == 1
    assert row["values"]["time"] == "1970-01-01T00:00:01Z"
    assert row["values"]["level"] == row["shown"]["level"] == "bad"


def test_tab_completes_folders_and_what_could_be_written(tmp_path: Path) -> None:
    for name in ("a.csv", "a.txt", "b.JSON", ".hidden.csv", "a\x1b.csv"):
        (tmp_path / name).write_text("")
    (tmp_path / "away").mkdir()
    assert paths(f"{tmp_path}/") == [f"{tmp_path}/{n}" for n in ("a.csv", "away/", "b.JSON")]
    assert paths(f"{tmp_path}/a") == [f"{tmp_path}/a.csv", f"{tmp_path}/away/"]
    assert paths(f"{tmp_path}/.h") == [f"{tmp_path}/.hidden.csv"]
    assert paths(f"{tmp_path}/none/x") == []
