"""Reachability, confirmed over new connections until it is taken or too late."""

from __future__ import annotations

from typing import NoReturn

import pytest

from console.actions import confirm as module
from console.actions.confirm import confirm
from console.actions.send import Token
from console.errors import ConnectError
from console.model.host import Host
from console.ssh.guardcall import Answer
from tests.support.actionhosts import Fleet


class Flaky:
    """A way to the host that fails at first; each try lets three seconds pass."""

    def __init__(self, fleet: Fleet, failures: int) -> None:
        self.fleet = fleet
        self.failures = failures
        self.calls = 0

    async def call(self, host: Host, envelope: bytes) -> Answer:
        self.calls += 1
        self.fleet.hosts["gpu01"].clock.go(3)
        if self.calls <= self.failures:
            raise ConnectError("no route", where=host.name)
        return await self.fleet.call(host, envelope)

    async def send(self, host: Host, envelope: bytes) -> NoReturn:
        raise AssertionError("a confirmation takes a new connection")

    def prepare(self, host: Host) -> NoReturn:
        raise AssertionError("nobody signs here")

    async def close(self) -> None:
        """Nothing is open."""


def applied(fleet: Fleet) -> Token:
    host = fleet.hosts["gpu01"]
    rid = host.submit("alice")["id"]
    done = host.decide(rid, "bob")
    assert done["ok"], done
    return Token(id=rid, token=done["confirm"]["token"], until=done["confirm"]["until"])


async def outcome(
    fleet: Fleet, token: Token, failures: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[tuple[bool, str]], int]:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    flaky = Flaky(fleet, failures)
    told: list[tuple[bool, str]] = []
    around = fleet.around("bob", caller=flaky)
    await confirm(around, fleet.view("gpu01").spec, token, 0.0, lambda *said: told.append(said))
    return told, flaky.calls


async def test_it_is_tried_again_until_the_host_is_reached(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = applied(fleet)
    told, calls = await outcome(fleet, token, 3, monkeypatch)
    assert told == [(True, "STANDING")]
    assert calls == 4


async def test_after_the_deadline_it_is_given_up_and_said(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threats: 68."""
    token = applied(fleet)
    told, calls = await outcome(fleet, token, 1000, monkeypatch)
    ((well, said),) = told
    assert not well
    assert "no route" in said
    assert "the host undoes it" in said
    assert calls == 20  # three seconds each, of sixty


async def test_a_host_that_has_reverted_is_not_asked_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threats: 67."""
    token = applied(fleet)
    fleet.hosts["gpu01"].clock.go(61)
    fleet.hosts["gpu01"].tick()
    told, calls = await outcome(fleet, token, 0, monkeypatch)
    ((well, said),) = told
    assert not well
    assert "already reverted" in said
    assert calls == 1
