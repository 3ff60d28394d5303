"""Deltas against a dictionary as oracle, and every way in which a table can be wrong."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import ProtocolError
from console.fleet import tables
from console.fleet.tables import Table, read
from console.model.frame import TableDelta
from tests.support.scripted import listener, xor


def delta(rows: list[list[Any]] | None = None, **fields: Any) -> TableDelta:
    whole = {"set": rows or [], **fields}
    return msgspec.json.decode(msgspec.json.encode(whole), type=TableDelta)


def apply(table: Table, change: TableDelta, name: str = "listen", *, plain: bool = True) -> bool:
    decoded = read(name, change, plain=plain)
    assert decoded is not None
    return table.apply(decoded)


ports = st.integers(1, 40)


@given(st.lists(st.tuples(st.lists(ports, unique=True), st.lists(ports, unique=True))))
def test_deltas_agree_with_a_dictionary(changes: list[tuple[list[int], list[int]]]) -> None:
    table = Table()
    oracle: dict[str, int] = {}
    for number, (coming, going) in enumerate(changes):
        gone = [f"tcp/0.0.0.0:{port}" for port in going]
        rows = [[*listener(port)[:4], number] for port in coming]
        for key in gone:
            oracle.pop(key, None)
        oracle.update({row[0]: number for row in rows})
        agrees = apply(table, delta(rows, gone=gone, n=len(oracle), x=xor(list(oracle))))
        assert agrees
    assert {row.key: row.uid for row in table.shown()} == oracle
    assert table.shown() is table.shown()


def test_a_wrong_number_or_checksum_is_noticed() -> None:
    assert not apply(Table(), delta([listener(22)], n=2, x=xor([listener(22)[0]])))
    assert not apply(Table(), delta([listener(22)], n=1, x=7))
    assert apply(Table(), delta([listener(22)])), "the end of a longer change is still to come"


def test_off_empties() -> None:
    table = Table()
    apply(table, delta([listener(22)]))
    assert apply(table, delta(off=True))
    assert table.shown() == ()
    assert apply(table, delta([listener(23)], n=1, x=xor([listener(23)[0]])))


def test_rows_over_the_bound_are_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 3)
    table = Table()
    apply(table, delta([listener(port) for port in range(1, 6)], n=5, x=0))
    assert len(table.shown()) == 3
    assert table.cut == 2


@pytest.mark.parametrize("row", [[], [1], ["k", "tcp", "a", "port", 0], {"key": 1}, 5, None, "x"])
def test_a_row_that_is_none_refuses_the_whole_frame(row: Any) -> None:
    with pytest.raises(ProtocolError, match="row of table listen"):
        read("listen", delta([listener(1), row]), plain=True)


def test_a_table_of_the_future_is_ignored() -> None:
    assert read("quantum", delta([[1]]), plain=True) is None


def test_a_key_is_checked_as_sent_and_shown_clean() -> None:
    table = Table()
    key = "tcp/\x1b[31m:22"
    assert apply(table, delta([[key, "tcp", "a", 22, 0]], n=1, x=xor([key])), plain=False)
    assert "\x1b" not in table.shown()[0].key
    assert apply(table, delta(gone=[key], n=0, x=0), plain=False)


def test_equal_packages_of_many_hosts_are_one_object() -> None:
    row = ["deb/libc6/amd64", "deb", "libc6", "2.36-9", "amd64", "glibc", "2.36-9"]
    first, second = Table(), Table()
    apply(first, delta([row]), "packages")
    apply(second, delta([row]), "packages")
    assert first.shown()[0] is second.shown()[0]
