"""``watchfloor roster`` and ``policy``: from two key files to a chain that every console shares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.cli import main
from console.hostside.guard.trust import canonical
from console.hostside.guard.trust.documents import NAMESPACES
from console.hostside.guard.trust.words import words
from tests.support.guardkit import key_of, policy_doc, roster_doc
from tests.support.sshd import make_key, need_openssh
from tests.unit.trust.test_attestation import CHALLENGE, KEY, attestation


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("WATCHFLOOR_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def begun() -> None:
    Path("r1.json").write_bytes(canonical.write(roster_doc()))
    Path("p1.json").write_bytes(canonical.write(policy_doc()))
    assert main.run(["roster", "init", "r1.json"]) == 0
    assert main.run(["policy", "init", "p1.json"]) == 0


def proposed(kind: str, capsys: pytest.CaptureFixture[str], **changes: object) -> Path:
    capsys.readouterr()
    assert main.run([kind, "show", "--document"]) == 0
    doc = {**json.loads(capsys.readouterr().out), **changes}
    Path("next.json").write_text(json.dumps(doc, indent=4))
    assert main.run([kind, "propose", "next.json"]) == 0
    return Path(f"{kind}-2.json")


def first_word(path: Path) -> str:
    return words(canonical.sha256(path.read_bytes()))[0]


def test_a_policy_is_changed_by_two_signatures(
    begun: None, capsys: pytest.CaptureFixture[str]
) -> None:
    new = proposed("policy", capsys, max_targets=4)
    told = capsys.readouterr().out
    assert "~ max_targets: 16 becomes 4" in told
    assert "2 of alice, bob, carol" in told
    assert f"ssh-keygen -Y sign -n policy-v1@watchfloor -f KEY {new}" in told
    assert main.run(["policy", "install", str(new)]) == 2, "nobody has signed it"
    for person in ("alice", "carol"):
        text = key_of(person).sign(new.read_bytes(), NAMESPACES["policy"])
        Path(f"{new}.{person}.sig").write_text(text)
    capsys.readouterr()
    assert main.run(["policy", "install", str(new)]) == 0
    assert "policy 2 is in force on this console: signed by alice, carol" in capsys.readouterr().out
    assert main.run(["policy", "verify"]) == 0
    assert "2 in the chain, all verified" in capsys.readouterr().out
    assert main.run(["policy", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["serial"], shown["document"]["max_targets"]) == (2, 4)


def test_ssh_keygen_signs_after_the_word_was_typed(
    begun: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    need_openssh()
    key = make_key(tmp_path / "key")
    new = proposed("policy", capsys, max_targets=4)
    assert main.run(["policy", "sign", str(new), "--key", str(key.path), "--word", "wrong"]) == 2
    assert main.run(["policy", "sign", str(new), "--key", str(key.path)]) == 2, "no terminal here"
    assert list(tmp_path.glob("*.sig")) == []
    argv = ["policy", "sign", str(new), "--key", str(key.path), "--word", first_word(new)]
    assert main.run(argv) == 0
    (signature,) = tmp_path.glob("policy-2.json.*.sig")
    assert signature.read_text().startswith("-----BEGIN SSH SIGNATURE-----\n")
    capsys.readouterr()
    assert main.run(["policy", "install", str(new)]) == 2
    assert "is not in this host's roster" in capsys.readouterr().err


def test_new_people_are_told_by_their_keys(begun: None, capsys: pytest.CaptureFixture[str]) -> None:
    people = roster_doc()["people"]
    people["erin"] = {**people["bob"], "name": "Erin", "keys": [
        {**people["bob"]["keys"][0], "pub": key_of("erin").public_line}]}  # fmt: skip
    del people["dave"]
    proposed("roster", capsys, people=people)
    told = capsys.readouterr().out
    assert "+ erin (Erin): responder" in told
    assert key_of("erin").fingerprint in told
    assert "- dave (Somebody): watcher" in told
    assert "and the new key key-0 of erin" in told


def test_a_first_roster_is_made_of_key_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for person in ("alice", "bob"):
        Path(f"{person}.pub").write_text(key_of(person).public_line + " comment\n")
    people = [f"--person={name}={name}.pub" for name in ("alice", "bob")]
    assert main.run(["roster", "init", *people]) == 0
    told = capsys.readouterr()
    assert "2 people change it" in told.out
    assert "hardware key, not proven" in told.out
    assert told.err == ""
    assert main.run(["roster", "init", *people]) == 2
    assert "has a roster already" in capsys.readouterr().err
    assert main.run(["policy", "init", "--mgmt", "10.9.1.0/24"]) == 0
    assert main.run(["roster", "verify"]) == 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["roster", "init"], "name either a FILE or --person"),
        (["roster", "init", "--person", "alice"], "is not NAME=FILE.pub"),
        (["roster", "show"], "has no roster of its own"),
        (["policy", "init", "--mgmt", "0.0.0.0/0"], "so wide"),
        (["policy", "init", "--mgmt", "10.9.1.1/24"], "no network"),
        (["roster", "init", "/nonexistent"], "No such file"),
    ],
)
def test_mistakes_are_said(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(argv) == 2
    assert said in capsys.readouterr().err


def test_an_attestation_is_judged_and_the_key_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Path("key.pub").write_text(KEY.public_line + "\n")
    Path("att").write_bytes(attestation())
    Path("challenge").write_bytes(CHALLENGE)
    argv = ["roster", "attest", "key.pub", "--attestation", "att", "--challenge", "challenge",
            "--id", "yubi-1"]  # fmt: skip
    assert main.run(argv) == 1, "no maker was given"
    told = capsys.readouterr()
    entry = json.loads(told.out)
    assert (entry["hardware"], entry["id"]) == ("not-proven", "yubi-1")
    assert "none of the makers" in told.err


def test_a_roster_alone_is_shown_and_what_is_missing_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("r1.json").write_bytes(canonical.write(roster_doc()))
    assert main.run(["roster", "init", "r1.json"]) == 0
    assert main.run(["roster", "show"]) == 0
    assert main.run(["roster", "verify"]) == 0
    assert "roster 1 is in force here" in capsys.readouterr().out
    for verb in (["policy", "show"], ["enroll", "gpu01", "--print", "--tier", "2", "--guard",
                                      "--key", "none.pub", "--from", "10.0.0.5"]):  # fmt: skip
        if verb[0] == "enroll":
            make_key(Path("none"))
        assert main.run(verb) == 2
        said = capsys.readouterr().err
        assert "has no policy of its own" in said
        assert "watchfloor policy init --mgmt" in said


def test_validate_warns_of_a_signer_whom_the_roster_does_not_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_key(Path("login"))

    def told(person: str, key: str) -> str:
        file = Path("own.toml")
        file.write_text(f'[operator]\nperson = "{person}"\nsigning_key = "{key}"\n')
        file.chmod(0o600)
        assert main.run(["config", "validate", str(file)]) == 0
        return capsys.readouterr().err

    assert "[operator]: nothing can be signed: " in told("alice", "login")
    make_key(Path("second"))
    both = ["--person", "mara=login.pub", "--person", "zora=second.pub"]
    assert main.run(["roster", "init", *both]) == 0
    capsys.readouterr()
    assert told("mara", str(Path("login").absolute())) == ""
    assert "zoe is nobody of this console's roster (mara, zora)" in told("zoe", "")
    make_key(Path("other"))
    other = told("mara", str(Path("other").absolute()))
    assert "is in nobody's entry of this console's roster" in other
    assert "signing_key is that of mara, and not of zoe" in told(
        "zoe", str(Path("login").absolute())
    )
    assert "cannot be read" in told("mara", "nowhere")
