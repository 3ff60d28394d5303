"""``watchfloor actions`` with two people, key files and plain ssh-keygen, over a real sshd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.cli.main import run
from console.demo.signing import ThrowAwaySigning
from console.hostside.guard.trust import canonical
from console.trust.chain import Chain
from tests.support.actionpath import GuardedHost, path_policy
from tests.support.guardkit import ROLES, key_of, roster_doc
from tests.support.sshd import KeyPair, keygen, make_key

PEOPLE = ("alice", "bob")
ISOLATE = ("isolate", "-p", "mgmt=127.0.0.0/8", "--reason", "beaconing, INC-4711")


class Desk:
    """Two people's configurations for one host, and the verb as each of them runs it."""

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, capsys: Any, *, fido: bool = False
    ) -> None:
        """``fido``: their keys are hardware keys made in software, and the policy asks for PINs."""
        self.fido = fido
        self.folder = folder
        self.patch = patch
        self.capsys = capsys
        self.keys = {person: make_key(folder / f"sign-{person}") for person in PEOPLE}
        self.policy = path_policy(require_uv=fido)
        if fido:
            self.patch.setattr(
                "console.engine.operator.KeyFileSigning",
                lambda path: ThrowAwaySigning(key_of(Path(path).name.removeprefix("sign-"))),
            )
        self.host = GuardedHost(folder / "gpu01", "gpu01", self.policy)
        self.host.install("roster", self.roster())

    def roster(self) -> dict[str, Any]:
        """Key files for both, or hardware keys."""
        if self.fido:
            return roster_doc()
        return {
            "kind": "roster", "v": 1, "serial": 1, "prev": "", "quorum": 2, "roles": ROLES,
            "people": {person: self._person(key) for person, key in self.keys.items()},
        }  # fmt: skip

    def _person(self, key: KeyPair) -> dict[str, Any]:
        pub = " ".join(key.public.split()[:2])
        entry = {"pub": pub, "id": "file-1", "not_before": 0, "not_after": 0, "revoked": 0,
                 "hardware": "not-proven"}  # fmt: skip
        return {"name": "Somebody", "roles": ["responder"], "attrs": {}, "when": {},
                "keys": [entry]}  # fmt: skip

    def configure(self) -> None:
        """Write both configurations."""
        host = self.host.host()
        for person in PEOPLE:
            home = self.folder / person / "watchfloor"
            home.mkdir(parents=True)
            (home / "config.toml").write_text(
                f"workstation = false\nstate_dir = '{self.folder / person / 'state'}'\n"
                f"[operator]\nperson = '{person}'\nsigning_key = '{self.keys[person].path}'\n"
                f"login_key = '{self.host.login.path}'\nlogin_user = '{host.user}'\n"
                f"[[hosts]]\nname = 'gpu01'\naddress = '{host.address}'\nport = {host.port}\n"
                f"user = '{host.user}'\nkey = '{host.key}'\ntier = 2\n"
                f"host_key = '{host.host_key[0]}'\nguard_id = '{host.guard_id}'\n"
            )
            (home / "config.toml").chmod(0o600)
            chain = Chain(home / "trust")
            chain.begin("roster", canonical.write(self.roster()))
            chain.begin("policy", canonical.write(self.policy))

    def knows(self) -> None:
        """Let consoles know this simulated guard, as the demo's do."""
        builds = {self.host.digest: "simulated"}
        self.patch.setattr("console.engine.operator.Builds", lambda: builds)

    def actions(self, person: str, *argv: str) -> tuple[int, str, str]:
        """One command line of that person: exit status, data and narration."""
        self.patch.setenv("XDG_CONFIG_HOME", str(self.folder / person))
        code = run(["actions", *argv])
        out, err = self.capsys.readouterr()
        return code, out, err

    def waiting(self, person: str) -> dict[str, Any]:
        """The one request that waits, as that person sees it."""
        code, out, _ = self.actions(person, "list", "--json")
        assert code == 0
        (found,) = json.loads(out)["hosts"]["gpu01"]["requests"]
        assert isinstance(found, dict)
        return found


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    made = Desk(tmp_path, monkeypatch, capsys)
    with made.host:
        made.configure()
        yield made


@pytest.fixture
def fido_desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    made = Desk(tmp_path, monkeypatch, capsys, fido=True)
    with made.host:
        made.configure()
        made.knows()
        yield made


