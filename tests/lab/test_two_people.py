"""Three real hosts, people at real consoles, an attacker: what one can do, and what two can."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.engine.session import LocalEngine
from console.errors import ActionError
from console.hostside.guard.trust.canonical import sha256
from console.model.guard import ONE_THEN_RATIFY, TWO_BEFORE, GuardView, Prompt
from console.trust.sign import KeyFileSigning
from tests.support.actionpath import Console
from tests.support.lab import LabHost, LabUnavailable, wait_until
from tests.support.netlab import Running
from tests.support.twopeople import GUARD, TwoPeople, told, two_people

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

SOON_S = 2.0
ROUNDS = 20
TICK_S = 10
DEAD_MAN_S = RATIFY_S = 30
PIN = "4711"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoPeople]:
    """lab24, lab25 and lab26, enrolled, serving, each with an attacker."""
    try:
        with two_people(tmp_path_factory.mktemp("two")) as found:
            yield found
    except LabUnavailable as why:
        pytest.skip(f"no lab hosts: {why}")


@pytest.fixture
def two(place: TwoPeople) -> Iterator[TwoPeople]:
    """The lab, and nothing of an attacker's left running afterwards."""
    yield place
    for each in place.attackers:
        each.end()


def state_of(console: Console, host: LabHost) -> GuardView:
    """The host's guard as this console sees it."""
    found = console.guard(host.name) or GuardView()
    assert isinstance(found, GuardView)
    return found


async def standing(console: Console, host: LabHost) -> None:
    """Until this console sees that the host is isolated and confirmed."""
    await console.until("isolated", lambda: state_of(console, host).isolation == "isolated")


async def approvable(console: Console, rid: str, *hosts: LabHost) -> None:
    """Until this person may approve it on all these hosts."""
    wanted = {host.name for host in hosts}
    await console.until(
        "an approve button",
        lambda: wanted <= {r.host for r in console.engine.requests()
                           if r.id == rid and r.may_approve},
    )  # fmt: skip


async def asks(console: Console, action: str, params: dict[str, Any], *hosts: LabHost) -> str:
    """A request of that person's for these hosts; its id."""
    made = await console.engine.preview([host.name for host in hosts], action, params)
    assert [target.trouble for target in made.targets] == [""] * len(hosts), made.targets
    outcomes = await console.engine.submit(made, "beaconing, INC-4711", TWO_BEFORE, console.ask)
    assert all(one.ok for one in outcomes), outcomes
    return outcomes[0].id


def tampered(log: Path) -> dict[str, bytes]:
    """What root does to a log: another name at the approval. Returns what was there."""
    names = ("log.jsonl", "edge", "index", "checkpoint.json")
    kept = {name: (log.parent / name).read_bytes() for name in names}
    lines = kept["log.jsonl"].split(b"\n")
    at = next(n for n, line in enumerate(lines) if b'"ev":"decide"' in line)
    changed = lines[at].replace(b'"by":"bob"', b'"by":"eve"')
    assert changed != lines[at]
    lines[at] = changed
    log.write_bytes(b"\n".join(lines))
    for name in names[1:]:
        (log.parent / name).unlink()
    return kept


def proves(two: TwoPeople, host: LabHost, folders: dict[str, Path]) -> None:
    """Each console's ``audit verify`` proves what was done, and finds a line that root changed."""
    for person, folder in folders.items():
        done = two.audit(person, folder, "verify", host.name)
        assert (done.returncode, f"{host.name}: PROVED: " in done.stdout) == (0, True), (
            done.stdout + done.stderr
        )
    log = host.root / "var/lib/watchfloor/guard/audit/log.jsonl"
    kept = tampered(log)
    try:
        for person, folder in folders.items():
            done = two.audit(person, folder, "verify", host.name, "--from", str(log))
            assert (done.returncode, "does not follow the line before it" in done.stdout) == (
                1, True,
            ), done.stdout  # fmt: skip
            assert "is not the one that this console was shown" in done.stdout
    finally:
        for name, data in kept.items():
            (log.parent / name).write_bytes(data)


