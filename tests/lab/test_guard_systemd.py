"""Deadlines under systemd itself: in a session that is killed, by its timer, and in a boot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.guardlab import GuardLab
from tests.support.lab import LabHost, LabUnavailable, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

NAME = "model.service"
UNIT = """\
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
STOP = {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0, "ratify_s": 30}
BOOT = "watchfloor-guard-boot.service"
NAMED = "watchfloor-deadline"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardLab]:
    folder = tmp_path_factory.mktemp("systemd")
    try:
        with GuardLab.booted(
            folder, (24,), services=[NAME], actions={"stop-service": STOP}
        ) as made:
            host = made.hosts[0]
            (host.root / "etc/systemd/system" / NAME).write_text(UNIT)
            host.run("systemctl", "daemon-reload")
            host.run("systemctl", "enable", "--now", NAME)
            yield made
    except LabUnavailable as why:
        pytest.skip(f"no lab host: {why}")


def active(host: LabHost) -> bool:
    return host.run("systemctl", "is-active", NAME, check=False).stdout.strip() == "active"


def stopped(lab: GuardLab) -> dict[str, Any]:
    """The service, stopped by Alice alone."""
    host = lab.hosts[0]
    wait_until(lambda: active(host), 30, "the service to run")
    (host.root / "var/lib/watchfloor/guard/solo.json").unlink(missing_ok=True)  # a day later
    envelope = lab.request(host, "stop-service", {"service": NAME}, mode="one_then_ratify")
    answer = lab.call(host, envelope)
    assert (answer["ok"], answer.get("state")) == (True, "APPLIED"), answer
    assert not active(host)
    return answer


def ended(lab: GuardLab, rid: str) -> dict[str, Any]:
    state = lab.call(lab.hosts[0], {"op": "status"})["state"]
    assert state["active"] == []
    found: dict[str, Any] = next(each for each in state["closed"] if each["id"] == rid)
    return found


@pytest.mark.parametrize("left", ["timer", "watcher"])
def test_one_signature_ends_in_time_though_the_session_is_killed(lab: GuardLab, left: str) -> None:
    """By systemd's timer where the watcher died with its session, and by the watcher where there
    is no timer. Threats: 66."""
    host = lab.hosts[0]
    host.run("systemctl", "stop", "watchfloor-tick.timer")  # which would come first
    try:
        rid = stopped(lab)["id"]
        timers = f"{NAMED}-*.timer"
        wait_until(
            lambda: NAMED in host.run("systemctl", "list-timers", "--no-legend", timers).stdout,
            10, "systemd to have a timer of the deadline",
        )  # fmt: skip
        if left == "timer":
            host.run("loginctl", "terminate-user", "wfops", check=False)
            host.run("pkill", "-KILL", "-f", "watchfloor/guar[d]", check=False)
        else:
            host.run("systemctl", "stop", timers)
        began = time.monotonic()
        wait_until(lambda: active(host), 60, "the service to be started at the deadline")
        assert time.monotonic() - began < 45
        wait_until(lambda: not host.run("pgrep", "-f", "guard tick", check=False).stdout, 20,
                   "the tick to end")  # fmt: skip
        told = ended(lab, rid)
        assert (told["state"], "no second person" in told["why"]) == ("REVERTED", True), told
    finally:
        host.run("systemctl", "start", "watchfloor-tick.timer")


def test_a_reboot_undoes_what_one_person_stopped_and_does_not_wait_for_itself(
    lab: GuardLab,
) -> None:
    """A start that waited for the job of the service would wait for the whole boot, and that for
    the guard. Threats: 65."""
    host = lab.hosts[0]
    rid = stopped(lab)["id"]
    host.power_cycle()
    wait_until(lambda: active(host), 60, "the service to run after the boot")
    shown = host.run("systemctl", "show", "-P", "Result", BOOT).stdout.strip()
    assert shown == "success"
    times = [
        int(host.run("systemctl", "show", "-P", f"{edge}TimestampMonotonic", BOOT).stdout)
        for edge in ("ExecMainStart", "ExecMainExit")
    ]
    assert 0 < times[1] - times[0] < 15_000_000
    told = ended(lab, rid)
    assert told["state"] == "REVERTED"


def test_a_reboot_keeps_down_what_two_people_stopped(lab: GuardLab) -> None:
    host = lab.hosts[0]
    rid = stopped(lab)["id"]
    now = int(host.run("date", "+%s").stdout)
    state = lab.call(host, {"op": "status"})["state"]
    assert [each["id"] for each in state["active"]] == [rid]
    spool = host.root / f"var/lib/watchfloor/guard/journal/{rid}"
    import json

    request = json.loads(spool.read_text())["request"]
    done = lab.call(host, lab.decision(request, "bob", now), person="bob")
    assert (done["ok"], done.get("state")) == (True, "STANDING"), done
    host.power_cycle()
    wait_until(
        lambda: host.run("systemctl", "is-active", "multi-user.target", check=False).stdout.strip()
        == "active",
        60, "the boot to end",
    )  # fmt: skip
    assert not active(host)
    shown = host.run("systemctl", "show", "-P", "Result", BOOT).stdout.strip()
    assert shown == "success"
    (kept,) = lab.call(host, {"op": "status"})["state"]["active"]
    assert (kept["id"], kept["state"], kept["holds"]) == (rid, "STANDING", True)
