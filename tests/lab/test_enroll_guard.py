"""A guard enrolled on a real host: who reaches it and how, drift, lock-outs that do not happen."""

from __future__ import annotations

import hashlib
import json
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.enroll.guardfiles import GUARD, SSHD_FILE, SUDOERS_FILE
from console.enroll.remote import enrol
from console.errors import ConnectError, UsageError
from console.model.host import Host
from tests.support.guardlab import GuardLab
from tests.support.lab import LabHost, LabUnavailable, wait_until
from tests.support.sshd import KeyPair, make_key

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

PLACES = ("etc", "usr/lib", "usr/libexec", "var/lib", "run/watchfloor", "run/systemd/system")
THEIRS = {"etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/.pwd.lock"}


class Lab:
    """One host, enrolled; a picture of it from before; and an administrator."""

    def __init__(self, guarded: GuardLab) -> None:
        self.guarded = guarded
        self.host: LabHost = guarded.hosts[0]
        self.before: set[str] = set()
        self.admin: KeyPair = make_key(guarded.folder / "admin")

    def picture(self) -> set[str]:
        found = set()
        for place in PLACES:
            base = self.host.root / place
            found |= {str(path.relative_to(self.host.root)) for path in base.rglob("*")}
        return found - THEIRS

    def wfops(
        self, *argv: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the host as the operators' account, as one who broke out would."""
        words = [f"{name}={value}" for name, value in (env or {}).items()]
        return self.host.run(
            "runuser", "-u", "wfops", "--", "env", *words, *argv, check=False, stdin=""
        )

    def enrolled_again(self) -> None:
        self.guarded.enroll(self.host)


class Probe:
    """The probe's stream over the monitor's login."""

    def __init__(self, guarded: GuardLab, host: LabHost) -> None:
        argv = guarded.ssh_argv(host, "wfmon", guarded.monitor)
        self._ssh = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, verb: str) -> None:
        assert self._ssh.stdin is not None
        self._ssh.stdin.write(verb.encode() + b"\n")
        self._ssh.stdin.flush()

    def until(self, found: Callable[[dict[str, Any]], Any]) -> Any:
        assert self._ssh.stdout is not None
        for line in self._ssh.stdout:
            if (value := found(json.loads(line))) is not None:
                return value
        raise AssertionError("the stream ended")

    def close(self) -> None:
        self._ssh.kill()
        self._ssh.communicate()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """lab21 with its guard."""
    folder = tmp_path_factory.mktemp("guard")
    try:
        host = LabHost(21).__enter__()
    except LabUnavailable as why:
        pytest.skip(f"no lab host: {why}")
    try:
        found = Lab(GuardLab([host], folder))
        host.add_account("admin", found.admin.public)
        sudoers = host.root / "etc/sudoers.d/admin"
        sudoers.write_text("admin ALL=(ALL) NOPASSWD: ALL\n")
        sudoers.chmod(0o440)
        found.before = found.picture()
        found.enrolled_again()
        found.guarded.write_config()
        yield found
    finally:
        host.close()


def test_an_operator_reaches_the_guard_and_nothing_else(lab: Lab, tmp_path: Path) -> None:
    """Whatever is asked for, the guard answers, or nothing does. Threats: 71."""
    guarded, host = lab.guarded, lab.host
    key = guarded.logins["alice"]
    assert guarded.call(host, {"op": "status"})["ok"]
    status = b'{"op":"status"}'
    for asked in (("bash",), ("cat", "/etc/shadow"), ("sudo", "-n", "id"), ("sftp",)):
        answer = json.loads(guarded.ssh(host, "wfops", key, *asked, stdin=status).stdout)
        assert answer["ok"], asked
    terminal = guarded.ssh(host, "wfops", key, flags=("-tt",), stdin=status)
    assert b"PTY allocation request failed" in terminal.stderr
    refused = guarded.ssh(host, "wfops", key, flags=("-s",), stdin=b"\0\0\0\5\1\0\0\0\3")
    assert b"SSH-" not in refused.stdout
    assert b"sftp" not in refused.stdout
    for flag, port in (("-L", "18111:127.0.0.1:22"), ("-R", "18112:127.0.0.1:22"), ("-D", "18113")):
        flags = ("-o", "ExitOnForwardFailure=yes", flag, port)
        done = guarded.ssh(host, "wfops", key, flags=flags, stdin=status)
        if flag == "-R":
            assert done.returncode == 255
        listening = host.run("ss", "-Hltn").stdout
        assert "1811" not in listening
    through = guarded.ssh(host, "wfops", key, flags=("-W", "127.0.0.1:22"))
    assert b"administratively prohibited" in through.stderr
    agent = guarded.ssh(host, "wfops", key, flags=("-A",), stdin=status)
    assert json.loads(agent.stdout)["ok"]
    assert not list((host.root / "tmp").glob("ssh-*"))


