"""The one file as a program: what it is started with, what it reads, and how it is ended."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hostside.guard import main as guard_main
from console.hostside.guard.caller import Caller
from tests.support.guardfile import FileHost
from tests.support.guardhost import Host
from tests.support.guardkit import policy_doc, refused

RULE = {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0, "ratify_s": 300}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileHost]:
    """A host with the program on it. Its watchers are ended afterwards."""
    monkeypatch.setattr("console.hostside.guard.steps.EFFECTOR", "simulated")
    host = FileHost(tmp_path, policy=policy_doc(actions={"isolate": RULE}))
    yield host
    for child in processes(host):
        os.kill(child, signal.SIGKILL)


def processes(host: FileHost) -> list[int]:
    """Processes of this host's own guard file."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(host.path).encode() in line.split(b"\0"):
                found.append(int(entry.name))
    return found


def until(true: Any, seconds: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


def test_the_program_isolates_and_releases(program: FileHost) -> None:
    rid = program.standing()
    release = program.submit("carol", action="release", params={"id": rid})
    assert program.decide(release["id"], "alice")["state"] == "DONE"
    assert program.done() == []
    assert program.command("verify")["guard"] == program.digest


def test_a_client_that_says_nothing_holds_nobody_up(program: FileHost) -> None:
    """The lock is taken when the input is complete, and the input has its time. Threats: 76."""
    with program.start() as silent:
        assert program.call("status")["ok"]
        assert silent.poll() is None
        assert silent.stdin is not None
        silent.stdin.write(b'{"op":')
        silent.stdin.flush()
        assert program.call("status")["ok"]
        assert silent.stdout is not None
        answer = json.loads(silent.stdout.read())  # after the ten seconds
        assert answer["rule"] == "input-late"
        silent.stdin.close()


def test_what_it_was_started_with_does_not_matter(program: FileHost, tmp_path: Path) -> None:
    """A limit of 512 bytes a file, a folder that is gone, a mask, ignored signals. Threats: 75."""
    rid = program.submit()["id"]
    envelope = json.dumps({"op": "decide", **program.decision(rid)}).encode()

    def strange() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, resource.RLIM_INFINITY))
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM, signal.SIGCHLD))
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        os.rmdir(os.getcwd())
        os.umask(0)

    gone = tmp_path / "gone"
    gone.mkdir()
    ran = subprocess.run(
        [program.path], input=envelope, capture_output=True, cwd=gone, env=program.environ(),
        preexec_fn=strange, timeout=60, check=False,
    )  # fmt: skip
    assert json.loads(ran.stdout)["state"] == "APPLIED", ran
    assert Path(program.place.state, "audit/log.jsonl").stat().st_size > 512
    for path in Path(program.place.state).rglob("*"):
        assert not path.stat().st_mode & 0o022, path
    assert program.done()


def test_hardened(tmp_path: Path) -> None:
    """Timers, mask, limits, umask, folder and handles begin from a known state. Threats: 75."""
    code = """if True:
        import json, os, resource, signal, sys
        sys.path.insert(0, sys.argv[1])
        from console.hostside.guard import main
        signal.setitimer(signal.ITIMER_VIRTUAL, 500)
        signal.setitimer(signal.ITIMER_REAL, 500)
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM, signal.SIGTERM))
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, resource.RLIM_INFINITY))
        os.umask(0)
        for _ in range(5):
            os.dup(1)
        main.harden()
        print(json.dumps([
            signal.getitimer(signal.ITIMER_VIRTUAL), signal.getitimer(signal.ITIMER_REAL),
            sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
            resource.getrlimit(resource.RLIMIT_FSIZE)[0], resource.getrlimit(resource.RLIMIT_CORE),
            os.umask(0o077), os.getcwd(), len(os.listdir("/proc/self/fd")) - 1,
        ]))
    """
    root = str(Path(__file__).resolve().parents[3])
    ran = subprocess.run(
        [sys.executable, "-c", code, root], capture_output=True, cwd=tmp_path, check=True
    )
    assert json.loads(ran.stdout) == [[0, 0], [0, 0], [], True, -1, [0, 0], 0o077, "/", 3]


def test_a_lost_connection_ends_nothing(program: FileHost) -> None:
    """HUP, TERM and a closed pipe do not end it half way. Threats: 75."""
    rid = program.submit()["id"]
    envelope = json.dumps({"op": "decide", **program.decision(rid)}).encode()
    with program.start() as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.close()
        child.stdin.write(envelope)
        child.stdin.close()
        until(lambda: child.poll() is not None or program.events(rid)[-1:] == ["exec_start"])
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            if child.poll() is None:
                child.send_signal(number)
        child.wait(30)
    assert program.events(rid)[-1] == "exec_end"
    assert program.state["active"][0]["state"] == "APPLIED"


