"""The demo's drill: two people isolate a breached host, see it, and let it go again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.actions.ask import ask
from console.actions.builds import Builds
from console.demo.drill import FIRST, SECOND
from console.demo.run import Demo
from console.demo.seat import parts, state_dir
from console.engine.build import local_engine
from console.engine.session import LocalEngine
from console.errors import ActionError
from console.hostside.guard.trust import canonical
from console.model.guard import Outcome, Prompt, RequestView

HOST = "store-fra-1"
THIEF = "198.51.100.24"
DEADLINE_S = 40.0
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all, announced where a second console looks; its incident is over soon."""
    runtime = tmp_path_factory.mktemp("runtime")
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        with Demo(speed=20, local=False, workstation=False, announced=True) as running:
            yield running
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    assert not list(runtime.glob("watchfloor/*"))  # the note of the demo is gone with it


class Seat:
    """A console at which one person of the demo sits."""

    def __init__(self, demo: Demo, person: str, **changed: Any) -> None:
        config = msgspec.structs.replace(
            demo.config(), state_dir=state_dir(demo.folder, person), history=False
        )
        acting = parts(demo.folder, person, config.known, touch_s=0.02)
        self.engine: LocalEngine = local_engine(
            config, acting=msgspec.structs.replace(acting, **changed)
        )
        self.prompts: list[Prompt] = []

    async def ask(self, prompt: Prompt) -> str | None:
        self.prompts.append(prompt)
        await asyncio.Event().wait()  # as the screens: until it is taken away
        return None

    async def __aenter__(self) -> Seat:
        await self.engine.start()
        await self.until("the guard", lambda: self.guard is not None and self.guard.host_id)
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self.engine.stop()

    async def until(self, what: str, true: Callable[[], object]) -> Any:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not (found := true()):  # noqa: ASYNC110  # faces pull
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{what} did not come: {self.guard} {self.flows()}") from None
        return found

    @property
    def guard(self) -> Any:
        view = self.engine.snapshot().host(HOST)
        return view.guard if view else None

    def flows(self) -> set[tuple[str, str]]:
        view = self.engine.snapshot().host(HOST)
        return {(row.direction, row.peer) for row in view.flows if row.count} if view else set()

    def egress(self) -> float:
        view = self.engine.snapshot().host(HOST)
        return (view.fast.tx_bps or 0.0) if view and view.fast else 0.0

    def standing(self, rid: str) -> Any:
        found = [item for item in self.guard.active if item.id == rid]
        return found[0] if found and found[0].state == "STANDING" else None

    async def isolate(self) -> str:
        preview = await self.engine.preview([HOST], "isolate", {})
        assert not preview.targets[0].trouble, preview.targets[0]
        (one,) = await self.engine.submit(preview, "weights leave", "two_before", self.ask)
        assert (one.ok, one.state) == (True, "PENDING"), one
        return one.id

    async def request(self, rid: str) -> RequestView:
        found: list[RequestView] = await self.until(
            "the request", lambda: [each for each in self.engine.requests() if each.id == rid]
        )
        return found[0]

    async def approve(self, rid: str) -> Outcome:
        await self.request(rid)
        (one,) = await self.engine.decide([HOST], rid, True, "seen", self.ask)
        return one


@pytest.fixture
async def alice(demo: Demo) -> AsyncIterator[Seat]:
    async with Seat(demo, FIRST) as seat:
        yield seat


@pytest.fixture
async def bob(demo: Demo) -> AsyncIterator[Seat]:
    async with Seat(demo, SECOND) as seat:
        yield seat


async def let_go(alice: Seat, bob: Seat, rid: str) -> None:
    """Two people end what stands, and the host is as it was."""
    (one,) = await alice.engine.release([HOST], rid, "it is clean", alice.ask)
    assert one.ok, one
    ended = await bob.approve(one.id)
    assert ended.ok, ended
    await alice.until("its usual clients", lambda: ("in", "10.20.1.5") in alice.flows())
    await alice.until("an end", lambda: not alice.guard.active)


async def test_two_people_end_a_theft_and_let_the_host_go_again(alice: Seat, bob: Seat) -> None:
    await alice.until("the theft", lambda: ("out", THIEF) in alice.flows())
    await alice.until("its egress", lambda: alice.egress() > 5e8)
    rid = await alice.isolate()
    assert [prompt.kind for prompt in alice.prompts] == ["touch"]
    assert ("out", THIEF) in alice.flows()  # one signature does nothing
    done = await bob.approve(rid)
    assert (done.ok, done.state) == (True, "APPLIED"), done
    await alice.until("the end of the theft", lambda: alice.flows() == {("in", "10.20.0.10")})
    await alice.until("a quiet line", lambda: alice.egress() < 1e5)
    here = await alice.until("a confirmed host", lambda: alice.standing(rid))
    assert (here.requester, here.approvers, here.same_console) == (FIRST, (SECOND,), False)
    await let_go(alice, bob, rid)
    assert ("out", THIEF) not in alice.flows()  # who stole does not come back by itself