def test_the_monitor_s_key_does_not_reach_the_guard(lab: Lab) -> None:
    """Neither by asking for it, nor as the account, nor as the operators' account. Threats: 72."""
    guarded, host = lab.guarded, lab.host
    asked = guarded.ssh(host, "wfmon", guarded.monitor, "sudo", "-n", GUARD)
    assert b'"hello"' in asked.stdout, "it reaches the probe, whatever it asks for"
    direct = host.run("runuser", "-u", "wfmon", "--", "sudo", "-n", GUARD, check=False)
    assert (direct.returncode, "a password is required" in direct.stderr) == (1, True)
    other = guarded.ssh(host, "wfops", guarded.monitor)
    assert other.returncode == 255
    assert b"Permission denied" in other.stderr
    back = guarded.ssh(host, "wfmon", guarded.logins["alice"])
    assert b"Permission denied" in back.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("sudo", "-n", GUARD, "tick"),
        ("sudo", "-n", GUARD, "install-roster", "/tmp/roster.json"),
        ("sudo", "-n", GUARD, ""),
        ("sudo", "-n", "-E", GUARD),
        ("sudo", "-n", "PYTHONPATH=/tmp", GUARD),
        ("sudo", "-n", "LD_PRELOAD=/tmp/x.so", GUARD),
        ("sudo", "-n", "-C", "10", GUARD),
        ("sudo", "-n", "-u", "wfmon", GUARD),
        ("sudo", "-n", "-g", "shadow", GUARD),
        ("sudo", "-n", "bash"),
        ("sudo", "-n", "-s"),
        ("sudo", "-n", "/usr/bin/python3", GUARD),
        ("sudo", "-n", "/tmp/other"),
        ("sudo", "-n", "-e", "/etc/watchfloor/roster.json"),
    ],
)
def test_sudo_starts_the_guard_without_arguments_only(lab: Lab, argv: tuple[str, ...]) -> None:
    """What an operator's account could try from a shell, if it ever had one. Threats: 73."""
    lab.host.run("ln", "-sfn", GUARD, "/tmp/other")
    done = lab.wfops(*argv)
    assert done.returncode == 1
    assert '"ok":' not in done.stdout
    said = ("password is required", "not allowed", "not permitted", "you may not", "preserve")
    assert any(text in done.stderr for text in said), done.stderr