def test_eight_approvals_at_once(program: FileHost) -> None:
    """Exactly one carries it out. Threats: 60."""
    rid = program.submit()["id"]
    sent = [program.decision(rid, person) for person in ("bob", "carol") * 4]
    callers = [Caller("wfops", "10.9.1.5", 40_000 + number) for number in range(len(sent))]
    answers: list[dict[str, Any]] = []

    def one(number: int) -> None:
        answers.append(program.call("decide", callers[number], **sent[number]))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(sent))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.get("state", "") for answer in answers).count("APPLIED") == 1, answers
    assert {answer["rule"] for answer in answers if not answer["ok"]} <= {"no-request", "decided"}
    assert program.events(rid).count("exec_start") == 1


def test_the_watcher_reverts_without_any_call(program: FileHost) -> None:
    """Nobody calls again: the process that was left behind does it. Threats: 63."""
    rule = {**RULE, "ratify_s": 30}
    program.install("policy", policy_doc(actions={"isolate": rule}))
    answer = program.submit(mode="one_then_ratify")
    assert answer["state"] == "APPLIED"
    watchers = processes(program)
    assert len(watchers) == 2
    for pid in watchers:  # none of them has a session, a terminal or a lock
        assert os.getsid(pid) not in (os.getsid(0), 0)
        held = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        assert held == ["/dev/null"] * 3
    assert program.call("status")["ok"]


def test_a_watcher_in_time(tmp_path: Path) -> None:
    """It runs its program when its time has come, after the caller was killed. Threats: 63."""
    from console.hostside.guard.place import Place
    from console.hostside.guard.state import deadman
    from console.hostside.guard.world import World

    told = tmp_path / "told"
    begun = time.monotonic()
    child = os.fork()
    if not child:
        deadman.arm(["/usr/bin/touch", str(told)], 1, World(Place(str(tmp_path))), "a-1")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    until(told.exists)
    assert 1.0 <= time.monotonic() - begun < 10.0


