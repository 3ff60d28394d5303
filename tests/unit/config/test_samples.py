"""Every sample configuration loads with the real loader, and is what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from console.config.document import HostEntry
from console.config.loader import load
from console.config.warn import findings
from console.resources import shipped
from tests.support.sshd import make_key

SAMPLES = sorted(shipped("sample_configs").glob("*.toml"))


def copied(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "sample.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def test_there_are_samples() -> None:
    assert [path.stem for path in SAMPLES] == ["fleet", "minimal", "starter"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_lacks_only_the_files_of_keys(tmp_path: Path, sample: Path) -> None:
    config = load(only_file=copied(tmp_path, sample.read_text(encoding="utf-8")))
    told = [text for text in findings(config) if "no such file" not in text]
    assert told == []
    assert config.hosts or sample.stem == "starter"


def test_the_fleet_shows_every_key_of_a_host() -> None:
    text = next(path for path in SAMPLES if path.stem == "fleet").read_text(encoding="utf-8")
    named = set(re.findall(r"^(\w+) = ", text, re.MULTILINE))
    assert set(HostEntry.__struct_fields__) - named == set()


def test_the_comments_of_the_starter_are_valid_when_put_in_force(tmp_path: Path) -> None:
    text = next(path for path in SAMPLES if path.stem == "starter").read_text(encoding="utf-8")
    public = " ".join(make_key(tmp_path / "key").public.split()[:2])
    text = re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)
    config = load(only_file=copied(tmp_path, text.replace("ssh-ed25519 AAAA...", public)))
    assert len(config.hosts) == 130
    assert config.known["node007"].jump == ("bastion",)