def test_a_link_to_the_guard_starts_the_guard_s_own_path(lab: Lab) -> None:
    """A link that is turned meanwhile changes nothing. Threats: 73.

    sudo compares a link of the same name by what it leads to, and starts the path of its own rule.
    """
    host = lab.host
    host.run("ln", "-sfn", GUARD, "/tmp/guard")
    caller = subprocess.Popen(
        ["nsenter", "--target", str(host.init_pid), "--all", "--",
         "runuser", "-u", "wfops", "--", "sudo", "-n", "/tmp/guard"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        own = ["/usr/bin/python3", "-ISB", GUARD]
        shown = host.run("ps", "-eo", "args").stdout
        wait_until(lambda: " ".join(own) in host.run("ps", "-eo", "args").stdout, 10, shown)
        assert "-ISB /tmp/guard" not in host.run("ps", "-eo", "args").stdout
    finally:
        out, _ = caller.communicate(b'{"op":"status"}', timeout=30)
    assert json.loads(out)["ok"]


def test_the_environment_steers_nothing(lab: Lab, tmp_path: Path) -> None:
    """Programs and modules of the caller are not found; nothing of theirs runs. Threats: 74."""
    evil = lab.host.root / "tmp/evil"
    evil.mkdir(exist_ok=True)
    for name in ("nft", "ssh-keygen", "systemctl", "python3", "sitecustomize.py", "json.py"):
        (evil / name).write_text("#!/bin/sh\ntouch /tmp/evil/ran\n# \nraise SystemExit(77)\n")
        (evil / name).chmod(0o755)
    (evil / "startup.sh").write_text("touch /tmp/evil/ran\n")
    evil.chmod(0o777)
    places = {
        "PATH": "/tmp/evil:/usr/bin:/bin", "PYTHONPATH": "/tmp/evil", "PYTHONHOME": "/tmp/evil",
        "LD_PRELOAD": "/tmp/evil/x.so", "LD_LIBRARY_PATH": "/tmp/evil", "LC_ALL": "xx_XX",
        "BASH_ENV": "/tmp/evil/startup.sh", "ENV": "/tmp/evil/startup.sh",
        "PYTHONSTARTUP": "/tmp/evil/json.py", "PYTHONINSPECT": "1", "SUDO_USER": "root",
    }  # fmt: skip
    words = [f"{name}={value}" for name, value in places.items() if name != "LD_PRELOAD"]
    argv = ("runuser", "-u", "wfops", "--", "env", *words, "/usr/bin/sudo", "-n", GUARD)
    done = lab.host.run(*argv, check=False, stdin='{"op":"status"}')
    assert json.loads(done.stdout)["ok"], done.stderr
    sent = {name: value for name, value in places.items() if name != "PATH"}
    flags = tuple(word for name in sent for word in ("-o", f"SendEnv={name}"))
    key = lab.guarded.logins["bob"]
    over = lab.guarded.ssh(
        lab.host, "wfops", key, flags=flags, stdin=b'{"op":"status"}',
        env={name: value for name, value in sent.items() if not name.startswith(("LD_", "PYTHON"))},
    )  # fmt: skip
    assert json.loads(over.stdout)["ok"]
    assert not (evil / "ran").exists()


def test_enrolling_again_changes_nothing_that_stands(lab: Lab) -> None:
    """Identity, secret, audit key, roster and log stay; what is written is the same again."""
    names = (
        "etc/watchfloor/identity.json", "etc/watchfloor/roster.json",
        "var/lib/watchfloor/guard/secret", "var/lib/watchfloor/guard/audit/audit_key",
        GUARD[1:], SSHD_FILE[1:], SUDOERS_FILE[1:], "etc/ssh/watchfloor_keys/wfops",
    )  # fmt: skip
    read = {name: (lab.host.root / name).read_bytes() for name in names}
    log = (lab.host.root / "var/lib/watchfloor/guard/audit/log.jsonl").read_bytes()
    said = lab.guarded.enroll(lab.host)
    assert {name: (lab.host.root / name).read_bytes() for name in names} == read
    assert (lab.host.root / "var/lib/watchfloor/guard/audit/log.jsonl").read_bytes().startswith(log)
    for word in ("guard", "roster", "policy", "host_id", "audit"):
        assert f"  {word} " in said
    assert f'guard_id = "{lab.guarded.host_id(lab.host)}"' in said
    first = [json.loads(line)["ev"] for line in log.splitlines()[:2]]
    assert first == ["root_install_roster", "root_install_policy"]


def test_another_roster_is_not_installed_by_an_enrolment(lab: Lab, tmp_path: Path) -> None:
    guarded = lab.guarded
    script = guarded.printed(lab.host, *guarded.options())
    other = script.replace(
        "same /etc/watchfloor/roster.json ", "same /etc/watchfloor/roster.json 0"
    )
    before = lab.picture()
    done = guarded.run_script(lab.host, other, check=False)
    assert done.returncode == 1
    assert "nothing was changed: /etc/watchfloor/roster.json is another one" in done.stderr
    assert lab.picture() - before <= {"root/script"}


def test_an_enrolment_without_the_guard_does_not_take_the_console_s_key(lab: Lab) -> None:
    plain = lab.guarded.printed(lab.host, "--key", f"{lab.guarded.monitor.path}.pub")
    done = lab.guarded.run_script(lab.host, plain, check=False)
    assert done.returncode == 1
    assert "this host has a guard" in done.stderr
    assert b'"hello"' in lab.guarded.ssh(lab.host, "wfmon", lab.guarded.monitor).stdout


TAMPERED = {
    "guard": (f"echo >>{GUARD}", f"differs: {GUARD}: its contents"),
    "sudoers": (f"echo 'wfops ALL=(ALL) NOPASSWD: ALL' >>{SUDOERS_FILE}", "may run something else"),
    "sudo elsewhere": ("echo 'wfmon ALL=(ALL) NOPASSWD: /bin/id' >/etc/sudoers.d/more",
                       "differs: sudo: wfmon may run something"),
    "sshd": ("printf 'Match User wfops\\n PermitTTY yes\\n' >/etc/ssh/sshd_config.d/0-more.conf",
             "differs: sshd: for wfops not 'permittty no'"),
    "key": ("echo >>/etc/ssh/watchfloor_keys/wfops", "differs: /etc/ssh/watchfloor_keys/wfops"),
    "roster": ("echo >>/etc/watchfloor/roster.json", "differs: /etc/watchfloor/roster.json"),
    "mode": ("chmod 0666 /etc/watchfloor/policy.json", "policy.json: root:root 666, and should"),
    "state": ("chmod 0755 /var/lib/watchfloor/guard/audit", "should be root:root 700"),
    "group": ("usermod -aG sudo wfops", "differs: account wfops: in the group sudo"),
    "password": ("usermod -p '$6$x$y' wfmon", "differs: account wfmon: it has a password"),
    "timer": ("systemctl disable --now watchfloor-tick.timer", "watchfloor-tick.timer: not"),
    "probe": ("echo >>/usr/lib/watchfloor/start.py", "differs: /usr/lib/watchfloor/start.py"),
}  # fmt: skip


def test_every_drift_is_found(lab: Lab) -> None:
    guarded, host = lab.guarded, lab.host
    install = guarded.printed(host, *guarded.options())
    check = guarded.printed(host, "--check", *guarded.options())
    guarded.run_script(host, install)
    clean = guarded.run_script(host, check, check=False)
    assert (clean.returncode, clean.stdout) == (
        0, f"as enrolled: tier 2, guard {guarded.host_id(host)}\n",
    )  # fmt: skip
    roster = (host.root / "etc/watchfloor/roster.json").read_bytes()
    for name, (command, said) in TAMPERED.items():
        host.run("sh", "-c", command)
        done = guarded.run_script(host, check, check=False)
        assert done.returncode == 1, name
        assert said in done.stdout, (name, done.stdout, done.stderr)
        host.run("sh", "-c", "rm -f /etc/sudoers.d/more /etc/ssh/sshd_config.d/0-more.conf;"
                 " gpasswd -d wfops sudo", check=False)  # fmt: skip
        (host.root / "etc/watchfloor/roster.json").write_bytes(roster)
        guarded.run_script(host, install)
        mended = guarded.run_script(host, check, check=False)
        assert mended.returncode == 0, (name, mended.stdout)


def test_a_setting_that_wins_over_ours_is_found_and_nobody_is_locked_out(lab: Lab) -> None:
    guarded, host = lab.guarded, lab.host
    script = guarded.printed(host, *guarded.options())
    there = (host.root / SSHD_FILE[1:]).read_text()
    other = host.root / "etc/ssh/sshd_config.d/0-site.conf"
    other.write_text("Match User wfops\n    ForceCommand /bin/false\n")
    try:
        done = guarded.run_script(host, script, check=False)
        assert done.returncode == 1
        assert "sshd would not use 'forcecommand /usr/bin/sudo" in done.stderr
        assert (host.root / SSHD_FILE[1:]).read_text() == there
    finally:
        other.unlink()
    assert guarded.call(host, {"op": "status"})["ok"]
    assert guarded.ssh(host, "admin", lab.admin, "true").returncode == 0


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        (
            "etc/ssh/sshd_config.d/zz.conf",
            "NoSuchSetting yes\n",
            "sshd's configuration is not valid",
        ),
        ("etc/sudoers.d/zz", "this is no rule\n", "sudo's configuration is not valid"),
    ],
)
def test_what_was_broken_before_is_left_alone(lab: Lab, path: str, text: str, said: str) -> None:
    guarded, host = lab.guarded, lab.host
    script = guarded.printed(host, *guarded.options())
    broken = host.root / path
    broken.write_text(text)
    broken.chmod(0o440)
    try:
        before = lab.picture()
        done = guarded.run_script(host, script, check=False)
        assert done.returncode == 1
        assert f"nothing was changed: {said}" in done.stderr
        assert lab.picture() == before
    finally:
        broken.unlink()


