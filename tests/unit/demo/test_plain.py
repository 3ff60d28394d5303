"""The plain demo is calm: what repeats is folded, what is known is not said again."""

import argparse

import pytest

from console.cli.demo import add
from console.demo.plain import PlainLog
from console.demo.run import Begun
from console.demo.show import hint
from console.demo.timeline import stages
from console.errors import UsageError
from console.model.event import Event
from console.model.history import Series
from console.model.host import Host, HostState
from console.model.panel import Panel
from console.model.view import FleetSnapshot, HostView


class Still:
    """An engine that shows what it was given."""

    def __init__(self) -> None:
        self.views: list[HostView] = []
        self.told: list[Event] = []

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def snapshot(self) -> FleetSnapshot:
        return FleetSnapshot(hosts=tuple(self.views))

    def events(self, after: int = 0, limit: int = 1000, host: str = "") -> list[Event]:
        return [event for event in self.told if event.seq > after]

    def forgotten(self, host: str) -> int:
        return 0

    def history(self, host: str, name: str, seconds: float) -> Series:
        return Series(host=host, name=name, step_s=2.0)

    def now(self) -> float:
        return 0.0

    def series(self, host: str) -> list[str]:
        return []

    def panels(self, host: str) -> tuple[Panel, ...]:
        return ()

    def focus(self, *hosts: str) -> None: ...

    def retry(self, host: str) -> None: ...

    def say(self, kind: str, **facts: object) -> None:
        seq = len(self.told) + 1
        self.told.append(Event(kind=kind, host="a", at=0.0, key="k", facts=facts, seq=seq))


def view(name: str, state: HostState, **more: object) -> HostView:
    return HostView(spec=Host(name=name, address="127.0.0.1"), state=state, **more)  # type: ignore[arg-type]


@pytest.fixture
def engine() -> Still:
    return Still()


@pytest.fixture
def log(engine: Still) -> PlainLog:
    return PlainLog(engine, stages())


def test_what_repeats_is_told_once_and_then_counted(engine: Still, log: PlainLog) -> None:
    engine.say("auth.failed", user="root", source="203.0.113.77")
    (line,) = log.lines((), 100.0)
    assert line.endswith(" WARNING: login of root from 203.0.113.77 refused")
    for _ in range(30):
        engine.say("auth.failed", user="root", source="203.0.113.77")
    assert not list(log.lines((), 102.0))
    (line,) = log.lines((), 105.0)
    assert line.endswith(" WARNING: logins from 203.0.113.77 refused, 30 times, user root")
    assert not list(log.lines((), 109.0))


def test_states_are_told_when_they_change(engine: Still, log: PlainLog) -> None:
    engine.views = [view("a", HostState.CONNECTING)]
    assert not list(log.lines((), 1.0))
    engine.views = [view("a", HostState.LIVE), view("ws", HostState.LIVE, workstation=True)]
    assert len(list(log.lines((), 2.0))) == 1
    assert not list(log.lines((), 3.0))
    engine.views = [view("a", HostState.DOWN, reason="no route")]
    (line,) = log.lines((), 4.0)
    assert "DOWN" in line
    assert line.endswith("no route")
    assert log.most_live == 1  # this workstation is not one of the fleet


def test_each_stage_is_told_once(engine: Still, log: PlainLog) -> None:
    begun = [Begun(stage.id, 50.0) for stage in stages()]
    lines = list(log.lines(begun, 60.0))
    assert len(lines) == len(begun)
    assert all(stage.see in line for stage, line in zip(stages(), lines, strict=True))
    assert not list(log.lines(begun, 61.0))


def test_the_hint_names_all_stages_at_their_real_time() -> None:
    text = hint(stages(), 2.0)
    assert all(stage.see in text for stage in stages())
    assert "    3 s  gw-fra-1" in text


@pytest.mark.parametrize(
    "argv", [["--seconds", "-1"], ["--seconds", "nan"], ["--speed", "0"], ["--speed", "x"]]
)
def test_wrong_numbers_are_a_usage_error(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["demo", *argv])
    assert caught.value.code == 2


@pytest.mark.parametrize("argv", [["--seconds", "5"], []])
def test_screens_need_a_terminal_and_take_no_seconds(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.set_defaults(record=None, settings=[])  # as the whole command line has it
    add(parser.add_subparsers())
    args = parser.parse_args(["demo", *argv])
    with pytest.raises(UsageError, match=r"--plain"):
        args.run(args)