@pytest.fixture(scope="module")
def alone(place: TwoPeople) -> str:
    """An isolation on one signature, which nobody ratifies while other tests run; its id."""
    host, attacker = place.hosts[2], place.attackers[2]
    streams = attacker.streams()
    envelope = place.lab.request(host, "isolate", place.params(host), mode=ONE_THEN_RATIFY)
    answer = place.lab.call(host, envelope)
    assert (answer["ok"], answer["state"]) == (True, "APPLIED"), answer
    assert all(told(one)["how"] for one in streams), "it contains at once"
    assert place.confirm(host, answer)["state"] == "APPLIED"
    assert place.approve(host, envelope["request"], "alice")["rule"] == "same-person"
    attacker.end()
    return str(answer["id"])


async def test_two_people_isolate_and_release_and_one_cannot(
    two: TwoPeople, alone: str, tmp_path: Path
) -> None:
    """The streams of an attacker die, both people's ways in go on, and it is proved afterwards.

    Threats: 34, 66, 70, 94, 95.
    """
    host, attacker = two.hosts[0], two.attackers[0]
    folders = {person: tmp_path / person for person in ("alice", "bob")}
    async with (
        two.console("alice", [host], folders["alice"]) as alice,
        two.console("bob", [host], folders["bob"]) as bob,
    ):
        for console in (alice, bob):
            await console.live(host.name)
        monitor = Running(two.lab.ssh_argv(host, "wfmon", two.lab.monitor))
        try:
            assert '"hello"' in await asyncio.to_thread(monitor.line)
            rid = await one_alone(two, alice, bob, host)
            streams = await asyncio.to_thread(attacker.streams)
            assert len(await asyncio.to_thread(attacker.frames)) == 6
            began = time.monotonic()
            outcomes = await bob.engine.decide([host.name], rid, True, "seen", bob.ask)
            assert [one.ok for one in outcomes] == [True], outcomes
            ends = [await asyncio.to_thread(told, one) for one in streams]
            assert max(one["last"] for one in ends) - began < SOON_S, ends
            for console in (alice, bob):
                await standing(console, host)
            # Both ways in go on: the session of before still tells, and guards answer.
            assert '"seq"' in await asyncio.to_thread(monitor.line)
            await asyncio.to_thread(cut_off, two, host)
            await lost_and_put_back(two, host, (alice, bob))
            assert '"seq"' in await asyncio.to_thread(monitor.line)
        finally:
            await asyncio.to_thread(monitor.stop)
        await released(two, host, rid, alice, bob)
        for console in (alice, bob):
            assert console.events("audit.") == []
            assert [event.key for event in console.events("host.state")] == ["LIVE"]
    await asyncio.to_thread(proves, two, host, folders)


async def one_alone(two: TwoPeople, alice: Console, bob: Console, host: LabHost) -> str:
    """A request changes nothing, and its requester cannot approve it, by console or by hand."""
    rid = await asks(alice, "isolate", two.params(host), host)
    await approvable(bob, rid, host)
    await alice.request(rid)
    with pytest.raises(ActionError, match="another person decides"):
        await alice.engine.decide([host.name], rid, True, "", alice.ask)
    text = alice.engine.acting.envelope(rid)["request"]
    refused = await asyncio.to_thread(two.approve, host, text, "alice")
    assert (refused["ok"], refused["rule"]) == (False, "same-person"), refused
    assert two.tables(host) == []
    assert (await asyncio.to_thread(two.state, host))["active"] == []
    return rid


def cut_off(two: TwoPeople, host: LabHost) -> None:
    """Nothing leaves but SSH with management, not even frames past all sockets."""
    attacker = two.attackers[two.hosts.index(host)]
    assert not any(attacker.connects(address, 0.3) for address in attacker.addresses)
    assert attacker.frames() == []
    assert two.state(host)["isolation"] == "standing"


async def lost_and_put_back(two: TwoPeople, host: LabHost, consoles: tuple[Console, ...]) -> None:
    """A firewall's restart takes the rules; a tick puts them back, and consoles ring."""
    await asyncio.to_thread(host.run, "nft", "flush", "ruleset")
    began = time.monotonic()
    for console in consoles:
        await console.until("an alarm", lambda c=console: c.events("guard.isolation-lost"))  # type: ignore[misc]
        await console.until("put back", lambda c=console: c.events("guard.put-back"))  # type: ignore[misc]
    assert time.monotonic() - began < TICK_S + 5
    await asyncio.to_thread(cut_off, two, host)


