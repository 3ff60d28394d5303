"""The pages say what is there: links lead somewhere, commands exist, samples load."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from console.config.loader import load

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks/README.md"])


def help_of(*verbs: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console", *verbs, "--help"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [
        target
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text)
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not missing


def test_every_command_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"watchfloor ((?:[a-z]+ ?)+)", text))
    verbs = {tuple(words.split()) for words in named}
    assert {("status",), ("config", "init"), ("hosts", "trust", "gpu")} <= verbs
    top = help_of().stdout
    for words in verbs:
        assert words[0] in top, words
        deeper = words[1:2] if words[0] in ("config", "hosts") else ()
        done = help_of(words[0], *deeper)
        assert done.returncode == 0, (words, done.stderr)


def test_exit_codes_are_in_the_help() -> None:
    for verb in ((), ("status",), ("watch",)):
        text = help_of(*verb).stdout
        assert re.search(r"0\s+all", text), verb
        assert re.search(r"2\s+usage", text), verb


def test_the_host_of_the_readme_is_a_valid_inventory(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sample = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert sample
    key = tmp_path / "host"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(argv, check=True)
    public = " ".join((tmp_path / "host.pub").read_text().split()[:2])
    file = tmp_path / "fleet.toml"
    file.write_text(sample[1].replace("ssh-ed25519 AAAA...", public), encoding="utf-8")
    hosts = load(only_file=file, env={}, cwd=tmp_path).hosts
    assert [host.name for host in hosts] == ["gpu01"]