def test_two_people_from_request_to_a_standing_isolation(desk: Desk) -> None:
    desk.knows()
    code, out, err = desk.actions("alice", "preview", *ISOLATE[:3])
    assert code == 0, err
    assert "effect, as this console reckons it" in out
    assert "gpu01 says (nothing here can check it)" in out
    code, _, err = desk.actions("alice", "request", *ISOLATE)
    assert (code, "nothing was signed" in err) == (2, True)  # never a default yes
    code, _, err = desk.actions("alice", "request", *ISOLATE, "--confirm", "gpu02")
    assert code == 2
    code, out, err = desk.actions("alice", "request", *ISOLATE, "--confirm", "gpu01")
    assert (code, out) == (0, "gpu01: PENDING\n"), err

    seen = desk.waiting("bob")
    assert seen["verified"], seen["why_not_verified"]
    assert seen["may_approve"], seen["why_not"]
    rid = seen["id"]
    code, out, _ = desk.actions("bob", "show", rid[:12])
    lines = out.splitlines()
    assert lines[0].startswith("isolate on gpu01")
    assert lines[-1] == "reason: beaconing, INC-4711"  # last, so that nothing hides behind it
    places = [out.index(text) for text in ("stays reachable from", "effect, as", "six words")]
    assert places == sorted(places)  # parameters first
    assert seen["words"] in out
    code, _, err = desk.actions("bob", "approve", rid[:12])
    assert (code, "nothing was signed" in err) == (2, True)
    code, _, err = desk.actions("bob", "approve", rid[:12], "--words", "one two three")
    assert code == 2
    code, _, err = desk.actions("alice", "approve", rid[:12], "--words", seen["words"])
    assert (code, "another person decides" in err) == (1, True)
    code, out, err = desk.actions("bob", "approve", rid[:12], "--words", seen["words"])
    assert code == 0, err
    assert "can still be reached after isolate; it is STANDING" in out
    code, out, _ = desk.actions("alice", "list")
    assert "isolate STANDING by alice, bob" in out

    # What opens a host again asks for a PIN, which a key file cannot prove.
    code, _, err = desk.actions("alice", "release", rid[:12], "--comment", "clean",
                                "--confirm", "gpu01")  # fmt: skip
    assert (code, "cannot prove that a person was there" in err) == (1, True)


def test_a_decision_is_signed_elsewhere_by_plain_ssh_keygen(desk: Desk, tmp_path: Path) -> None:
    desk.knows()
    code, _, err = desk.actions("alice", "request", *ISOLATE, "--confirm", "gpu01")
    assert code == 0, err
    rid = desk.waiting("alice")["id"]
    folder = tmp_path / "stick"
    code, out, err = desk.actions("alice", "export", rid[:12], str(folder), "--by", "bob")
    assert code == 0, err
    assert "ssh-keygen -Y sign -n approval-v1@watchfloor -f KEY approval.json" in out
    assert canonical.sha256((folder / "request.json").read_bytes()) == rid
    code, _, err = desk.actions("alice", "import", str(folder))
    assert code == 1  # nobody has signed it yet
    keygen("-Y", "sign", "-n", "approval-v1@watchfloor", "-f", str(desk.keys["bob"].path),
           str(folder / "approval.json"))  # fmt: skip
    forged = folder / "forged.json"
    forged.write_bytes((folder / "approval.json").read_bytes().replace(b"approve", b"deny"))
    Path(f"{forged}.sig").write_bytes(Path(f"{folder}/approval.json.sig").read_bytes())
    code, _, err = desk.actions("alice", "import", str(forged))
    assert (code, "not genuine" in err) == (1, True)
    code, out, err = desk.actions("alice", "import", str(folder))
    assert code == 0, err
    assert "can still be reached" in out


def test_a_saved_request_goes_on_where_a_host_was_not_reached(desk: Desk, tmp_path: Path) -> None:
    desk.knows()
    saved = tmp_path / "request.json"
    calls = desk.host.lines()
    count = tmp_path / "count"
    # The first call, a challenge, is answered; the second finds the way closed.
    desk.host.sshd.authorize(*desk.host.lines(
        f"/bin/sh -c 'if [ -e {count} ]; then exit 7; fi; touch {count}; exec {desk.host.guard}'"
    ))  # fmt: skip
    code, out, err = desk.actions(
        "alice", "request", *ISOLATE, "--confirm", "gpu01", "--save", str(saved)
    )
    assert (code, "refused (link)" in out) == (1, True), err
    desk.host.sshd.authorize(*calls)
    code, out, err = desk.actions("alice", "request", "--resume", str(saved))
    assert (code, out) == (0, "gpu01: PENDING\n"), err
    code, _, err = desk.actions("alice", "request", "--resume", str(saved))
    assert (code, "answered already" in err) == (0, True)


def test_what_this_console_must_not_do_is_refused_with_what_to_do(desk: Desk) -> None:
    """A real console knows no simulated guard; read-only and SSH sessions sign nothing.
    Threats: 31, 82."""
    code, out, err = desk.actions("alice", "preview", *ISOLATE[:3])
    assert (code, "a build that this console does not know" in out) == (1, True)
    code, _, err = desk.actions("alice", "preview", "--set", "read_only=true", *ISOLATE[:3])
    assert (code, "read-only" in err) == (1, True)
    desk.patch.setenv("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22")
    code, _, err = desk.actions("alice", "preview", *ISOLATE[:3])
    assert (code, "allow_ssh" in err) == (1, True)
    code, out, err = desk.actions("alice", "list")
    assert code == 0
    assert "nothing can be signed here" in err


