"""``watchfloor manifest``: made here, signed by plain ssh-keygen, believed by a host."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from console.cli.main import run
from console.hostside.guard.model import manifest
from console.hostside.guard.model.folders import Folder
from console.hostside.guard.place import Place
from console.hostside.guard.trust import canonical
from console.hostside.guard.world import World
from tests.support import guardkit


class Keys:
    """A key file of Erin's, and a roster that has it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "erin"
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.file)]
        subprocess.run(argv, check=True)
        line = " ".join(self.file.with_suffix(".pub").read_text().split()[:2])
        doc = guardkit.roster_doc()
        doc["people"]["erin"] = guardkit.person_entry(guardkit.key_of("erin"))
        doc["people"]["erin"]["keys"][0]["pub"] = line
        self.etc = folder / "base/etc/watchfloor"
        self.etc.mkdir(parents=True)
        self.roster = self.etc / "roster.json"
        self.roster.write_bytes(canonical.write(doc))
        self.roster.chmod(0o600)
        (self.etc / "policy.json").write_bytes(guardkit.policy(require_uv=False).data)
        self.world = World(Place(str(folder / "base")))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/.config"))
    folder = tmp_path / "llama/versions/7"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"w" * 3_000_000)
    (folder / "tokenizer/vocab.txt").write_text("a b")
    return folder


def test_the_printed_command_makes_a_signature_that_a_host_believes(
    version: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["manifest", "make", str(version)]) == 0
    command = capsys.readouterr().out.splitlines()[-1].strip()
    argv = shlex.split(command.replace("-f KEY", f"-f {keys.file}"))
    subprocess.run(argv, check=True, capture_output=True, cwd="/")
    with Folder(str(version)) as at:
        found = manifest.trusted(at, "llama", "7", manifest.PROMOTE, keys.world)
        manifest.check(at, found.doc, keys.world.progress)
    assert found.by == "erin"
    assert run(["manifest", "verify", str(version), "--roster", str(keys.roster)]) == 0
    out = capsys.readouterr().out
    assert "llama 7: 2 files, 3000003 bytes" in out
    assert "signed by erin (SHA256:" in out


def test_signed_here_with_its_evaluation(
    version: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ["--key", str(keys.file)]
    assert run(["manifest", "make", str(version), *key]) == 0
    metrics = ["--metric", "accuracy_e4=9120", "--metric", "loss=-7"]
    assert run(["manifest", "evaluate", str(version), *metrics, *key]) == 0
    assert run(["manifest", "verify", str(version), "--roster", str(keys.roster)]) == 0
    out = capsys.readouterr().out
    assert "accuracy_e4 9120 (0.912)\n" in out
    assert "loss -7\n" in out
    with Folder(str(version)) as at:
        known = manifest.trusted(at, "llama", "7", manifest.PROMOTE, keys.world)
        report = manifest.trusted_evaluation(at, known, keys.world)
    assert report.doc["metrics"] == {"accuracy_e4": 9120, "loss": -7}


def test_one_changed_byte_is_found(
    version: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["manifest", "make", str(version), "--key", str(keys.file)]) == 0
    (version / "weights.bin").write_bytes(b"w" * 2_999_999 + b"x")
    assert run(["manifest", "verify", str(version), "--roster", str(keys.roster)]) == 1
    assert "weights.bin is not what the manifest says" in capsys.readouterr().err


def test_without_a_roster_the_key_is_told_and_nothing_is_vouched_for(
    version: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["manifest", "make", str(version), "--key", str(keys.file)]) == 0
    assert run(["manifest", "verify", str(version)]) == 1
    assert "which no roster here names" in capsys.readouterr().out


def test_made_anew_the_old_signature_is_gone(version: Path, keys: Keys) -> None:
    assert run(["manifest", "make", str(version), "--key", str(keys.file)]) == 0
    assert run(["manifest", "make", str(version)]) == 0
    assert not (version / "MANIFEST.json.sig").exists()


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["make", "/nowhere/at/all", "--model", "a", "--version", "1"], 2),
        (["make", "."], 2),
        (["evaluate", ".", "--metric", "accuracy=5"], 1),
        (["evaluate", ".", "--metric", "accuracy=0.5"], 2),
        (["evaluate", ".", "--metric", "accuracy=nan"], 2),
        (["evaluate", ".", "--metric", "accuracy"], 2),
        (["verify", "."], 1),
    ],
)
def test_a_mistake_is_said_and_is_no_defect(
    tmp_path: Path,
    argv: list[str],
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run(["manifest", *argv]) == code
    assert "watchfloor:" in capsys.readouterr().err
