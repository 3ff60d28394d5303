"""Files that somebody else may have had a hand in, clocks, nonces, callers and kept requests."""

import os
import shutil
from pathlib import Path

import pytest

from console.hostside.guard.caller import Caller, derive, fingerprint, same_connection, same_console
from console.hostside.guard.place import Place
from console.hostside.guard.state.clock import boot_id
from console.hostside.guard.state.files import Files, lock
from console.hostside.guard.state.nonces import LIFE_S, Nonces
from tests.support.guardhost import Host
from tests.support.guardkit import refused

OTHER = 12_345


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(Place(str(tmp_path)), lambda point: None)


def test_a_file_is_replaced_as_a_whole(files: Files, tmp_path: Path) -> None:
    path = str(tmp_path / "x")
    files.write(path, b"one")
    Path(path + ".new").write_bytes(b"left by a process that was ended")
    files.write(path, b"two", 0o640)
    assert files.read(path) == b"two"
    assert os.stat(path).st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["x"]
    assert refused(files.read, path, 2).rule == "file-unsafe"
    files.write(path, b"[1]")
    assert refused(files.read_json, path).rule == "file-unsafe"


@pytest.mark.parametrize("kind", ["link", "second name", "fifo", "folder", "writable", "owner"])
def test_entries_that_were_replaced(host: Host, kind: str) -> None:
    """Links, second names, pipes, folders, foreign files are not used. Threats: 79."""
    rid = host.submit()["id"]
    path = Path(host.place.state, "spool", rid)
    aside = path.with_name("aside")
    if kind == "link":
        path.rename(aside)
        path.symlink_to(aside)
    elif kind == "second name":
        aside.hardlink_to(path)
    elif kind == "fifo":
        path.unlink()
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.unlink()
        path.mkdir(0o700)
    elif kind == "writable":
        path.chmod(0o660)
    elif kind == "owner":
        if os.geteuid():
            pytest.skip("only root can give a file away")
        os.chown(path, OTHER, -1)
    answer = host.decide(rid)
    assert (answer["ok"], answer["rule"]) == (False, "file-unsafe"), answer
    assert host.done() == []
    assert host.tick()["ok"]
    assert f"spool/{rid}" in str(host.state["warnings"])


def test_a_request_that_was_changed_in_the_spool(host: Host) -> None:
    """Other parameters than the signed ones are seen. Threats: 35."""
    rid = host.submit()["id"]
    path = Path(host.place.state, "spool", rid)
    text = path.read_text()
    path.write_text(text.replace("10.9.1.0/24", "10.9.0.0/16"))
    assert host.decide(rid)["rule"] == "spool-corrupted"
    path.write_text(text.replace('"mode":"two_before"', '"mode":"one_then_ratify"'))
    assert host.decide(rid)["rule"] == "spool-corrupted"
    path.write_text(text.replace('"requester":"alice"', '"requester":"carol"'))
    assert host.decide(rid, "alice")["rule"] == "spool-corrupted"
    path.write_text(text)
    assert host.decide(rid)["ok"]


def test_a_binding_that_was_changed_in_the_spool(host: Host) -> None:
    """The digest of the binding was signed. Threats: 35, 36."""
    rid = host.submit()["id"]
    path = Path(host.place.state, "spool", rid)
    text = path.read_text()
    path.write_text(text.replace('\\"sshd_port\\":22', '\\"sshd_port\\":23'))
    assert path.read_text() != text
    assert host.decide(rid)["rule"] == "binding"
    assert host.done() == []


@pytest.mark.parametrize("name", ["roster", "policy"])
@pytest.mark.parametrize("kind", ["writable", "link", "folder"])
def test_what_is_trusted_must_be_roots(host: Host, name: str, kind: str) -> None:
    """Every call is refused. Threats: 80."""
    path = Path(host.place.etc, name + ".json")
    if kind == "writable":
        path.chmod(0o666)
    elif kind == "link":
        path.rename(path.with_suffix(".real"))
        path.symlink_to(path.with_suffix(".real"))
    else:
        Path(host.place.etc).chmod(0o777)
    for op in ("challenge", "submit", "decide", "cancel", "start", "review", "confirm", "status"):
        assert host.call(op, action="isolate", params={})["rule"] == "file-unsafe", op


