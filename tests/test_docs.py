"""The pages say what is there: links lead somewhere, commands exist, samples load."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from console.config.loader import load
from console.enroll.check import Enrolment
from console.enroll.script import install
from console.hostside.probe import declared, openers
from console.hostside.probe.inventory import models
from console.hostside.probe.place import Place

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


def test_every_module_of_the_architecture_exists_and_no_room_is_left_out() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tables = text.split("### Modules of the console")[1].split("## Decisions")[0]
    rows = re.findall(r"^\| (`.*?) \|", tables, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([\w/]+)`", row)]
    assert not [name for name in named if not (ROOT / f"console/{name}.py").is_file()]
    assert len(named) == len(set(named))
    rooms = {path.parent.name for path in ROOT.glob("console/*/__init__.py")}
    assert rooms <= {name.split("/")[0] for name in named}


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


def test_the_example_of_what_a_host_declares_is_understood_whole(tmp_path: Path) -> None:
    text = (ROOT / "docs/probe-json.md").read_text(encoding="utf-8")
    sample = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert sample
    file = tmp_path / "etc/watchfloor/probe.json"
    file.parent.mkdir(parents=True, mode=0o755)
    file.write_text(sample[1], encoding="utf-8")
    file.chmod(0o644)
    found = declared.load(Place(root=str(tmp_path)), owner=os.geteuid())
    assert found.error == ""
    raw = json.loads(sample[1])
    assert [source["kind"] for source in found.sources] == ["vllm", "triton", "directory"]
    for given, kept in zip(raw["sources"], found.sources, strict=True):
        assert {key: kept[key] for key in given} == given
    assert set(raw["weights"]) | {source["path"] for source in raw["sources"]} == set(found.weights)
    assert list(found.identifiers) == raw["identifiers"]


def test_the_page_of_what_a_host_declares_names_every_key_and_limit() -> None:
    text = (ROOT / "docs/probe-json.md").read_text(encoding="utf-8")
    keys = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert keys == {"sources", "weights", "identifiers", "series", *declared._TEXTS}
    assert f"the first {declared.MAX_ITEMS} " in text
    assert f"at most {declared.MAX_SIZE >> 10} KiB" in text
    assert f"{openers.MAX_FILES:,} entries" in text
    assert f"At most {models.MAX_VERSIONS} versions" in text
    script = install(Enrolment(host="a", tier=1, keys=(), sources=()), None)
    assert "docs/probe-json.md" in script


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