async def released(two: TwoPeople, host: LabHost, rid: str, alice: Console, bob: Console) -> None:
    """One cannot open the host again; two can."""
    outcomes = await alice.engine.release([host.name], rid, "clean", alice.ask)
    assert outcomes[0].state == "PENDING", outcomes
    await alice.request(outcomes[0].id)
    with pytest.raises(ActionError, match="another person decides"):
        await alice.engine.decide([host.name], outcomes[0].id, True, "", alice.ask)
    assert two.tables(host)
    await approvable(bob, outcomes[0].id, host)
    done = await bob.engine.decide([host.name], outcomes[0].id, True, "", bob.ask)
    assert done[0].ok, done
    assert two.tables(host) == []
    attacker = two.attackers[two.hosts.index(host)]
    assert await asyncio.to_thread(attacker.connects, attacker.addresses[1])


def test_one_signature_alone_reverts_by_itself(two: TwoPeople, alone: str) -> None:
    """Without anybody's call: its rules go, and it is told as undone. Threats: 33."""
    host, attacker = two.hosts[2], two.attackers[2]
    wait_until(lambda: two.tables(host) == [], RATIFY_S + TICK_S, "the host opens by itself")
    assert attacker.connects(attacker.addresses[0])
    state = two.state(host)
    (ended,) = [each for each in state["closed"] if each["id"] == alone]
    assert (ended["state"], ended["why"], state["active"]) == (
        "REVERTED", "no second person approved it in time", [],
    )  # fmt: skip