def ssh_config(lab: Lab) -> Path:
    path = lab.guarded.folder / "ssh_config"
    path.write_text(
        f"Host *\n  IdentityFile {lab.admin.path}\n  IdentitiesOnly yes\n  BatchMode yes\n"
    )
    return path


def inventory(lab: Lab, *more: Host) -> list[Host]:
    host = lab.host
    own = Host(name=host.name, address=host.address, host_key=(host.host_key_line,))
    return [own, *more]


def test_an_administrator_enrols_and_checks_over_ssh(lab: Lab) -> None:
    guarded, host = lab.guarded, lab.host
    argv = ("--config", str(guarded.config), "enroll", host.name, *guarded.options(),
            "--as", f"admin@{host.address}", "--ssh-config", str(ssh_config(lab)))  # fmt: skip
    done = guarded.watchfloor(*argv)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is enrolled at tier 2" in done.stdout
    assert "pinned here: host id" in done.stdout
    checked = guarded.watchfloor(*argv, "--check")
    assert (checked.returncode, "as enrolled" in checked.stdout) == (0, True), checked.stdout
    host.run("chmod", "0600", "/etc/ssh/watchfloor_keys/wfops")
    assert guarded.watchfloor(*argv, "--check").returncode == 1
    assert guarded.watchfloor(*argv).returncode == 0
    assert guarded.watchfloor(*argv, "--check").returncode == 0


