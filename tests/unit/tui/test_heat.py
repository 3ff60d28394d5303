"""The heat map without a screen: cells, places, legend."""

from __future__ import annotations

import math

import msgspec
import pytest

from console.model.gpu import Gpu
from console.model.host import Host, HostState
from console.model.view import HostView
from console.text import cell_width
from console.tui.meaning.heat import NUMBERS, cell, cells, in_words, layout, number_of, scale, shown
from console.tui.style.look import Look
from tests.support.still_engine import gpu, view

USE, MEMORY, TEMPERATURE, POWER = NUMBERS


def limited(index: int, watts: float, limit: float | None) -> Gpu:
    made = gpu(index, 50.0, power_w=watts)
    return msgspec.structs.replace(
        made, static=msgspec.structs.replace(made.static, power_limit_w=limit)
    )


@pytest.mark.parametrize(
    ("made", "number", "sign", "style"),
    [
        (gpu(0, 0.0), USE, "0", "heat0"),
        (gpu(0, 9.9), USE, "0", "heat0"),
        (gpu(0, 10.0), USE, "1", "heat1"),
        (gpu(0, 100.0), USE, "9", "heat9"),
        (gpu(0, 10.0), MEMORY, "5", "heat5"),
        (gpu(0, 10.0, temp_c=87.0), TEMPERATURE, "8", "heat8"),
        (limited(0, 350.0, 700.0), POWER, "5", "heat5"),
        (limited(0, 350.0, None), POWER, "·", "dim"),
        (limited(0, 1e19, 5e-324), POWER, "·", "dim"),
        (gpu(0, 10.0, mem_used_mib=1e19, mem_total_mib=5e-324), MEMORY, "·", "dim"),
        (gpu(0, math.nan), USE, "·", "dim"),
        (gpu(0, math.inf), USE, "9", "heat9"),
        (gpu(0, -1e300), USE, "0", "heat0"),
        (gpu(0, 10.0, util_pct=None), USE, "·", "dim"),
        (gpu(0, 10.0, lost="GPU is lost"), USE, "X", "bad"),
        (gpu(0, 10.0, last_xid=79), USE, "!", "bad"),
        (gpu(0, 10.0, remap_pending=1), USE, "!", "warn"),
        (gpu(0, 10.0, age_s=60.0), USE, "?", "warn"),
    ],
)
def test_cell(made: Gpu, number: object, sign: str, style: str) -> None:
    assert cell(made, number, Look()) == (sign, style)  # type: ignore[arg-type]  # one of NUMBERS


def test_everything_is_told_without_colour_and_in_ascii() -> None:
    look = Look(ascii_only=True)
    signs = {
        cell(made, USE, look)[0]
        for made in (
            gpu(0, 0.0), gpu(0, 55.0), gpu(0, 1.0, util_pct=None), gpu(0, 1.0, lost="x"),
            gpu(0, 1.0, last_xid=79), gpu(0, 1.0, age_s=60.0),
        )
    }  # fmt: skip
    assert signs == {"0", "5", ".", "X", "!", "?"}
    assert all(text.isascii() for text, _ in scale(USE, look))


@pytest.mark.parametrize("state", [s for s in HostState if s is not HostState.LIVE])
def test_a_host_that_is_not_live_shows_no_numbers(state: HostState) -> None:
    told = "".join(text for text, _ in cells(view("h", state), USE, Look(), 12))
    assert state.value in told
    assert not any(sign.isdigit() for sign in told)
    assert cell_width(told) <= 12


def test_who_has_a_place() -> None:
    assert shown(view("a"))
    assert not shown(view("b", gpus=()))
    assert shown(view("c", HostState.DOWN, gpus=())), "nobody knows whether it has GPUs"
    assert not shown(view("d", gpus=(), workstation=True))


@pytest.mark.parametrize("width", [20, 40, 80, 150, 200, 400])
def test_layout_fits_and_names_every_host_once(width: int) -> None:
    sites = ("fra", "ams", "")
    hosts = [
        view(f"gpu{n:04}", spec=Host(name=f"gpu{n:04}", address="x", site=sites[n % 3]))
        for n in range(100)
    ]
    made = layout([*hosts, view("plain", gpus=())], width)
    assert made.without == 1
    assert made.across * made.block - 1 <= width + 2 or made.across == 1
    rows = [line for line in made.lines if not isinstance(line, str)]
    names = [row.name for line in rows for row in line]
    assert sorted(names) == sorted(h.name for h in hosts)
    assert [line for line in made.lines if isinstance(line, str)] == [
        "no site: 33 hosts", "ams: 33 hosts", "fra: 34 hosts",
    ]  # fmt: skip
    for name, (line, column) in made.place.items():
        here = made.lines[line]
        assert not isinstance(here, str)
        assert here[column].name == name


def test_more_gpus_than_room_are_told() -> None:
    host: HostView = view("h", gpus=tuple(gpu(n, 50.0) for n in range(20)))
    told = "".join(text for text, _ in cells(host, USE, Look(), 8))
    assert told == "5555555…"


def test_words() -> None:
    assert number_of("temp") is TEMPERATURE
    assert number_of("nonsense") is None
    told = "".join(text for text, _ in in_words(view("h", gpus=(gpu(0, 42.0),)), USE, Look()))
    assert "h" in told
    assert "use: 42%" in told
    down = in_words(view("h", HostState.DOWN, reason="no route to host"), USE, Look())
    assert "no route to host" in "".join(text for text, _ in down)


def test_states_are_cut_as_the_terminal_can_show_it() -> None:
    told = [
        "".join(text for text, _ in cells(view("h", state), USE, Look(ascii_only=True), room))
        for state in HostState
        for room in (4, 8, 12)
    ]
    assert all(text.isascii() for text in told)
    assert "NEW-KEY" in told
