"""``roster install --on``: from an edited roster to a host that has it, by two people."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.cli.main import run
from console.demo.signing import ThrowAwaySigning
from console.hostside.guard.trust import canonical
from console.hostside.guard.trust.words import words
from tests.integration.test_actions_verbs import Desk
from tests.support.guardkit import key_of, person_entry

REASON = "erin has joined us, CHG-1204"


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """Two people with hardware keys made in software, for requests and for rosters."""
    made = Desk(tmp_path, monkeypatch, capsys, fido=True)
    monkeypatch.setattr(
        "console.trust.sign.KeyFileSigning",
        lambda path: ThrowAwaySigning(key_of(Path(path).name.removeprefix("sign-"))),
    )
    monkeypatch.chdir(tmp_path)
    with made.host:
        made.configure()
        made.knows()
        yield made


def roster(desk: Desk, person: str, *argv: str) -> tuple[int, str, str]:
    desk.patch.setenv("XDG_CONFIG_HOME", str(desk.folder / person))
    code = run(["roster", *argv])
    out, err = desk.capsys.readouterr()
    return code, out, err


def proposed(desk: Desk) -> Path:
    """The next roster, which has Erin in it."""
    code, out, err = roster(desk, "alice", "show", "--document")
    assert code == 0, err
    doc = json.loads(out)
    doc["people"]["erin"] = person_entry(key_of("erin"))
    Path("next.json").write_text(json.dumps(doc))
    code, out, err = roster(desk, "alice", "propose", "next.json")
    assert code == 0, err
    assert "+ erin (Somebody): responder" in out
    return desk.folder / "roster-2.json"


def signed(desk: Desk, new: Path, *people: str) -> None:
    word = words(canonical.sha256(new.read_bytes()))[0]
    for person in people:
        key = str(desk.folder / f"sign-{person}")
        code, _, err = roster(desk, "alice", "sign", new.name, "--key", key, "--word", word)
        assert code == 0, err


def installed(desk: Desk) -> bytes:
    return (desk.host.base / "etc/watchfloor/roster.json").read_bytes()


@contextlib.contextmanager
def at_a_terminal(desk: Desk, typed: str) -> Iterator[None]:
    """Standard input is a terminal on which ``typed`` has been typed."""
    master, slave = os.openpty()
    os.write(master, typed.encode())
    with os.fdopen(slave) as terminal, desk.patch.context() as patch:
        patch.setattr("sys.stdin", terminal)
        yield
    os.close(master)


@pytest.mark.parametrize("adopts", ["early", "late"])
def test_a_roster_reaches_a_host_by_two_people(desk: Desk, adopts: str) -> None:
    """``adopts``: when Bob's own console takes it over, before he approves or after."""
    before = installed(desk)
    new = proposed(desk)
    argv = ("install", new.name, "--on", "gpu01", "--reason", REASON)
    signed(desk, new, "alice", "erin")
    code, out, err = roster(desk, "alice", *argv)
    assert (code, installed(desk)) == (2, before), (out, err)  # Erin is not in the one before
    signed(desk, new, "bob")
    code, out, err = roster(desk, "alice", *argv)
    assert (code, "nothing was signed: 'gpu01' is needed" in err) == (2, True), (out, err)
    assert "roster 2 is in force on this console: signed by alice, bob" in out

    code, out, err = roster(desk, "alice", *argv, "--confirm", "gpu01")
    assert (code, out.splitlines()[-1]) == (0, "gpu01: PENDING"), err
    assert "it was in force here already" in out
    assert REASON in err
    assert installed(desk) == before, "one person alone installs nothing"

    seen = desk.waiting("bob")
    words_ = ("--words", seen["words"])
    assert (seen["action"], seen["reason"]) == ("install-roster", REASON)
    code, _, err = desk.actions("alice", "approve", seen["id"][:12], *words_)
    assert (code, "another person decides" in err) == (1, True)
    assert seen["may_approve"], seen["why_not"]
    if adopts == "early":
        code, out, err = roster(desk, "bob", "adopt", new.name)
        assert (code, "signed by alice, bob" in out) == (0, True), err
    code, out, err = desk.actions("bob", "approve", seen["id"][:12], *words_)
    assert code == 0, (out, err)
    assert installed(desk) == new.read_bytes()
    code, out, err = roster(desk, "alice", "verify", "--host", "gpu01")
    assert (code, "gpu01: the same roster" in out) == (0, True), (out, err)
    code, out, err = desk.actions("alice", "list")
    assert "install-roster DONE by alice, bob" in out
    assert "roster:" not in out, "alice's console and the host agree"
    code, out, err = desk.actions("bob", "list")
    assert ("gpu01: guard build simulated; roster:" in out) == (adopts == "late"), out
    if adopts == "late":
        code, out, err = roster(desk, "bob", "adopt", new.name)
        assert (code, "signed by alice, bob" in out) == (0, True), err
        assert "roster:" not in desk.actions("bob", "list")[1]


def test_what_is_typed_at_a_terminal_confirms_it(desk: Desk) -> None:
    new = proposed(desk)
    signed(desk, new, "alice", "bob", "erin")
    for typed, status in (("gpu02\n", 2), ("gpu01\n", 0)):
        with at_a_terminal(desk, typed):
            code, out, err = roster(
                desk, "alice", "install", new.name, "--on", "gpu0*", "--reason", REASON
            )
        assert code == status, (out, err)
    assert out.splitlines()[-1] == "gpu01: PENDING"