def test_a_host_with_another_host_s_key_is_not_enrolled(lab: Lab) -> None:
    """A copy of a machine answers with the key of the first one. Threats: 4."""
    other = Host(name="gpu02", address="192.0.2.1", host_key=(lab.host.host_key_line,))
    marked = "touch /root/it-ran\n"
    with pytest.raises(UsageError, match="has the host key of gpu02"):
        enrol(f"admin@{lab.host.address}", lab.host.name, marked, inventory(lab, other),
              changes=True, config=ssh_config(lab))  # fmt: skip
    assert not (lab.host.root / "root/it-ran").exists()


def test_a_script_after_which_nobody_logs_in_is_taken_back(lab: Lab) -> None:
    """The first connection is still open, and puts back what sshd read before."""
    host = lab.host
    there = (host.root / SSHD_FILE[1:]).read_text()
    script = (
        f"cp -p {SSHD_FILE} {SSHD_FILE}.before\n"
        f"printf 'Match User admin\\n  AuthorizedKeysFile none\\n' >>{SSHD_FILE}\n"
        "systemctl reload ssh\n"
    )
    with pytest.raises(ConnectError, match="put back, and logins work"):
        enrol(f"admin@{host.address}", host.name, script, inventory(lab), changes=True,
              config=ssh_config(lab))  # fmt: skip
    assert (host.root / SSHD_FILE[1:]).read_text() == there
    assert lab.guarded.ssh(host, "admin", lab.admin, "true").returncode == 0


@pytest.mark.parametrize("tier", [1, 2])
def test_a_request_of_one_is_seen_by_the_probe_and_carried_out_by_nobody(
    lab: Lab, tier: int
) -> None:
    """What the guard publishes reaches the console's account at tiers 1 and 2."""
    guarded, host = lab.guarded, lab.host
    guarded.enroll(host, tier)
    params = {"confirm_s": 60, "mgmt": [f"10.213.{host.number}.0/30"]}
    envelope = guarded.request(host, "isolate", params)
    answer = guarded.call(host, envelope)
    assert (answer["ok"], answer["state"]) == (True, "PENDING"), answer
    listed = Probe(guarded, host)
    try:
        docs = listed.until(lambda frame: frame.get("guard"))
        kinds = [doc["kind"] for doc in docs]
        assert {"request", "state", "checkpoint", "tail"} == set(kinds)
        pending = docs[kinds.index("request")]
        listed.say(f"guard-doc {pending['sha256']}")
        document = listed.until(lambda frame: frame.get("doc"))
        told = json.loads(b64decode(document["b64"]))
        assert (told["request"], told["signature"]) == (envelope["request"], envelope["signature"])
        listed.say("guard-doc " + "0" * 64)
        assert listed.until(lambda frame: frame.get("doc"))["error"] == "no such document"
    finally:
        listed.close()
    unit = "watchfloor-tick.service"
    wait_until(
        lambda: host.run("systemctl", "show", "-p", "ConditionResult", unit).stdout.strip()
        == "ConditionResult=yes",
        25, "the timer looks at what waits",
    )  # fmt: skip
    now = int(host.run("date", "+%s").stdout)
    decision = guarded.decision(envelope["request"], "bob", now, verdict="deny")
    denied = guarded.call(host, decision, person="bob")
    assert (denied["ok"], denied["state"]) == (True, "CLOSED"), denied