def test_what_was_verified_is_what_is_carried_out(host: Host) -> None:
    """Files that change between the check and the act are not read again. Threats: 83."""
    rid = host.submit()["id"]
    sent = host.decision(rid)
    swapped = []

    def mark(point: str) -> None:
        if point == "intent":  # all is verified, nothing is done
            path = Path(host.place.state, "spool", rid)
            text = path.read_text()
            path.write_text(text.replace("10.9.1.0/24", "0.0.0.0/0"))
            Path(host.place.etc, "policy.json").write_text("{}")
            shutil.rmtree(Path(host.place.etc, "chain"), ignore_errors=True)
            swapped.append(point)

    host.mark = mark
    assert host.call("decide", **sent)["state"] == "APPLIED"
    host.mark = lambda point: None
    assert swapped
    assert "0.0.0.0/0" not in Path(host.place.state, "simulated.json").read_text()


def test_a_guard_that_was_replaced_is_told(host: Host) -> None:
    """Its digest is in every challenge, in the state, and in the request. Threats: 82."""
    host.digest = "cd" * 32
    assert host.challenge()["guard"] == "cd" * 32
    host.submit()
    assert host.state["guard"] == "cd" * 32


def test_a_flood_of_refusals(host: Host) -> None:
    """They are counted, not written one by one. Threats: 85, 86."""
    rid = host.submit()["id"]
    size = Path(host.place.state, "audit/log.jsonl").stat().st_size
    for _ in range(300):
        assert host.call("decide", decision="{}", signature="x")["ok"] is False
    assert Path(host.place.state, "audit/log.jsonl").stat().st_size - size < 4096
    host.clock.go(61)
    assert host.call("decide", decision="{}", signature="x")["ok"] is False
    counts = [each["count"] for each in host.audit() if each["ev"] == "refused"]
    assert sum(counts) == 301
    assert host.events(rid) == ["submit"]


def test_a_clock_that_was_set_back(host: Host) -> None:
    """It revives nothing. Threats: 56."""
    made = host.request()
    host.clock.go(1000)
    assert host.challenge()["ok"]
    host.clock.time -= 500
    assert host.call("submit", **made)["rule"] == "clock-back"
    assert host.challenge()["rule"] == "clock-back"
    assert host.call("status")["ok"]
    host.clock.time += 400
    assert host.challenge()["ok"]


def test_a_clock_that_was_set_forward_and_back(host: Host) -> None:
    """It locks until root resets it, and all of it is on record. Threats: 57."""
    from console.hostside.guard import call, commands

    assert host.challenge()["ok"]
    host.clock.time += 90_000
    assert host.challenge()["ok"]
    jumps = [each["seconds"] for each in host.audit() if each["ev"] == "clock_jump"]
    assert jumps == [90_000]
    host.clock.time -= 90_000
    assert host.challenge()["rule"] == "clock-back"
    assert call.locked(host.guard(), commands._clock_reset)["ok"]
    assert host.challenge()["ok"]
    assert host.events().count("clock_reset") == 1


def test_a_clock_that_was_set_does_not_move_a_deadline(host: Host) -> None:
    host.applied()
    host.clock.time += 3600  # set, not gone
    host.tick()
    assert host.done()
    host.clock.boottime += 61
    host.clock.time -= 3600
    host.tick()
    assert host.done() == []