async def test_one_person_alone_can_do_nothing(demo: Demo, alice: Seat) -> None:
    """Nobody approves what they asked for: the console says so, and so does the host."""
    before = alice.flows()
    rid = await alice.isolate()
    seen = await alice.request(rid)
    assert not seen.may_approve
    with pytest.raises(ActionError, match="you have made it: another person decides"):
        await alice.approve(rid)
    around = parts(demo.folder, FIRST, {host.name: host for host in demo.hosts}, touch_s=0.02)
    own = {
        "kind": "approval", "v": 1, "by": FIRST, "comment": "", "verdict": "approve",
        "request_sha256": rid, "expires": int(time.time()) + 300,
    }  # fmt: skip
    data = canonical.write(own)
    signature = await around.signing.sign("approval-v1@watchfloor", data, alice.ask)
    spec = next(host for host in demo.hosts if host.name == HOST)
    fields = {"decision": data.decode(), "signature": signature}
    with pytest.raises(ActionError, match="alice"):  # past the console: the host refuses it too
        await ask(around.caller, spec, "decide", **fields)
    assert before & alice.flows() == before
    (one,) = await alice.engine.cancel([HOST], rid, "a drill", alice.ask)
    assert one.ok, one


async def test_two_people_at_one_console_are_marked(alice: Seat, bob: Seat) -> None:
    """The signature is bob's, the login is that of alice's console: the host sees that."""
    assert alice.engine.people()[0] == FIRST
    assert "carl" in alice.engine.act_as("carl")
    rid = await alice.isolate()
    assert alice.engine.act_as(SECOND) == ""
    assert alice.engine.person() == SECOND
    await alice.until("bob's choice", lambda: [
        each for each in alice.engine.requests() if each.id == rid and each.may_approve
    ])  # fmt: skip
    done = await alice.approve(rid)
    assert done.ok, done
    here = await bob.until("a confirmed host", lambda: bob.standing(rid))
    assert (here.requester, here.approvers, here.same_console) == (FIRST, (SECOND,), True)
    assert alice.engine.act_as(FIRST) == ""
    shown = await asyncio.to_thread(run, FIRST, "--", "audit", "show", HOST)
    decided = [line for line in shown.stdout.splitlines() if " decide " in line]
    assert "by=bob" in decided[-1]
    assert "from the same console as the request" in decided[-1]
    await let_go(alice, bob, rid)


async def test_a_console_of_real_hosts_refuses_the_demo_s_guard(demo: Demo) -> None:
    async with Seat(demo, FIRST, builds=Builds()) as real:
        preview = await real.engine.preview([HOST], "isolate", {})
        assert not preview.usable
        assert "guard" in preview.targets[0].trouble
        assert real.guard.guard_known == ""


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """``watchfloor demo --join ...`` in a third terminal."""
    return subprocess.run(
        [sys.executable, "-m", "console", "demo", "--join", *argv],
        capture_output=True, text=True, timeout=90, check=False, cwd=ROOT,
    )  # fmt: skip


async def test_verbs_prove_the_drill_in_a_third_terminal(
    demo: Demo, alice: Seat, bob: Seat, tmp_path: Path
) -> None:
    rid = await alice.isolate()
    told = await asyncio.to_thread(run, SECOND, "--", "actions", "list")
    assert f"isolate by {FIRST}" in told.stdout, told
    assert (await bob.approve(rid)).ok
    await alice.until("a confirmed host", lambda: alice.standing(rid))
    proved = await asyncio.to_thread(run, FIRST, "--", "audit", "verify", HOST)
    assert (proved.returncode, f"{HOST}: PROVED" in proved.stdout) == (0, True), proved
    assert f"isolate by {FIRST}, approved by {SECOND}: STANDING" in proved.stdout
    printed = await asyncio.to_thread(run, "--print-config")
    file = tmp_path / "demo.toml"
    file.write_text(printed.stdout)
    file.chmod(0o600)
    from console.config.loader import load

    config = load(only_file=file)
    assert [host.name for host in config.hosts] == [host.name for host in demo.hosts]
    assert (config.operator.person, config.operator.signing_key) == (SECOND, "")
    refused = await asyncio.to_thread(run, "mallory")
    assert (refused.returncode, "nobody in the demo" in refused.stderr) == (2, True)
    refused = await asyncio.to_thread(run, "--", "roster", "sign", "next.json")
    assert (refused.returncode, "does not go with a demo" in refused.stderr) == (2, True)
    for verb in (["roster", "show"], ["policy", "show"], ["policy", "verify"]):
        shown = await asyncio.to_thread(run, "--", *verb)
        assert (shown.returncode, shown.stderr) == (0, ""), shown
        assert verb[0] + " 1" in shown.stdout
    release = ("actions", "release", rid[:12], "--comment", "clean", "--confirm", HOST)
    refused = await asyncio.to_thread(run, FIRST, "--", *release, "--set", "read_only=true")
    assert (refused.returncode, "console is read-only" in refused.stderr) == (1, True), refused
    await let_go(alice, bob, rid)