def test_a_roster_that_root_changed_on_the_host_is_found_by_the_console(lab: Lab) -> None:
    """Root's own way in is logged by the guard, and shown as another one here. Threats: 81, 100."""
    guarded, host = lab.guarded, lab.host
    for kind in ("roster", "policy"):
        begun = guarded.watchfloor(kind, "init", str(guarded.folder / f"{kind}.json"))
        assert begun.returncode == 0, begun.stderr
    argv = ("--config", str(guarded.config), "roster", "verify", "--host", host.name)
    same = guarded.watchfloor(*argv)
    assert (same.returncode, f"{host.name}: the same roster" in same.stdout) == (0, True), (
        same.stderr
    )
    weaker = guarded.roster.replace(b'"break":["isolate"]', b'"break":["*"]')
    assert weaker != guarded.roster
    (host.root / "root/weaker.json").write_bytes(weaker)
    try:
        done = host.run(GUARD, "install-roster", "/root/weaker.json")
        assert json.loads(done.stdout)["ok"]
        log = (host.root / "var/lib/watchfloor/guard/audit/log.jsonl").read_text().splitlines()
        assert json.loads(log[-1])["ev"] == "root_install_roster"
        told = guarded.watchfloor(*argv)
        assert (told.returncode, "ANOTHER roster" in told.stdout) == (1, True), told.stdout
        assert guarded.call(host, {"op": "chain"})["roster"][1]["text"].encode() == guarded.roster
    finally:
        host.run("tee", "/root/roster.json", stdin=guarded.roster.decode())
        host.run(GUARD, "install-roster", "/root/roster.json")
    assert guarded.watchfloor(*argv).returncode == 0


def test_a_roster_goes_from_a_proposal_to_the_host_by_two_people(lab: Lab) -> None:
    """Signed by two, adopted here, asked for by one and approved by another on the host."""
    guarded, host = lab.guarded, lab.host
    shown = guarded.watchfloor("roster", "show", "--document")
    doc = json.loads(shown.stdout)
    doc["people"]["carol"]["keys"][0]["revoked"] = 1_700_000_000
    (guarded.folder / "next.json").write_text(json.dumps(doc))
    proposed = guarded.watchfloor("roster", "propose", "next.json")
    assert "revoked 2023-11-14" in proposed.stdout, proposed.stderr
    new = (guarded.folder / "roster-2.json").read_bytes()
    signatures = [guarded.sign(person, "roster", new) for person in ("alice", "bob")]
    for number, text in enumerate(signatures):
        (guarded.folder / f"roster-2.json.{number}.sig").write_text(text)
    installed = guarded.watchfloor("roster", "install", "roster-2.json")
    assert "roster 2 is in force on this console: signed by alice, bob" in installed.stdout
    argv = ("--config", str(guarded.config), "roster", "verify", "--host", host.name)
    assert "OLDER: roster-1" in guarded.watchfloor(*argv).stdout
    payload = {"data": b64encode(new).decode(), "signatures": signatures}
    params = {"sha256": hashlib.sha256(new).hexdigest()}
    envelope = guarded.request(host, "install-roster", params)
    answer = guarded.call(host, {**envelope, "payload": payload})
    assert (answer["ok"], answer.get("state")) == (True, "PENDING"), answer
    now = int(host.run("date", "+%s").stdout)
    done = guarded.call(host, guarded.decision(envelope["request"], "bob", now), person="bob")
    assert (done["ok"], done.get("state")) == (True, "DONE"), done
    same = guarded.watchfloor(*argv)
    assert (same.returncode, "the same roster" in same.stdout) == (0, True), same.stdout
    assert (host.root / "etc/watchfloor/chain/roster-1.json").read_bytes() == guarded.roster


def test_removal_takes_everything_and_keeps_the_evidence(lab: Lab) -> None:
    guarded, host = lab.guarded, lab.host
    script = guarded.printed(host, "--remove")
    standing = host.root / "var/lib/watchfloor/guard/standing" / ("a" * 64)
    standing.write_text("{}")
    refused = guarded.run_script(host, script, check=False)
    assert (refused.returncode, "an action is in force here" in refused.stderr) == (1, True)
    assert (host.root / GUARD[1:]).exists()
    standing.unlink()
    log = (host.root / "var/lib/watchfloor/guard/audit/log.jsonl").read_bytes()
    done = guarded.run_script(host, script)
    (kept,) = (host.root / "var/lib/watchfloor-kept").iterdir()
    assert str(kept.name) in done.stdout
    assert (kept / "guard/audit/log.jsonl").read_bytes() == log
    left = {path for path in lab.picture() - lab.before if "watchfloor-kept" not in path}
    assert left == set()
    passwd = (host.root / "etc/passwd").read_text()
    assert not any(name in passwd for name in ("wfops", "wfmon", "wfsensor"))
    assert host.run("sshd", "-t", check=False).returncode == 0
    assert guarded.ssh(host, "admin", lab.admin, "true").returncode == 0
