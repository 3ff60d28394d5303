"""The script that installs a guard: what it says, what stands in it, what an order must be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest

from console.cli import main
from console.enroll import guardfiles as files
from console.enroll.check import Enrolment
from console.enroll.drift import check
from console.enroll.guardcheck import GuardOrder, digest, guard_order
from console.enroll.guardscript import undo_sshd
from console.enroll.remote import copies, destination
from console.enroll.removal import remove
from console.enroll.script import install
from console.errors import UsageError
from console.hostside.guard.trust import canonical
from console.model.host import Host
from tests.support.guardkit import key_of, person_entry, policy_doc, roster_doc
from tests.support.sshd import free_port, make_key, need_openssh

LOGIN = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t"
MONITOR = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBixhZYv2JF9BUSm5YkSwRylqOCBXmOCxpc7fWGEapn1"
SHELLS = [shell for shell in ("dash", "bash", "sh") if shutil.which(shell)]
GUARD = GuardOrder(
    guard=b"#!/usr/bin/python3 -ISB\nPK\x03\x04" + bytes(range(256)),
    roster=canonical.write(roster_doc()), policy=canonical.write(policy_doc()),
    operator_keys=(LOGIN,), operator_sources=("10.9.1.0/24",),
)  # fmt: skip


def order(tier: int = 2) -> Enrolment:
    return Enrolment(host="gpu01", tier=tier, keys=(MONITOR,), sources=("10.9.1.5",))


def heredoc(script: str, path: str) -> str:
    """What the script writes to ``path``."""
    pattern = rf">'{re.escape(path)}\.new' <<'WATCHFLOOR_END'\n(.*?)WATCHFLOOR_END\n"
    found = re.findall(pattern, script, re.S)
    assert len(found) == 1, path
    return str(found[0])


SCRIPTS: dict[str, str] = {
    "install 0": install(order(0), None, GUARD), "install 1": install(order(1), None, GUARD),
    "install 2": install(order(2), None, GUARD), "check 0": check(order(0), None, GUARD),
    "check 1": check(order(1), None, GUARD), "check 2": check(order(2), None, GUARD),
    "check without": check(order(), None), "remove": remove("gpu01"), "undo": undo_sshd(),
}  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_shells_can_parse_it(shell: str, name: str) -> None:
    script = SCRIPTS[name]
    done = subprocess.run(
        [shell, "-n"], input=script, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    last = script.rstrip().splitlines()[-1]
    assert last in ("main", 'main "$@"'), "what was cut on its way runs nothing"


def test_the_head_tells_all_that_it_does() -> None:
    head = install(order(), None, GUARD).split("set -eu")[0]
    for text in (files.GUARD, files.OPERATOR, files.SUDOERS_FILE, files.SSHD_FILE, files.KEYS,
                 digest(GUARD.guard), digest(GUARD.roster), digest(GUARD.policy)):  # fmt: skip
        assert text in head
    assert "neither sshd's configuration" not in head
    assert max(map(len, head.splitlines())) <= 100


def test_the_bytes_of_guard_roster_and_policy_are_in_it() -> None:
    script = install(order(), None, GUARD)
    for path, data in (
        (files.GUARD, GUARD.guard),
        (f"{files.STATE}/roster.first", GUARD.roster),
        (f"{files.STATE}/policy.first", GUARD.policy),
    ):
        assert b64decode(heredoc(script, path)) == data


def test_nothing_is_changed_before_everything_was_asked() -> None:
    script = install(order(), None, GUARD)
    before = script[: script.index("# An account that no enrolment made")]
    assert not re.search(r"^\s*(?:rm|userdel|usermod|install|systemctl|mv|chmod) ", before, re.M)
    for said in ("sshd -t", "visudo -c", "is missing", "Include"):
        assert said in before


def test_keys_count_only_when_all_else_is_there() -> None:
    """sshd reads the folder of keys only by the drop-in, which is the last thing that is written;
    it is tested before the reload."""
    script = install(order(), None, GUARD)
    places = [
        script.index(text)
        for text in (f"mv {files.GUARD}.new",
                     f"mv {files.SUDOERS_FILE}.new", f"'{files.KEYS}/wfops.new'",
                     f">'{files.SSHD_FILE}.new'", "said=$(sshd -t", "must wfops",
                     "if ! reload_sshd")
    ]  # fmt: skip
    assert places == sorted(places)


def test_operators_and_monitor_are_bound_each_to_one_program() -> None:
    script = install(order(), None, GUARD)
    assert heredoc(script, f"{files.KEYS}/wfops") == (
        f'restrict,from="10.9.1.0/24",command="{files.SUDO}" {LOGIN} watchfloor\n'
    )
    config = heredoc(script, files.SSHD_FILE)
    operator, monitor = config.split("Match User wfmon")
    for part in (operator, monitor):
        for line in ("AuthenticationMethods publickey", "DisableForwarding yes", "PermitTTY no",
                     f"AuthorizedKeysFile {files.KEYS}/%u", "PermitUserRC no"):  # fmt: skip
            assert f"    {line}\n" in part
    assert f"    ForceCommand {files.SUDO}\n" in operator
    assert "ExposeAuthInfo yes" in operator
    assert "verify-required" not in config, "a login identifies nobody and must cost no touch"
    assert "relay.py" in monitor
    assert (
        "ForceCommand"
        not in heredoc(install(order(0), None, GUARD), files.SSHD_FILE).split("Match User wfmon")[1]
    )


def test_visudo_takes_the_rule_without_a_word(tmp_path: Path) -> None:
    """visudo says "parsed OK" also of settings that it does not know: it must say nothing else."""
    visudo = shutil.which("visudo", path="/usr/sbin:/usr/bin")
    if visudo is None:
        pytest.skip("needs sudo")
    file = tmp_path / "rule"
    file.write_text(files.SUDOERS)
    file.chmod(0o440)
    done = subprocess.run([visudo, "-cf", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}: parsed OK\n", "")


def test_an_order_is_made_of_files(tmp_path: Path) -> None:
    (tmp_path / "roster.json").write_bytes(GUARD.roster)
    (tmp_path / "policy.json").write_bytes(GUARD.policy)
    login = make_key(tmp_path / "login")
    given = (tmp_path / "roster.json", tmp_path / "policy.json", [Path(f"{login.path}.pub")])
    made, warnings = guard_order(b"x", *given, [])
    assert made.operator_keys == (" ".join(login.public.split()[:2]),)
    assert (made.operator_sources, warnings) == (("10.9.1.0/24",), [])
    _, warnings = guard_order(b"x", *given, ["10.9.1.7", "192.0.2.0/24", "bastion.example.org"])
    assert len(warnings) == 2
    assert "192.0.2.0/24 is outside mgmt_networks" in warnings[0]


def test_what_would_lock_everybody_out_is_no_order(tmp_path: Path) -> None:
    login = Path(f"{make_key(tmp_path / 'login').path}.pub")
    policy = tmp_path / "policy.json"
    policy.write_bytes(GUARD.policy)
    roster = tmp_path / "roster.json"

    def tried(doc: dict[str, object], *keys: Path) -> str:
        roster.write_bytes(canonical.write(doc))
        with pytest.raises(UsageError) as caught:
            guard_order(b"x", roster, policy, list(keys), [])
        return str(caught.value)

    assert "no operator can log in" in tried(roster_doc())
    alone = {"alice": person_entry(key_of("alice"))}
    assert "fewer than two people may approve" in tried(roster_doc(people=alone), login)
    signing = tmp_path / "signing.pub"
    signing.write_text(key_of("alice").public_line + "\n")
    assert "a signing key of the roster is given as a login key" in tried(roster_doc(), signing)
    roster.write_text("{}")
    with pytest.raises(UsageError, match="is no roster"):
        guard_order(b"x", roster, policy, [login], [])


def test_a_key_for_two_people_is_no_roster_to_enrol(tmp_path: Path) -> None:
    people = {name: person_entry(key_of("alice")) for name in ("alice", "bob")}
    (tmp_path / "roster.json").write_bytes(canonical.write(roster_doc(people=people)))
    (tmp_path / "policy.json").write_bytes(GUARD.policy)
    login = Path(f"{make_key(tmp_path / 'login').path}.pub")
    with pytest.raises(UsageError, match="one key is listed for"):
        guard_order(b"x", tmp_path / "roster.json", tmp_path / "policy.json", [login], [])


def test_signatures_beside_a_roster_go_to_the_host(tmp_path: Path) -> None:
    (tmp_path / "roster.json").write_bytes(GUARD.roster)
    (tmp_path / "policy.json").write_bytes(GUARD.policy)
    (tmp_path / "roster.sigs").write_text(json.dumps({"signatures": ["one"], "adopted": 5}))
    login = Path(f"{make_key(tmp_path / 'login').path}.pub")
    made, _ = guard_order(b"x", tmp_path / "roster.json", tmp_path / "policy.json", [login], [])
    assert made.roster_signatures == ("one",)
    written = b64decode(heredoc(install(order(), None, made), f"{files.ETC}/roster.sigs"))
    assert json.loads(written) == {"signatures": ["one"]}


@pytest.mark.parametrize(
    "text", ["host", "-oProxyCommand=x@h", "a@-h", "a b@h", "a@h;id", "a@h\n", "@h", "a@"]
)
def test_a_login_is_admin_at_host(text: str) -> None:
    with pytest.raises(UsageError):
        destination(text)
    assert destination("admin@gpu01.example.org") == "admin@gpu01.example.org"


def test_a_key_of_another_host_of_the_inventory_is_found() -> None:
    """A copied machine shows the key of the first one. Threats: 4."""
    hosts = [
        Host(name="gpu01", address="a", host_key=(MONITOR,)),
        Host(name="gpu02", address="b", host_key=(f"{MONITOR} comment",)),
        Host(name="gpu03", address="c"),
    ]
    assert copies(f"{MONITOR} root@gpu01\n", "gpu01", hosts) == ["gpu02"]
    assert copies("ssh-ed25519 AAAA other\n", "gpu01", hosts) == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--roster", "x.json"], "need --guard"),
        (["--operator-key", "x.pub"], "need --guard"),
        (["--remove", "--check"], "exclude each other"),
        (["--guard", "--key", "KEY"], "has no roster of its own"),
        (["--remove", "--as", "root"], "is not ADMIN@HOST"),
        (["--remove", "--as", "-oProxyCommand=x@h"], "expected one argument"),
    ],
)
def test_mistakes_of_the_command_line_are_said(
    argv: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    key = f"{make_key(tmp_path / 'key').path}.pub"
    words = [key if word == "KEY" else word for word in argv]
    if "expected" in said:
        with pytest.raises(SystemExit, match="2"):
            main.run(["enroll", "gpu01", *words])
    else:
        assert main.run(["enroll", "gpu01", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_host_that_cannot_be_reached_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    need_openssh()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "ssh_config"
    config.write_text(f"Host *\n  Port {free_port()}\n  BatchMode yes\n")
    argv = ["enroll", "gpu01", "--remove", "--as", "admin@127.0.0.1", "--ssh-config", str(config)]
    assert main.run(argv) == 1
    assert "cannot be logged in to; nothing was changed" in capfd.readouterr().err
