"""The filter: numbers as the screen prints them, fields by id or title, harmless mistakes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tui.filter import Field, FilterError, compile_filter, sound
from console.tui.units import Amount, UnitError, amount

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
    ],
)
def test_a_row_that_it_does_not_mean_goes(text: str, row: dict[str, object]) -> None:
    assert not stays(text, **row)


@pytest.mark.parametrize(
    "text", ["temp>abc", "temp>", "temp>80%", "egress>5W", "locked=1", "age>5y", "~[", "pid>1K"]
)
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


@given(st.text(max_size=30))
def test_any_text_is_a_filter_or_a_mistake(text: str) -> None:
    try:
        compile_filter(text, FIELDS)
    except FilterError:
        compile_filter(sound(text, FIELDS), FIELDS)
