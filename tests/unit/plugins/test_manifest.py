"""A plugin's folder: what is pinned, and what is refused before anything of it runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from console.config.document import Plugin
from console.engine.plugins import child, manifest, process, protocol, supervise
from console.engine.plugins.manifest import MAX_BYTES, digest, find, folders, read
from console.engine.plugins.trial import trial
from console.errors import PluginError
from console.model.panel import Row
from console.resources import shipped
from tests.support.plugins import doing, write
from tests.support.scripted import host


def test_the_digest_is_of_names_and_bytes_and_of_nothing_else(tmp_path: Path) -> None:
    folder = write(tmp_path, doing("x = 1"))
    first = read(folder).sha256
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/main.pyc").write_bytes(b"x")
    (folder / ".git").mkdir()
    (folder / ".git/config").write_bytes(b"x")
    os.utime(folder / "main.py", (1, 1))
    assert read(folder).sha256 == first
    assert set(read(folder).files) == {"main.py", "plugin.toml"}
    (folder / "more.py").write_text("", encoding="utf-8")
    second = read(folder).sha256
    (folder / "more.py").rename(folder / "else.py")
    third = read(folder).sha256
    (folder / "else.py").write_text("x", encoding="utf-8")
    assert len({first, second, third, read(folder).sha256}) == 4


def test_no_two_folders_have_one_digest_by_moving_bytes_between_names_and_files() -> None:
    one = {"a": b"bc", "d": b""}
    others = [{"ab": b"c", "d": b""}, {"a": b"bcd"}, {"a": b"", "d": b"bc"}, {"a": b"b", "d": b"c"}]
    assert digest(one) not in [digest(other) for other in others]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("api = 2", "version 2 of the plugin interface"),
        ("api = 'x'", "is wrong"),
        ("nonsense", "is wrong"),
        ("color = 1", "is wrong"),
        ("name = 'other'", "the folder is 'trial'"),
        ("kinds = []", "kinds must be"),
        ("kinds = ['panel', 'shell']", "kinds must be"),
        ("entry = 'main'", "entry must be"),
        ("entry = '../x:P'", "entry must be"),
        ("entry = 'gone:P'", "gone.py, which is not there"),
        ('words = "a\\u001b[2J"', "cannot be shown"),
        ("[asks]\nconnect = ['evil.example:80']", "is not ADDRESS:PORT"),
        ("[asks]\nconnect = ['127.0.0.1']", "is not ADDRESS:PORT"),
        ("[asks]\nfiles = ['/']", "is wrong"),
    ],
)
def test_a_wrong_manifest_is_named(tmp_path: Path, line: str, reason: str) -> None:
    folder = write(tmp_path, doing("x = 1"))
    text = (
        'name = "trial"\nversion = "1"\napi = 1\nkinds = ["panel"]\nentry = "main:P"\nwords = ""\n'
    )
    key = line.partition(" ")[0]
    kept = [one for one in text.splitlines() if not one.startswith(f"{key} ")]
    (folder / "plugin.toml").write_text("\n".join([*kept, line]), encoding="utf-8")
    with pytest.raises(PluginError, match=reason) as caught:
        read(folder)
    assert "plugin.toml" in caught.value.where


def test_links_pipes_and_giants_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, doing("x = 1"))
    (folder / "key.py").symlink_to("/etc/passwd")
    with pytest.raises(PluginError, match=r"key\.py"):
        read(folder)
    (folder / "key.py").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(PluginError, match="not a regular file"):
        read(folder)
    (folder / "pipe").unlink()
    (folder / "big.py").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(PluginError, match="larger than"):
        read(folder)
    (folder / "big.py").unlink()
    (folder / "a b\x1b.py").write_bytes(b"")
    with pytest.raises(PluginError, match="strange name"):
        read(folder)


def test_a_plugin_of_the_user_never_hides_one_that_ships(tmp_path: Path) -> None:
    write(tmp_path, doing("x = 1"), name="prometheus")
    write(tmp_path, doing("x = 1"), name="mine")
    found = folders([shipped("plugins"), tmp_path])
    assert found["prometheus"] == shipped("plugins") / "prometheus"
    assert found["mine"] == tmp_path / "mine"
    assert find("mine", [tmp_path]).name == "mine"
    with pytest.raises(PluginError, match="no plugin is called"):
        find("gone", [tmp_path])


def test_every_plugin_that_ships_can_be_read() -> None:
    for folder in folders([shipped("plugins")]).values():
        assert read(folder).manifest.words


def test_the_plugin_of_the_page_is_a_plugin(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/plugins.md").read_text(encoding="utf-8")
    told = next(b for b in page.split("```toml\n")[1:] if b.startswith('name = "hello"'))
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "plugin.toml").write_text(told.partition("```")[0], encoding="utf-8")
    code = page.split("```python\n")[1].partition("```")[0]
    (folder / "main.py").write_text(code, encoding="utf-8")
    found = asyncio.run(trial(read(folder), Plugin(), [host("gpu01")], workstation=False))
    (panel,) = found.panels
    assert panel.items[0] == Row(label="said", value="hello, gpu01")
    assert [sample.value for sample in found.samples] == [2.0]


def test_the_limits_of_the_page_are_those_in_force() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/plugins.md").read_text(encoding="utf-8")
    for words in (
        f"{manifest.MAX_FILES}, {manifest.MAX_BYTES >> 20} MiB together",
        f"{process.START_S:.0f} s, {process.ANSWER_S:.0f} s |",
        f"{protocol.MAX_LINE >> 10} KiB; {protocol.MAX_PANELS} panels and "
        f"{protocol.MAX_SAMPLES} numbers a host; {protocol.MAX_ITEMS} lines a panel",
        f"{supervise.MAX_SERIES} names",
        f"{child.MEMORY >> 20} MiB of address space",
        f"{process.CPU_START_S:.0f} s, and {process.CPU_SHARE:.0%} of a core",
        f"| open files | {child.FILES} |",
        f"{process.PRINTED >> 10} KiB a second",
        "after 1, 5, 30, 120 and 600 s",
        f"at most {protocol.MAX_HOSTS} at once",
    ):
        assert words in page, words
    assert supervise.PAUSES == (1, 5, 30, 120, 600)