def test_nonces(files: Files, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    nonces = Nonces(str(tmp_path / "secret"), str(tmp_path / "used"), files)
    one = nonces.issue(1000, b"this")
    assert one != nonces.issue(1000, b"this")
    nonces.check(one, 1000, b"this")
    assert refused(nonces.check, one, 1000, b"that").rule == "nonce"
    assert refused(nonces.check, one[:-1] + "0" * (one[-1] != "0"), 1000, b"this").rule == "nonce"
    assert refused(nonces.check, one.upper(), 1000, b"this").rule == "nonce"
    assert refused(nonces.check, "../" + one, 1000, b"this").rule == "nonce"
    assert refused(nonces.check, one, 1000 + LIFE_S + 1, b"this").rule == "nonce-old"
    assert refused(nonces.check, one, 800, b"this").rule == "nonce-old"
    nonces.use(one, 1000)
    assert refused(nonces.use, one, 1000).rule == "nonce-used"
    assert refused(nonces.check, one, 1000, b"this").rule == "nonce-used"
    nonces.use(nonces.issue(9000, b"this"), 9000)
    assert len(os.listdir(tmp_path / "used")) == 1  # the old one is over, and may be forgotten
    Path(nonces.secret).write_bytes(b"short")
    assert refused(nonces.issue, 1, b"").rule == "secret"


def test_used_nonces_are_bounded(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many requests somebody makes and withdraws. Threats: 86."""
    monkeypatch.setattr("console.hostside.guard.state.nonces.MAX_USED", 5)
    (tmp_path / "used").mkdir()
    nonces = Nonces(str(tmp_path / "secret"), str(tmp_path / "used"), files)
    for _ in range(5):
        nonces.use(nonces.issue(1000, b""), 1000)
    assert refused(nonces.use, nonces.issue(1000, b""), 1000).rule == "nonces-full"
    nonces.use(nonces.issue(9000, b""), 9000)


def test_the_caller_is_derived(tmp_path: Path) -> None:
    blob = "AAAAC3NzaC1lZDI1NTE5AAAAIFj7m0bJJt1eXqz5Pr6fZ4f2rTq0dUwzYxv0y9y3mC0b"
    auth = tmp_path / "sshauth.x"
    auth.write_text(f"publickey ssh-ed25519 {blob}\n")
    environ = {
        "SUDO_USER": "wfops", "SUDO_UID": str(os.getuid()),
        "SSH_CONNECTION": "10.9.1.5 50000 10.9.1.2 22", "SSH_USER_AUTH": str(auth),
    }  # fmt: skip
    found = derive(environ)
    assert (found.user, found.address, found.port) == ("wfops", "10.9.1.5", 50_000)
    assert found.key == fingerprint(blob) != ""
    (tmp_path / "link").symlink_to(auth)
    for path in (str(tmp_path / "link"), str(tmp_path), "relative", "/nowhere", "/dev/zero", "/\0"):
        assert derive({**environ, "SSH_USER_AUTH": path}).key == ""
    for text in ("", "a", "10.9.1.5 5 5", "x;y 1 2 3", "10.9.1.5 -1 1 1", "10.9.1.5 ٣ 1 1"):
        assert derive({**environ, "SSH_CONNECTION": text}).port in (0, 1)
    assert derive({**environ, "SSH_CONNECTION": "FE80::1%eth0 7 fe80::2 22"}).address == "fe80::1"
    if os.geteuid() == 0:
        assert derive({**environ, "SUDO_UID": "77"}).key == fingerprint(blob)  # it is root's
        os.chown(auth, OTHER, -1)
        assert derive(environ).key == ""


def test_folders_that_others_read_are_theirs_to_enter(files: Files, tmp_path: Path) -> None:
    """The guard's own umask does not shut the probe out."""
    before = os.umask(0o077)
    try:
        files.folder(str(tmp_path / "run/public"), 0o750)
    finally:
        os.umask(before)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "run/public").stat().st_mode & 0o777 == 0o750


def test_which_calls_seem_to_be_one_console() -> None:
    def facts(address: str, port: int, key: str = "") -> dict[str, object]:
        return Caller("wfops", address, port, key).facts()

    assert same_console(facts("a", 1, "k"), facts("a", 1, "k"))
    assert same_console(facts("a", 1, "k"), facts("b", 2, "k"))
    assert same_console(facts("a", 1), facts("a", 2, "k"))
    assert not same_console(facts("a", 1, "k"), facts("a", 2, "l"))
    assert not same_console(facts("a", 1), facts("b", 1))
    assert same_connection(facts("a", 1), facts("a", 1))
    assert same_connection(facts("", 0), facts("a", 1))
    assert not same_connection(facts("a", 1), facts("a", 2))


def test_a_lock_is_one_processs(tmp_path: Path) -> None:
    handle = lock(str(tmp_path / "lock"))
    assert lock(str(tmp_path / "lock"), wait=False) == -1
    os.close(handle)
    os.close(lock(str(tmp_path / "lock"), wait=False))


def test_the_boot_id(tmp_path: Path) -> None:
    assert len(boot_id("/proc/sys/kernel/random/boot_id")) == 36
    assert refused(boot_id, str(tmp_path / "none")).rule == "boot-id"
