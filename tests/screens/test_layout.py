"""Layouts: kept under names, taken at the next start, and never the end of a console."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tui.tables.layout import MOST_LAYOUTS, LayoutError, Layouts, apply, read, taken
from console.tui.tables.table_model import Column, TableModel


def model() -> TableModel[str]:
    columns: list[Column[str]] = [
        Column(f"c{n}", f"C{n}", 5, lambda r, look: [], lambda r: r) for n in range(5)
    ]
    return TableModel(columns, lambda row: row, lambda row: row)


def test_what_is_kept_is_taken_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "state" / "layouts.toml"
    layouts, table = Layouts(path), model()
    table.arrangement.change(["-c1"])
    table.arrangement.pin("c3")
    table.sort_by("c2", down=True, now=0.0)
    layouts.take("hosts", table)
    layouts.pane("events", "off")
    layouts.save("night")
    assert path.stat().st_mode & 0o777 == 0o600
    assert tomllib.loads(path.read_text())["last"] == "night"
    again, other = Layouts(path), model()
    assert again.name == "night"
    assert again.current.panes == {"events": "off"}
    assert again.arrange("hosts", other, 0.0) == []
    assert taken(other) == taken(table)
    again.reset()
    assert (again.name, again.names) == ("", ["night"])
    assert Layouts(path).name == ""
    assert Layouts(path, "night").name == "night", "the configuration names one for all"
    again.use("night")
    again.delete("night")
    assert Layouts(path).names == []


def test_two_consoles_lose_no_layout_of_each_other(tmp_path: Path) -> None:
    one, two = Layouts(tmp_path / "l.toml"), Layouts(tmp_path / "l.toml")
    one.save("a")
    two.save("b")
    assert Layouts(tmp_path / "l.toml").names == ["a", "b"]
    one.delete("a")
    assert Layouts(tmp_path / "l.toml").names == ["b"]


def test_columns_that_are_not_there_are_told_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "l.toml"
    path.write_text(
        'last = "x"\n[layouts.x.tables.hosts]\ncolumns = ["c2", "old", "c0"]\n'
        'pinned = ["older"]\nsort = "oldest"\n'
    )
    table = model()
    layouts = Layouts(path)
    assert layouts.arrange("hosts", table, 0.0) == ["old", "older", "oldest"]
    assert [column.id for column in table.arrangement.shown] == ["c2", "c0"]
    assert table.sort == ""
    assert layouts.arrange("other", table, 0.0) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("last = ", "layouts.toml: "),
        ("last = 3", "Expected `str`, got `int`"),
        ("[layouts.x]\nwidth = 3", "unknown field `width`"),
        ('[layouts."a b"]\n', "'a b' cannot be the name"),
        ("[layouts.save]\n", "'save' cannot be the name"),
        ("[layouts.x.panes]\nevents = 0", ">= 1"),
        ('x = "\x1b"', "layouts.toml: "),
        ("#" * 300_000, "larger than 256 KiB"),
        ("a = " + "[" * 90_000, "layouts.toml: "),
    ],
)
def test_a_broken_file_is_named_and_kept(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "layouts.toml"
    path.write_text(text)
    layouts = Layouts(path)
    assert told in layouts.problem
    assert "\x1b" not in layouts.problem
    with pytest.raises(LayoutError, match="mend that file"):
        layouts.save("mine")
    assert path.read_text() == text


def test_no_file_where_a_file_should_be(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == read(tmp_path / "nowhere" / "none")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LayoutError, match="not a file"):
        read(tmp_path / "pipe")
    assert Layouts(tmp_path).problem
    (tmp_path / "latin").write_bytes(b'last = "\xff"')
    assert "latin" in Layouts(tmp_path / "latin").problem
    (tmp_path / "file").write_text("")
    with pytest.raises(LayoutError, match="Not a directory"):
        read(tmp_path / "file" / "l.toml")


def test_names_that_are_none_and_too_many(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path / "l.toml")
    for name in ("", "../x", "save", "a" * 41, "a b", "é"):
        with pytest.raises(LayoutError, match="a name has"):
            layouts.save(name)
    for number in range(MOST_LAYOUTS):
        layouts.save(f"n{number}")
    with pytest.raises(LayoutError, match="delete one first"):
        layouts.save("more")
    for wrong in (layouts.use, layouts.delete):
        with pytest.raises(LayoutError, match="no layout is called 'x'"):
            wrong("x")
    assert "no layout is called" in Layouts(tmp_path / "l.toml", "x").problem
    with pytest.raises(LayoutError, match="keeps no layouts"):
        Layouts(None).save("x")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_layouts_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("l") / "l.toml"
    path.write_bytes(data)
    layouts = Layouts(path)
    table = model()
    for wanted in layouts.current.tables.values():
        apply(table, wanted, 0.0)