def test_a_denial_ends_a_request(desk: Desk) -> None:
    """Whoever may approve denies it, once the words were compared, and never their own."""
    desk.knows()
    code, _, err = desk.actions("alice", "request", *ISOLATE, "--confirm", "gpu01")
    assert code == 0, err
    seen = desk.waiting("bob")
    rid = seen["id"][:12]
    code, _, err = desk.actions("bob", "deny", rid)
    assert (code, "nothing was signed" in err) == (2, True)
    code, _, err = desk.actions("alice", "deny", rid, "--words", seen["words"])
    assert (code, "another person decides" in err) == (1, True)
    code, out, err = desk.actions("bob", "deny", rid, "--words", seen["words"],
                                  "--comment", "gpu01 is not beaconing")  # fmt: skip
    assert (code, out) == (0, "gpu01: CLOSED\n"), err
    code, _, err = desk.actions("bob", "approve", rid, "--words", seen["words"])
    assert (code, "no such request waits" in err) == (2, True)
    code, out, _ = desk.actions("alice", "list", "--json")
    (closed,) = json.loads(out)["hosts"]["gpu01"]["closed"]
    assert (closed["id"], closed["state"]) == (seen["id"], "CLOSED")
    assert "bob" in closed["why"]


def test_a_request_is_withdrawn_by_who_made_it(desk: Desk) -> None:
    desk.knows()
    code, _, err = desk.actions("alice", "request", *ISOLATE, "--confirm", "gpu01")
    assert code == 0, err
    rid = desk.waiting("alice")["id"]
    for person, text in (("bob", rid[:12]), ("alice", rid[:5]), ("alice", "0" * 12)):
        code, out, err = desk.actions(person, "cancel", text)
        assert code != 0, (person, out, err)
    code, out, err = desk.actions("alice", "cancel", rid[:12], "--comment", "wrong host")
    assert (code, out) == (0, "gpu01: CLOSED\n"), err
    code, out, err = desk.actions("alice", "cancel", rid[:12])
    assert (code, "no such request waits" in err) == (2, True)


DELETE = ("secure-delete", "-p", "path=/srv/models/llama/versions/0.9", "-p", "device=64769",
          "-p", "inode=1311", "-p", "kind=tree")  # fmt: skip


def test_an_approved_deletion_is_started_by_its_requester(fido_desk: Desk) -> None:
    """What is read before each signature says in capitals what is lost."""
    desk = fido_desk
    code, out, err = desk.actions("alice", "preview", *DELETE)
    assert code == 0, err
    assert "THE FOLDER AND ALL THAT IS IN IT IS LOST FOR EVER" in out
    code, _, err = desk.actions("alice", "request", *DELETE, "--reason", "poisoned weights",
                                "--confirm", "gpu01")  # fmt: skip
    assert code == 0, err
    assert "THERE IS NO WAY BACK" in err
    seen = desk.waiting("alice")
    rid, words = seen["id"][:12], ("--words", seen["words"])
    code, _, err = desk.actions("alice", "start", rid, *words)
    assert (code, "not approved yet" in err) == (1, True)
    code, out, err = desk.actions("bob", "approve", rid, *words)
    assert (code, out) == (0, "gpu01: APPROVED\n"), err
    code, _, err = desk.actions("bob", "start", rid, *words)
    assert (code, "not yours to start" in err) == (1, True)
    code, _, err = desk.actions("alice", "start", rid)
    assert (code, "nothing was signed" in err) == (2, True)
    code, out, err = desk.actions("alice", "start", rid, *words)
    assert code == 0, err
    assert out.startswith("gpu01: ")
    code, _, err = desk.actions("alice", "start", rid, *words)
    assert code != 0


def test_a_break_glass_is_reviewed_on_the_command_line(fido_desk: Desk) -> None:
    desk = fido_desk
    why = "beaconing to 203.0.113.9, and nobody else answers the phone at this hour"
    code, out, err = desk.actions("alice", "request", *ISOLATE[:3], "--reason", why,
                                  "--mode", "break_glass", "--confirm", "gpu01")  # fmt: skip
    assert code == 0, err
    code, out, err = desk.actions("bob", "list", "--json")
    guard = json.loads(out)["hosts"]["gpu01"]
    ((person, rid),) = guard["unreviewed"]
    assert person == "alice"
    code, _, err = desk.actions("bob", "review", rid[:12])
    assert (code, "needs a comment" in err) == (1, True)
    code, out, err = desk.actions("alice", "review", rid[:12], "--comment", "all was well")
    assert (code, "same-person" in out) == (1, True), err
    code, _, err = desk.actions("bob", "review", "0" * 12, "--comment", "what is this")
    assert (code, "not one that stands" in err) == (2, True)
    code, out, err = desk.actions("bob", "review", rid[:12], "--comment", "I saw it too")
    assert code == 0, err
    code, out, err = desk.actions("bob", "list", "--json")
    assert json.loads(out)["hosts"]["gpu01"]["unreviewed"] == []
