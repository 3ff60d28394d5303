"""docs/configuration.md names every key with its values and its default, and its examples load."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from console.config.loader import load
from tests.support.pages import block_names, configuration_blocks, rewrite, with_blocks
from tests.support.sshd import make_key

PAGE = Path(__file__).resolve().parents[3] / "docs/configuration.md"


def test_the_tables_follow_from_the_types(pytestconfig: pytest.Config) -> None:
    """``pytest tests/unit/config/test_page.py --update-golden`` writes the tables anew."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = configuration_blocks()
    assert sorted(block_names(text)) == sorted(blocks)
    want = with_blocks(text, blocks)
    if pytestconfig.getoption("--update-golden"):
        rewrite(PAGE, want)
        text = want
    assert text == want


def test_the_examples_load(tmp_path: Path) -> None:
    public = " ".join(make_key(tmp_path / "key").public.split()[:2])
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 4
    for number, example in enumerate(examples):
        text = example.replace("ssh-ed25519 AAAA...", public)
        file = tmp_path / f"{number}.toml"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
        hosts = load(only_file=file).hosts
        assert len(hosts) >= len(tomllib.loads(text).get("hosts", ()))