@pytest.mark.parametrize("code", [0, 1])
def test_one_timer_of_systemd_for_one_deadline(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """It has the name of the deadline, so that systemd takes no second one; beside it a watcher
    holds up no shutdown, and where there is none it stays."""
    from console.hostside.guard.place import Place
    from console.hostside.guard.state import deadman
    from console.hostside.guard.world import Ran, World

    asked: list[list[str]] = []

    class Systemd(World):
        def run(self, argv: Any, *given: Any, **how: Any) -> Ran:
            asked.append(list(argv))
            return Ran(code, b"", b"")

    def watch() -> None:
        real = os.path.isdir
        monkeypatch.setattr(
            os.path, "isdir", lambda path: path == "/run/systemd/system" or real(path)
        )
        monkeypatch.setattr(os, "closerange", lambda low, high: None)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        deadman._watch(["/usr/libexec/guard", "tick"], 0.0, 61, Systemd(Place("")), "abc-ratify-7")

    def told(*given: Any) -> None:
        raise InterruptedError(signal.getsignal(signal.SIGTERM).name)  # type: ignore[union-attr]

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(os, "execv", told)
    try:
        with pytest.raises(InterruptedError, match="SIG_IGN" if code else "SIG_DFL"):
            watch()
    finally:
        for number in deadman.ENDING:
            signal.signal(number, before if number == signal.SIGTERM else signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert "--unit=watchfloor-deadline-abc-ratify-7" in asked[0]
    assert len(asked) == 1


def test_killed_for_real(program: FileHost) -> None:
    """SIGKILL at moments spread over a call; the next call goes on from there. Threats: 61."""
    ended = set()
    whole = 0.0
    for turn in range(12):
        sent = program.decision(program.submit()["id"])
        begun = time.monotonic()
        with program.start() as child:
            assert child.stdin is not None
            child.stdin.write(json.dumps({"op": "decide", **sent}).encode())
            child.stdin.close()
            try:  # the first is left alone, and the others are ended at a twelfth of its time more
                child.wait(whole * turn / 12 if turn else 60)
            except subprocess.TimeoutExpired:
                child.kill()
            child.wait()
        whole = whole or time.monotonic() - begun
        assert program.tick()["ok"]
        active = program.state["active"]
        ended.add(active[0]["state"] if active else "none")
        assert program.done() == ["nft" for _ in active], turn
        for each in active:
            assert each["state"] == "APPLIED"
        _forget(program)
    assert ended == {"none", "APPLIED"}


def _forget(program: FileHost) -> None:
    """Begin anew: what is applied is confirmed and released, what waits is withdrawn."""
    for each in program.state["active"]:
        path = Path(program.place.state, "journal", each["id"])
        entry = json.loads(path.read_bytes())
        entry["needs"]["confirm"]["until"] = 0.0
        path.write_text(json.dumps(entry))
    for each in program.published("request"):
        rid = hashlib.sha256(each["request"].encode()).hexdigest()
        assert program.decide(rid, verdict="deny", person="carol")["ok"]
    assert program.tick()["ok"]
    assert program.done() == []


def test_a_long_action_runs_beside(program: FileHost) -> None:
    """Calls go on meanwhile and see how far it is; nobody takes it for a dead one."""
    program.simulate(pace_s=0.15)
    params = {"include": ["sockets"], "since_s": 3600}
    rid = program.submit(action="collect-evidence", params=params)["id"]
    answer = program.decide(rid)
    assert answer["state"] == "EXECUTING", answer
    seen: set[tuple[str, int]] = set()

    def ended() -> bool:
        entry = program.call("status", id=rid)["entry"]
        seen.add((entry["state"], entry["progress"]["done"]))
        return bool(entry["state"] == "DONE")

    until(ended)
    assert len([done for state, done in seen if state == "EXECUTING"]) > 1, seen
    assert program.events(rid) == ["submit", "decide", "exec_start", "exec_end"]


def test_a_long_action_that_is_killed(program: FileHost) -> None:
    """Its process is gone, the next call says so and undoes it. Threats: 61."""
    program.simulate(pace_s=5.0)
    params = {"include": ["sockets"], "since_s": 3600}
    rid = program.submit(action="collect-evidence", params=params)["id"]
    assert program.decide(rid)["state"] == "EXECUTING"
    (worker,) = processes(program)
    assert program.tick()["ok"]
    assert program.state["active"][0]["state"] == "EXECUTING"
    os.kill(worker, signal.SIGKILL)
    until(lambda: processes(program) == [])
    assert program.tick()["ok"]
    assert program.state["closed"][-1]["state"] == "FAILED"
    assert program.events(rid)[-2:] == ["crashed", "undone"]


def test_envelopes_that_are_none() -> None:
    for data in (b"", b"[]", b"{", b'{"op":1,"op":2}', b"\xff", b"[" * 100_000, b'"x"', b"nul"):
        assert refused(guard_main.parse, data).rule == "envelope"
    assert guard_main.parse(b'{"op":"status"}') == {"op": "status"}


def test_an_envelope_that_is_too_long(program: FileHost) -> None:
    answer = program.call("status", padding="x" * (257 << 10))
    assert (answer["ok"], answer["rule"]) == (False, "envelope")


def test_arguments_are_for_root_alone(program: FileHost) -> None:
    ran = subprocess.run(
        [program.path, "clock-reset"], capture_output=True, check=False, env=program.environ()
    )
    assert json.loads(ran.stdout)["rule"] == "root"
    assert ran.returncode == 1
    assert program.command("clock-reset")["ok"]
    assert "clock_reset" in program.events()
    ran = subprocess.run([program.path, "dance"], capture_output=True, check=False, env={})
    assert ran.returncode == 2
    assert b"usage" in ran.stderr


def test_root_installs_and_it_is_on_record(program: FileHost, tmp_path: Path) -> None:
    from console.hostside.guard.trust import canonical
    from tests.support.guardkit import roster_doc

    old = Path(program.place.etc, "roster.json").read_bytes()
    doc = roster_doc(serial=2, prev=canonical.sha256(old))
    path = tmp_path / "new.json"
    path.write_bytes(canonical.write(doc))
    path.chmod(0o600)
    assert program.command("install-roster", str(path))["serial"] == 2
    assert [json.loads(each["text"])["serial"] for each in program.call("chain")["roster"]] == [
        2,
        1,
    ]
    assert "root_install_roster" in program.events()


def test_not_even_root_installs_what_is_below_a_floor(program: FileHost, tmp_path: Path) -> None:
    from console.hostside.guard.trust import canonical

    old = Path(program.place.etc, "policy.json").read_bytes()
    rule = {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0, "ratify_s": 60}
    path = tmp_path / "low.json"
    for actions in ({"release": rule}, {"dance": {**rule, "mode": "two_before"}},
                    {"release": {**rule, "mode": "two_before", "people": 1}}):  # fmt: skip
        doc = policy_doc(serial=2, prev=canonical.sha256(old), actions=actions)
        path.write_bytes(canonical.write(doc))
        path.chmod(0o600)
        ran = subprocess.run(
            [program.path, "install-policy", str(path)], capture_output=True, check=False, env={}
        )
        assert json.loads(ran.stdout)["rule"] in ("floor", "policy"), actions
        assert Path(program.place.etc, "policy.json").read_bytes() == old
    assert "root_install_policy" not in program.events()


def test_a_host_that_is_not_enrolled_says_so(tmp_path: Path) -> None:
    host = Host(tmp_path)
    Path(host.place.etc, "roster.json").unlink()
    assert host.call("status")["rule"] == "not-enrolled"
