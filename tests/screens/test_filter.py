"""The filter: numbers as the screen prints them, fields by id or title, harmless mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tui.tables import pattern
from console.tui.tables.filter import (
    LONGEST,
    MOST_TERMS,
    PLACES,
    Field,
    FilterError,
    SlowFilter,
    compile_filter,
    sound,
    terms,
)
from console.tui.tables.pattern import Budget, PatternError, compiled
from console.tui.tables.table_model import Column, TableModel
from console.tui.tables.units import Amount, UnitError, amount

FIELDS = {
    "egress": Field(lambda row: row.get("egress"), "B", "EGRESS"),
    "rss_kib": Field(lambda row: row.get("rss_kib"), "K", "MEM"),
    "gpu_mem": Field(lambda row: row.get("gpu_mem"), "%", "GPU MEM", "used"),
    "used": Field(lambda row: row.get("used"), "M"),
    "power": Field(lambda row: row.get("power"), "W", "POWER"),
    "temp": Field(lambda row: row.get("temp"), "C", "TEMP"),
    "age": Field(lambda row: row.get("age"), "s"),
    "locked": Field(lambda row: row.get("locked"), "yes", "LOCKED"),
    "pid": Field(lambda row: row.get("pid"), "", "PID"),
    "cmdline": Field(lambda row: row.get("cmdline"), title="COMMAND"),
    PLACES: Field(lambda row: row.get("places")),
}


def stays(text: str, **row: object) -> bool:
    test = compile_filter(text, FIELDS)
    return test(lambda id: FIELDS[id].read(row), str(row.get("cmdline", "")))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("egress>100M", {"egress": 101 * 2**20}),
        ("egress<100M/s", {"egress": 99 * 2**20}),
        ("egress>=1.5g", {"egress": 1.5 * 2**30}),
        ("EGRESS>100K", {"egress": 101 * 2**10}),
        ("egress=1.4M", {"egress": 1_500_000}),
        ("egress>100", {"egress": 101}),
        ("mem>1.5GiB", {"rss_kib": 1.6 * 2**20}),
        ("MEM<1T", {"rss_kib": 2**20}),
        ("mem=2048", {"rss_kib": 2}),
        ("gpumem>50%", {"gpu_mem": 51, "used": 1}),
        ("GPU-MEM>100G", {"gpu_mem": 1, "used": 101 * 1024}),
        ("gpu_mem<100G", {"gpu_mem": 99, "used": 99 * 1024}),
        ("power>300W", {"power": 301}),
        ("power>1.5kW", {"power": 1501}),
        ("temp>80", {"temp": 81}),
        ("temp>=80C", {"temp": 80}),
        ("age>5m", {"age": 301}),
        ("locked=yes", {"locked": 1.0}),
        ("locked!=no", {"locked": 1.0}),
        ("pid=7", {"pid": 7}),
        ("pid!=7", {"pid": None}),
        ("command=VLLM", {"cmdline": "vllm"}),
        ("command!=x", {"cmdline": None}),
        ("COMMAND>=b", {"cmdline": "b"}),
        ("vll temp<9 !nginx ~l+m", {"temp": 3, "cmdline": "vllm"}),
        ("command~^VL+M$", {"cmdline": "vllm"}),
        ("pid~^12345678$", {"pid": 12345678.0}),
        ("!command~nginx", {"cmdline": "vllm"}),
        ("!~nginx !temp>80", {"temp": 3, "cmdline": "vllm"}),
        ("pid=7|8", {"pid": 8}),
        ("pid!=7|8", {"pid": 9}),
        ("command=a|VLLM", {"cmdline": "vllm"}),
        ('"serve --port" command="vllm serve --port 1"', {"cmdline": "vllm serve --port 1"}),
        ('!"serve --port"', {"cmdline": "serve"}),
        ('"serve --po', {"cmdline": "vllm serve --port 1"}),
        ('"temp>80"', {"cmdline": "if temp>80", "temp": 1}),
        ('~"e -+p"', {"cmdline": "serve --port"}),
        ("@FRA @prod", {"places": "fra\n\nprod\ngpu-a"}),
        ("@gpu-*", {"places": "fra\ngpu-a"}),
        ("!@nyc", {"places": "fra"}),
        ('say"hi"', {"cmdline": 'say"hi"x'}),
        ("!", {"cmdline": "a!"}),
        ("! nginx", {"cmdline": "vllm"}),
        ("egress > 100M", {"egress": 101 * 2**20}),
        ("egress >100M vllm", {"egress": 101 * 2**20, "cmdline": "vllm"}),
        ("egress> 100M", {"egress": 101 * 2**20}),
        ("! egress >= 100M", {"egress": 99 * 2**20}),
        ('command = "a b"', {"cmdline": "a b"}),
        ("command ~ ^v", {"cmdline": "vllm"}),
        ("vllm ~lm", {"cmdline": "vllm"}),
        ("pid != 7", {"pid": 8}),
        ("pid=7,8", {"pid": 8}),
        ("command=a,VLLM", {"cmdline": "vllm"}),
        ("command=a,b", {"cmdline": "a,b"}),
        ('command="a,b"', {"cmdline": "a,b"}),
    ],
)
def test_a_row_that_the_filter_means_stays(text: str, row: dict[str, object]) -> None:
    assert stays(text, **row)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("egress>100M", {"egress": 99 * 2**20}),
        ("egress>100M", {"egress": None}),
        ("mem>1.5G", {"rss_kib": 1.4 * 2**20}),
        ("gpumem>100G", {"gpu_mem": 99, "used": 99 * 1024}),
        ("power>300W", {"power": 299}),
        ("egress=1.4M", {"egress": 1_600_000}),
        ("locked=yes", {"locked": 0.0}),
        ("pid!=7", {"pid": 7}),
        ("command~^llm", {"cmdline": "vllm"}),
        ("command~x", {"cmdline": None}),
        ("pid=7|8", {"pid": 9}),
        ("pid!=7|8", {"pid": 8}),
        ("@fr", {"places": "fra"}),
        ("@gpu-*", {"places": "fra"}),
        ('"serve --port"', {"cmdline": "--port serve"}),
        ("! nginx", {"cmdline": "nginx"}),
        ("egress > 100M", {"egress": 99 * 2**20}),
        ("pid!=7,8", {"pid": 8}),
        ('command="a,b"', {"cmdline": "a"}),
        ("command!=a,b", {"cmdline": "a,b"}),
    ],
)
def test_a_row_that_it_does_not_mean_goes(text: str, row: dict[str, object]) -> None:
    assert not stays(text, **row)


@pytest.mark.parametrize(
    "text", ["temp>abc", "temp>", "temp>80%", "egress>5W", "locked=1", "age>5y", "~[", "pid>1K",
             "command~(", "@***", "pid=1|x", "~(a{99}){99}", "~" + "a" * 201]
)  # fmt: skip
def test_a_value_that_the_field_cannot_have_is_a_mistake(text: str) -> None:
    with pytest.raises(FilterError):
        compile_filter(text, FIELDS)
    assert sound(f"vllm {text} temp>80", FIELDS) == "vllm temp>80"


def test_a_wrong_field_names_all_of_them() -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter("nope>1", FIELDS)
    assert str(caught.value) == (
        "no field 'nope' here: egress mem gpumem used power temp age locked pid command"
    )


@given(st.text(max_size=12), st.sampled_from(["", "%", "W", "C", "s", "B", "K", "M", "yes"]))
def test_any_text_is_a_number_or_a_mistake(text: str, unit: str) -> None:
    try:
        found = amount(text, unit)
    except UnitError:
        return
    assert isinstance(found, Amount)
    assert found.slack >= 0


@given(
    st.text(max_size=30)
    | st.text('ab()[]{}|*+?.\\^$-,019:<>=!PpLi&~#_"@ ', max_size=40)
    | st.text("ab()[]{}|*+?.\\^$,09", max_size=30).map(lambda text: "~" + text)
)
def test_any_text_filters_or_is_a_mistake(text: str) -> None:
    row = {"cmdline": "vllm serve", "pid": 7, "places": "fra"}
    try:
        test = compile_filter(text, FIELDS)
        test.begin()
        test(lambda id: FIELDS[id].read(row), "vllm serve aaaaaaaaaaaaaaaaaaaaaaaaaa")
    except FilterError:
        compile_filter(sound(text, FIELDS), FIELDS)


@given(st.text('ab()[]{}|*+?.\\^$-,019:<>=!PpLi&~#_"@ ', max_size=40))
def test_why_no_row_is_left_can_always_be_told(text: str) -> None:
    column: Column[str] = Column("a", "A", 8, lambda r, look: [(r, "")], lambda r: r)
    count: Column[str] = Column("b", "B", 8, lambda r, look: [], lambda r: 1.0, unit="")
    model = TableModel((column, count), str, str, fields={PLACES: Field(lambda row: "x\ny")})
    model.update(["q", "r"], 0.0)
    try:
        model.set_filter(text, 0.0)
    except FilterError:
        return
    assert model.order or model.nothing().startswith("no row matches")


@given(st.text('ab" !~@=<>', max_size=30))
def test_terms_can_be_written_down_and_read_again(text: str) -> None:
    found = terms(text)
    assert terms(" ".join(map(str, found))) == found


def test_what_is_too_long_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(FilterError, match="1,000,000"):
        compile_filter("~(" * 500_000, FIELDS)
    assert sound("x" * (LONGEST + 1), FIELDS) == ""
    compile_filter("x " * MOST_TERMS, FIELDS)
    with pytest.raises(FilterError, match="at most 50 terms"):
        compile_filter("x " * (MOST_TERMS + 1), FIELDS)


@pytest.mark.parametrize(
    "text", ["(a{1000}){1000}", "((a{,99}){99}){99}", "a{99999999999999999999}", "(" * 200, "(?<a",
             "[a", r"\L<x>", "(?P<n>a)" * 26, "i{0i<="]
)  # fmt: skip
def test_an_expression_that_is_none_or_too_large_is_named(text: str) -> None:
    with pytest.raises(PatternError):
        compiled(text)


CATASTROPHIC = [r"(a+)+$", r"(a|a)*$", r"(a|aa)+$", r"(.*a){25}$", r"(a*)*\1$", r"^((a+)+)+[^a]$"]


class Hosts:
    """A table of 1,000 rows that each make an expression go wrong."""

    def __init__(self) -> None:
        column: Column[str] = Column("name", "HOST", 8, lambda r, look: [(r, "")], lambda r: r)
        self.model = TableModel((column,), lambda row: row, lambda row: row)
        self.rows = ["a" * 60 + f"-{n}!" for n in range(1000)]
        self.model.update(self.rows, 0.0)

    def searches(self) -> int:
        assert self.model._test is not None
        return self.model._test.budget.searches


@pytest.mark.parametrize("text", CATASTROPHIC)
def test_a_catastrophic_expression_ends_the_look_and_changes_nothing(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = Hosts()
    hosts.model.set_filter("-7!", 0.0)
    spent: list[float] = []
    search = Budget.search

    def counted(self: Budget, pattern: Any, whole: str) -> bool:
        try:
            return search(self, pattern, whole)
        finally:
            spent.append(self.seconds - self._left)

    monkeypatch.setattr(Budget, "search", counted)
    with pytest.raises(SlowFilter, match="too long"):
        hosts.model.set_filter(f"~{text}", 0.0)
    assert hosts.model.filter == "-7!"
    assert len(hosts.model.order) == 1
    assert len(spent) < 1000, "the rows behind are not looked at"
    assert spent[-1] < 10 * pattern.LOOK_S, "one look, however many rows"


def test_rows_that_make_a_kept_filter_slow_end_it_and_are_shown() -> None:
    hosts = Hosts()
    hosts.model.update(["a", "b"], 0.0)
    hosts.model.set_filter("~(a+)+$", 0.0)
    assert hosts.model.order == ["a"]
    assert hosts.searches() == 2
    hosts.model.update(hosts.rows, 1.0)
    assert len(hosts.model.order) == 1000, "better all of them than none"
    assert "takes too long" in hosts.model.ended
    assert hosts.model.filter == ""
    hosts.model.set_filter("-7!", 2.0)
    assert hosts.model.ended == ""


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("name=b", 0), ("!name=b @b name~b name!=x", 0), ("b", 1), ("name=b b", 1), ("~b", 1),
        ("!x", 1), ('"b"', 1), ("name=b !~x", 1), ("!", 1),
    ],
)  # fmt: skip
def test_the_text_of_a_row_is_made_only_where_a_term_looks_at_it(text: str, made: int) -> None:
    asked: list[str] = []

    def whole(row: str) -> str:
        asked.append(row)
        return row

    column: Column[str] = Column("name", "HOST", 8, lambda r, look: [(r, "")], lambda r: r)
    places = {PLACES: Field(lambda row: row)}
    model = TableModel((column,), lambda row: row, whole, fields=places)
    model.update(["b"], 0.0)
    model.set_filter(text, 0.0)
    assert len(asked) == made
    assert model.order == ([] if text in ("!name=b @b name~b name!=x", "!") else ["b"])


def test_sorting_asks_each_row_once_for_its_value() -> None:
    asked: list[str] = []

    def value(row: str) -> str | None:
        asked.append(row)
        return row if row != "b" else None

    column: Column[str] = Column("name", "HOST", 8, lambda r, look: [(r, "")], value)
    model = TableModel((column,), lambda row: row, lambda row: row, sort="name")
    model.update(["c", "b", "a"], 0.0)
    assert model.order == ["a", "c", "b"]
    assert sorted(asked) == ["a", "b", "c"]
