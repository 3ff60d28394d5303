"""The demo in a real terminal: what a person on call must find, by the keys that ``?`` tells.

One demo, eight times as fast, for all of it; each script begins and ends on the fleet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.tmux import PYTHON, Tmux, needs_tmux

pytestmark = [needs_tmux, pytest.mark.alone, pytest.mark.timeout(120)]
CLOCK = r"\d\d:\d\d:\d\d"


@pytest.fixture(scope="module")
def demo() -> Iterator[Tmux]:
    """The demo once its incident is over."""
    with Tmux(*PYTHON, "demo", "--speed", "8") as terminal:
        terminal.wait("h100-fra-2 +● LIVE", within=60)
        terminal.wait("l40s-fra-1 +✖ DOWN", "mi300-fra-1 +⚠ NEW-KEY", within=60)
        yield terminal


@pytest.fixture
def terminal(demo: Tmux) -> Iterator[Tmux]:
    """The demo with the fleet in front, before and after."""
    yield demo
    for _ in range(6):
        demo.press("Escape")
        if re.search("(?m)^HOST +STATE", demo.shown) and "Enter open  r retry" in demo.shown:
            break
    demo.wait("(?m)^HOST +STATE", "Enter open  r retry")


def command(terminal: Tmux, typed: str) -> None:
    """Type a command on the command line."""
    terminal.press(":")
    terminal.wait(r"(?m)^ :\s*$")
    terminal.write(typed)
    terminal.wait(re.escape(f" :{typed}"))
    terminal.press("Enter")


def first_row(shown: str) -> str:
    """The line below the heads of the table."""
    lines = shown.split("\n")
    head = next(n for n, line in enumerate(lines) if re.match(r"(HOST|PROTO|TIME| +PID) ", line))
    return lines[head + 1]


def test_help_says_how_to_find_what_matters(terminal: Tmux) -> None:
    terminal.press("?")
    shown = terminal.wait("where to find", "the busiest GPU", "the newest listener", "went silent")
    assert ":sort since" in shown
    assert "H shows all GPUs" in shown
    terminal.press("Escape")
    terminal.wait("Enter open", gone="where to find")


def test_the_break_in_and_the_theft_stand_in_their_rows_and_w_finds_them(terminal: Tmux) -> None:
    terminal.wait(r"(?m)^gw-fra-1 .*▲ login after 40", r"(?m)^store-fra-1 .*▲ rclone opened")
    terminal.press("g")
    terminal.press("w")
    terminal.press("Enter")
    terminal.wait(
        r"(?m)^ gw-fra-1 ", "needs a look", "after 40 refused logins", "sudo by svc-deploy"
    )


def test_the_biggest_process_of_the_busiest_gpu(terminal: Tmux) -> None:
    terminal.press("H")
    shown = terminal.wait("36 GPUs of 5 hosts", r"h100-fra-2  \d{5}99\d")
    rows = re.findall(r"(\S+-fra-\d)  ([\dX]{4,8})", shown)
    # Another GPU may be at 90% for a moment and show the same digit, but hardly two of one host.
    busiest = max(rows, key=lambda row: row[1].count("9"))
    assert busiest[0] == "h100-fra-2", "its GPUs 5 and 6 are at 99%"
    terminal.press("Right")
    terminal.wait(rf"{busiest[0]} ● LIVE  use:")
    terminal.press("Enter")
    terminal.wait("1 overview", busiest[0])
    terminal.press("2")
    terminal.wait(r"busiest: GPU [56] at 9\d%, biggest process kworker-u64 pid \d+ svc-deploy, 22G")


def test_the_newest_listener(terminal: Tmux) -> None:
    shown = terminal.wait("HOST .* UNDECL")
    (host,) = re.findall(r"(?m)^(\S+) .* ▲ 1 +[\d.]+[MG]/s", shown)
    command(terminal, f"host {host}")
    terminal.wait("1 overview", "h100-fra-2 ● LIVE")
    terminal.press("4")
    terminal.wait("PROTO ADDRESS")
    command(terminal, "sort since")
    shown = terminal.until(
        lambda shown: "4444" in first_row(shown), "the newest listener in the first row"
    )
    row = first_row(shown)
    assert re.match(r"tcp +0\.0\.0\.0 +4444 +▲ not declared", row), row
    assert "svc-deploy" in row or "1004" in row


def test_which_host_went_silent_and_when(terminal: Tmux) -> None:
    shown = terminal.wait("l40s-fra-1 +✖ DOWN")
    assert "✖ 1 DOWN" in shown.split("\n")[0]
    terminal.press("'")
    terminal.write("l40s")
    terminal.wait("'l40s")
    terminal.press("Enter")
    terminal.wait("Enter open", gone="'l40s")
    terminal.press("Enter")
    terminal.wait("1 overview", "l40s-fra-1 ✖ DOWN")
    terminal.press("6")
    shown = terminal.wait(rf"{CLOCK} +▲ +is STALE: no frame for \d+ s", rf"{CLOCK} +✖ +is DOWN")
    assert "l40s-fra-1" in shown.split("\n")[0]


def test_filter_and_what_it_hides(terminal: Tmux) -> None:
    terminal.press("/")
    terminal.write("h100")
    terminal.wait("h100-fra-1", "h100-fra-2", gone="a100-fra-1 ")
    terminal.press("Enter")
    terminal.wait("/h100: 2 of 9 rows, Esc ends it")
    terminal.press("Escape")
    terminal.wait("a100-fra-1 ", gone="Esc ends it")
    terminal.press("/")
    terminal.write("nofield>3")
    terminal.wait("nofield")
    terminal.press("Escape")
    terminal.wait("store-fra-1", "Enter open")


def test_the_command_line_completes_with_tab(terminal: Tmux) -> None:
    terminal.press(":")
    terminal.write("hos")
    terminal.press("Tab")
    terminal.wait(r"(?m)^ :host\s*$")
    terminal.write("st")
    terminal.press("Tab")
    terminal.wait(":host store-fra-1")
    terminal.press("Enter")
    terminal.wait("1 overview", "store-fra-1 ● LIVE")
    command(terminal, "nonsense")
    terminal.wait("no command :nonsense in this view")


def test_the_palette_opens_a_host(terminal: Tmux) -> None:
    terminal.press("C-p")
    terminal.wait("what to do")
    terminal.write("gw-fra")
    terminal.wait("host gw-fra-1")
    terminal.press("Enter")
    terminal.wait("1 overview", "gw-fra-1 ● LIVE")


def test_the_tabs_of_a_host(terminal: Tmux) -> None:
    command(terminal, "host h100-fra-1")
    terminal.wait("1 overview", "the last ten minutes")
    for key, words in (
        ("2", "processes on GPUs"),
        ("3", "VLLM::Worker|vllm"),
        ("4", "listeners  peers"),
        ("5", "firmware"),
        ("6", "Xid 79"),
        ("7", "model server"),
        ("1", "the last ten minutes"),
    ):
        terminal.press(key)
        terminal.wait(words)
    terminal.press("3")
    terminal.press("/")
    terminal.write("sshd")
    terminal.press("Enter")
    terminal.wait(r"processes +1 row ", "sshd")
    terminal.press("Escape")
    terminal.press("t")
    terminal.wait("tree")


def test_plots_and_themes(terminal: Tmux) -> None:
    before = terminal.coloured
    terminal.press("P")
    terminal.wait("the last 10 minutes")
    terminal.press("Escape")
    terminal.wait("HOST +STATE")
    command(terminal, "plot gpu_util_pct h100-fra-1 h100-fra-2")
    shown = terminal.wait("GPU use", "h100-fra-1", "h100-fra-2", "LEAST +MOST")
    assert re.search("[⠀-⣿]", shown), "drawn in braille"
    terminal.press("Escape")
    terminal.wait("HOST +STATE")
    terminal.press("T")
    terminal.wait("theme ")
    assert terminal.coloured != before
    command(terminal, "theme dark")
    terminal.wait("theme dark")


def test_a_window_that_shrinks_and_grows(terminal: Tmux) -> None:
    for columns, lines in ((20, 5), (400, 120), (3, 2), (80, 24), (150, 44)):
        terminal.resize(columns, lines)
    shown = terminal.wait("HOST +STATE", "gw-fra-1 +● LIVE", "q leave")
    assert "Traceback" not in shown


def test_quit_is_the_last_word_and_gives_the_terminal_back() -> None:
    with Tmux(*PYTHON, "demo", size=(80, 24)) as terminal:
        terminal.wait("gw-fra-1 +● LIVE", "Enter open", within=60)
        command(terminal, "quit")
        assert terminal.end() == 0
        assert "HOST  " not in terminal.shown, "the screen before is there again"