async def test_a_hardware_key_signs_with_its_pin(
    two: TwoPeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ssh-keygen, the askpass helper and OpenSSH's own dummy of a key; the guard accepts."""
    if two.dummy is None:
        pytest.skip("OpenSSH's dummy FIDO provider is not installed: apt install openssh-tests")
    monkeypatch.setattr("console.trust.sign._SIGNER", two.dummy_signer(tmp_path))
    prompts: list[Prompt] = []

    async def ask(prompt: Prompt) -> str | None:
        prompts.append(prompt)
        if prompt.kind == "touch":
            await asyncio.Event().wait()  # until it was touched
        return PIN

    host = two.hosts[0]
    request = await asyncio.to_thread(two.asked, host, "isolate", two.params(host))
    signing = KeyFileSigning(str(two.dummy))
    async with two.console("carol", [host], tmp_path / "carol", signing) as carol:
        await carol.live(host.name)
        rid = sha256(request.encode())
        await approvable(carol, rid, host)
        done = await carol.engine.decide([host.name], rid, True, "", ask)
        assert (done[0].ok, done[0].state) == (True, "APPLIED"), done
        await standing(carol, host)
    assert [prompt.kind for prompt in prompts][:1] == ["pin"]
    records = (host.root / "var/lib/watchfloor/guard/audit/log.jsonl").read_text().splitlines()
    (record,) = [r for r in map(json.loads, records) if r["ev"] == "decide" and r["rid"] == rid]
    assert (record["by"], record["key_id"], record["uv"]) == ("carol", "dummy-1", True)
    await asyncio.to_thread(two.release, host, rid)


def unplug(host: LabHost, out: bool) -> None:
    """Take the host's link down, with a route that says so at once; or bring it back."""
    (host.cut if out else host.restore)()
    argv = ("ip", "route", "add" if out else "del", "unreachable", f"{host.address}/32")
    subprocess.run(argv, check=True)


async def test_one_request_names_the_fleet_and_a_host_that_was_down_comes_later(
    two: TwoPeople, tmp_path: Path
) -> None:
    """What each host said is told, and the same signature goes to the rest; approving what is not
    seen on one of them has to be said."""
    down = two.hosts[2]
    mgmt = {"confirm_s": 60, "mgmt": sorted(map(two.mgmt, two.hosts))}
    names = [host.name for host in two.hosts]
    async with (
        two.console("alice", two.hosts, tmp_path / "a") as alice,
        two.console("bob", two.hosts, tmp_path / "b") as bob,
    ):
        for console in (alice, bob):
            await console.live(*names)
        engine = alice.engine
        assert isinstance(engine, LocalEngine)
        made = await engine.preview(names, "isolate", mgmt)
        assert [target.trouble for target in made.targets] == ["", "", ""]
        await asyncio.to_thread(unplug, down, True)
        try:
            draft, signature = await engine.acting.sign(made, "all of them", TWO_BEFORE, alice.ask)
            first = await engine.acting.send_request(made, draft, signature)
            assert [(one.host, one.ok) for one in first] == [
                (names[0], True), (names[1], True), (names[2], False),
            ]  # fmt: skip
            assert first[2].rule == "link"
            await approvable(bob, draft.id, *two.hosts[:2])
            with pytest.raises(ActionError, match=f"would also count on {names[2]}"):
                await bob.engine.decide(names[:2], draft.id, True, "", bob.ask)
            done = await bob.engine.decide(
                names[:2], draft.id, True, "", bob.ask, unseen=(names[2],)
            )
            assert [one.ok for one in done] == [True, True], done
            for host in two.hosts[:2]:
                await standing(bob, host)
        finally:
            await asyncio.to_thread(unplug, down, False)
        again = await engine.acting.send_request(made, draft, signature)
        assert {one.host: one.ok for one in again}[names[2]], again
        await approvable(bob, draft.id, down)
        done = await bob.engine.decide([names[2]], draft.id, True, "", bob.ask)
        assert done[0].ok, done
        await standing(bob, down)
    for host in two.hosts:
        await asyncio.to_thread(two.release, host, draft.id)


async def test_a_guard_that_was_replaced_is_known_as_another(
    two: TwoPeople, tmp_path: Path
) -> None:
    """Its digest is none that this console knows, so nothing is signed for it. Threats: 82."""
    host = two.hosts[1]
    path = host.root / GUARD[1:]
    before = path.read_bytes()
    async with two.console("alice", [host], tmp_path) as alice:
        await alice.live(host.name)
        await alice.until("known", lambda: state_of(alice, host).guard_known == "real")
        try:
            path.write_bytes(before + b"\n")
            await asyncio.to_thread(host.run, GUARD, "tick")
            await alice.until("unknown", lambda: not state_of(alice, host).guard_known)
            await alice.until("an alarm", lambda: alice.events("guard.unknown-build"))
            made = await alice.engine.preview([host.name], "isolate", two.params(host))
            assert "does not know" in made.targets[0].trouble
            with pytest.raises(ActionError):
                await alice.engine.submit(made, "never", TWO_BEFORE, alice.ask)
        finally:
            path.write_bytes(before)
            await asyncio.to_thread(host.run, GUARD, "tick")
        await alice.until("known again", lambda: state_of(alice, host).guard_known)


def test_what_stands_is_there_before_the_network_after_a_reboot(two: TwoPeople) -> None:
    """And what nobody had confirmed is gone. Threats: 65."""
    stood, loose = two.hosts[0], two.hosts[1]
    rid = two.standing(stood)
    told = two.applied(loose)
    for host in (stood, loose):
        host.power_cycle()
    assert two.tables(loose) == []
    state = two.state(loose)
    assert state["active"] == []
    (ended,) = [each for each in state["closed"] if each["id"] == told["id"]]
    assert (ended["state"], two.attackers[1].connects(two.attackers[1].addresses[0])) == (
        "REVERTED", True,
    )  # fmt: skip
    assert two.confirm(loose, told)["rule"] == "already-reverted"
    units = ("watchfloor-guard-boot.service", "network-pre.target", "ssh.service")
    shown = [stood.run("systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", unit).stdout
             for unit in units]  # fmt: skip
    times = [int(each) for each in shown]
    assert 0 < times[0] <= min(times[1:]), dict(zip(units, times, strict=True))
    state = two.state(stood)
    assert [(each["id"], each["state"]) for each in state["active"]] == [(rid, "STANDING")]
    cut_off(two, stood)
    two.release(stood, rid)


def test_a_plan_that_locks_its_requester_out_is_refused(two: TwoPeople) -> None:
    """The management network of another host is not where they come from. Threats: 68."""
    host, other = two.hosts[0], two.hosts[1]
    params = {"confirm_s": 60, "mgmt": [two.mgmt(other)]}
    answer = two.lab.call(host, two.lab.request(host, "isolate", params))
    assert (answer["ok"], answer["rule"]) == (False, "lockout"), answer
    assert "you come from 10.213." in answer["words"]


class Unconfirmed:
    """Isolations that nobody can confirm, on hosts whose link to management is down: one that the
    policy lets revert, one that it keeps, and one that stood on one signature alone."""

    def __init__(self, two: TwoPeople) -> None:
        self.two = two
        self.keeps, self.reverts = two.hosts[1], two.hosts[2]
        policy = json.loads(two.lab.policy)
        self.policy(json.dumps({**policy, "unconfirmed": "keep"}, sort_keys=True,
                               separators=(",", ":")))  # fmt: skip
        self.kept = two.applied(self.keeps, DEAD_MAN_S, "STANDING")
        self.told = two.applied(self.reverts, DEAD_MAN_S)
        self.began = time.monotonic()
        for host in (self.keeps, self.reverts):
            host.cut()

    def policy(self, text: str) -> None:
        """Have root of the host install another policy."""
        self.keeps.run("tee", "/root/policy.json", stdin=text)
        self.keeps.run(GUARD, "install-policy", "/root/policy.json")

    def later(self) -> None:
        """Wait until the deadline has passed, and plug the links in again."""
        left = self.began + DEAD_MAN_S + 3 - time.monotonic()
        time.sleep(max(0.0, left))  # the deadline is the host's own
        for host in (self.keeps, self.reverts):
            host.restore()
            wait_until(host.answers, 20, f"{host.name} answers")


@pytest.fixture(scope="module")
def unconfirmed(place: TwoPeople) -> Iterator[Unconfirmed]:
    """Waits for its deadline while other tests run."""
    made = Unconfirmed(place)
    yield made
    for host in (made.keeps, made.reverts):
        host.restore()


def test_killed_guards_never_leave_a_host_cut_off(two: TwoPeople, unconfirmed: Unconfirmed) -> None:
    """SIGKILL to all of a guard's processes in the middle of an isolation. Threats: 61, 62."""
    host, attacker = two.hosts[0], two.attackers[0]
    when, seen = random.Random(4711), set()
    for number in range(ROUNDS):
        request = two.asked(host, "isolate", two.params(host))
        decision = two.lab.decision(request, "bob", two.now(host))
        argv = two.lab.ssh_argv(host, "wfops", two.lab.logins["bob"])
        caller = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert caller.stdin is not None
        caller.stdin.write(json.dumps(decision).encode())
        caller.stdin.close()
        caller.stdin = None
        wait_until(lambda: bool(two.guards(host)), 10, "the guard runs")
        time.sleep(when.random() * 0.12)  # anywhere in the call
        two.kill_guards(host)
        caller.communicate(timeout=30)
        state = two.state(host)  # the next call, by a new login: finished or undone
        found = [each["state"] for each in state["active"]]
        ended = [each for each in state["closed"] if each["id"] == sha256(request.encode())]
        how = found[0] if found else ended[0]["state"] if ended else "PENDING"
        seen.add(how)
        assert how in ("PENDING", "APPLIED", "FAILED", "REVERTED"), (number, state)
        if how != "APPLIED":
            assert two.tables(host) == [], (number, how)
        else:
            # It was killed between the deed and its answer: nobody has the token, it reverts.
            assert state["active"][0]["holds"]
        two.another_boot(host)
        assert two.tables(host) == []
        assert two.state(host)["active"] == []
    assert len(seen) > 1, seen  # some were early, some late
    assert attacker.connects(attacker.addresses[0])
    assert json.loads(host.run(GUARD, "verify").stdout)["ok"]


def test_unconfirmed_reverts_or_is_kept_as_the_policy_says(
    two: TwoPeople, unconfirmed: Unconfirmed
) -> None:
    """With management cut, the host opens by itself, unless it has a way in of its own.

    Threats: 63, 64, 68, 69.
    """
    unconfirmed.later()
    state = two.state(unconfirmed.reverts)
    (ended,) = [each for each in state["closed"] if each["id"] == unconfirmed.told["id"]]
    assert (ended["state"], state["active"]) == ("REVERTED", [])
    assert "nobody confirmed" in ended["why"]
    assert two.attackers[2].connects(two.attackers[2].addresses[0])
    state = two.state(unconfirmed.keeps)
    assert [each["id"] for each in state["active"]] == [unconfirmed.kept["id"]]
    cut = two.attackers[1]
    assert not any(cut.connects(address, 0.3) for address in cut.addresses)
    if state["active"][0]["state"] != "STANDING":
        assert two.confirm(unconfirmed.keeps, unconfirmed.kept)["ok"]
    two.release(unconfirmed.keeps, unconfirmed.kept["id"])
    unconfirmed.policy(two.lab.policy.decode())
