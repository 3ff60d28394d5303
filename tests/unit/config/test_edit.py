"""Storing a host key changes nothing else, and leaves a whole file whatever happens."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from console.config.edit import store_host_key, write_new
from console.config.loader import Config, load
from console.errors import ConfigError
from tests.support.sshd import make_key

ROOT = Path(__file__).resolve().parents[3]
TEXT = """\
# My fleet.
[[hosts]]
name = "gpu01"   # the first
address = "10.0.0.1"

[[hosts]]
name = "n[1-3]"  # a range
address = "{name}"

[ui]
title = "x" # last
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three public key lines without comments."""
    folder = tmp_path_factory.mktemp("keys")
    keys = [make_key(folder / name).public for name in ("one", "two", "three")]
    return [" ".join(key.split()[:2]) for key in keys]


def fleet(tmp_path: Path, text: str = TEXT) -> Config:
    file = tmp_path / "fleet.toml"
    file.write_bytes(text.encode())
    file.chmod(0o640)
    return load(only_file=file)


def keys(tmp_path: Path, name: str) -> tuple[str, ...]:
    return load(only_file=tmp_path / "fleet.toml").known[name].host_key


def test_a_lone_host_gets_it_in_its_own_element(tmp_path: Path, lines: list[str]) -> None:
    path = store_host_key(fleet(tmp_path), "gpu01", lines[0])
    want = TEXT.replace('10.0.0.1"\n', f'10.0.0.1"\nhost_key = "{lines[0]}"\n')
    assert path.read_text(encoding="utf-8") == want
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    store_host_key(load(only_file=path), "gpu01", lines[1])
    assert keys(tmp_path, "gpu01") == (lines[0], lines[1])
    store_host_key(load(only_file=path), "gpu01", lines[1])
    assert keys(tmp_path, "gpu01") == (lines[0], lines[1])
    store_host_key(load(only_file=path), "gpu01", lines[2], replace=True)
    assert keys(tmp_path, "gpu01") == (lines[2],)
    assert [entry.name for entry in tmp_path.iterdir()] == ["fleet.toml"]


def test_a_host_of_a_range_gets_it_in_a_table(tmp_path: Path, lines: list[str]) -> None:
    config = fleet(tmp_path)
    path = store_host_key(config, "n2", lines[0])
    assert path.read_text(encoding="utf-8") == f'{TEXT}\n[host_keys]\nn2 = "{lines[0]}"\n'
    store_host_key(config, "n3", lines[1])  # the first was stored by another console meanwhile
    assert (keys(tmp_path, "n2"), keys(tmp_path, "n3")) == ((lines[0],), (lines[1],))
    assert keys(tmp_path, "n1") == ()


def test_line_ends_and_links_stay(tmp_path: Path, lines: list[str]) -> None:
    config = fleet(tmp_path, TEXT.replace("\n", "\r\n"))
    (tmp_path / "link.toml").symlink_to("fleet.toml")
    config = load(only_file=tmp_path / "link.toml")
    store_host_key(config, "gpu01", lines[0])
    raw = (tmp_path / "fleet.toml").read_bytes()
    assert raw.count(b"\r\n") == TEXT.count("\n") == raw.count(b"\n") - 1
    assert (tmp_path / "link.toml").is_symlink()


def test_an_inherited_key_stays_in_force(tmp_path: Path, lines: list[str]) -> None:
    text = f'[defaults]\nhost_key = "{lines[0]}"\n{TEXT}'
    store_host_key(fleet(tmp_path, text), "gpu01", lines[1])
    assert keys(tmp_path, "gpu01") == (lines[0], lines[1])
    assert keys(tmp_path, "n1") == (lines[0],)


@pytest.mark.parametrize(
    "text",
    [
        "hosts = [{name = 'a.b', address = 'x'}, {name = 'c', address = 'y'}]\n",
        "hosts = [\n  {name = 'a.b', address = 'x'}, # one\n]\n",
        "[[hosts]]\nname = 'a.b'\naddress = 'x'\n[host_keys]\n'a.b' = []\n",
        "host_keys.'a.b' = []\n[[hosts]]\nname = 'a.b'\naddress = 'x'\n",
        "host_keys = {'a.b' = []}\n[[hosts]]\nname = 'a.b'\naddress = 'x'\n",
        "[[hosts]]\nname = 'a.b'\naddress = 'x'",
    ],
)
def test_files_of_other_forms_are_edited_or_left_alone(
    tmp_path: Path, lines: list[str], text: str
) -> None:
    config = fleet(tmp_path, text)
    store_host_key(config, "a.b", lines[0])
    assert keys(tmp_path, "a.b") == (lines[0],)


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path, lines: list[str]) -> None:
    config = fleet(tmp_path)
    path = tmp_path / "fleet.toml"
    for text in (TEXT.replace("[[hosts]]", '[[hosts]]\nname="new"\naddress="y"\n[[hosts]]', 1), ""):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match="changed since it was read; nothing was stored"):
            store_host_key(config, "gpu01", lines[0])
        assert path.read_text(encoding="utf-8") == text
    path.write_text("no TOML", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cannot be edited: .*add by hand: host_key = "):
        store_host_key(config, "gpu01", lines[0])
    path.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        store_host_key(config, "gpu01", lines[0])
    with pytest.raises(ConfigError, match="no host is called 'gpu09'"):
        store_host_key(config, "gpu09", lines[0])


CHILD = """
import sys
from pathlib import Path
from console.config.edit import store_host_key
from console.config.loader import load
file, *lines = sys.argv[1:]
config = load(only_file=Path(file))
turn = 0
while True:
    turn += 1
    store_host_key(config, "gpu01", lines[turn % 2], replace=True)
    print(turn, flush=True)
"""


def test_killed_at_any_moment_the_file_is_the_old_or_the_new(
    tmp_path: Path, lines: list[str]
) -> None:
    fleet(tmp_path)
    file = tmp_path / "fleet.toml"
    whole = {TEXT.replace('0.1"\n', f'0.1"\nhost_key = "{line}"\n') for line in lines[:2]}
    for stored in range(1, 9):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(file), *lines[:2]],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        for _ in range(stored):
            assert child.stdout.readline()
        child.kill()  # somewhere in the next turn
        child.stdout.close()
        child.wait()
        assert file.read_text(encoding="utf-8") in whole
        assert keys(tmp_path, "gpu01")[0] in lines[:2]


def test_consoles_that_store_at_once_lose_no_key(tmp_path: Path, lines: list[str]) -> None:
    fleet(tmp_path)
    file = tmp_path / "fleet.toml"
    code = (
        "import sys; from pathlib import Path; from console.config.edit import store_host_key;"
        "from console.config.loader import load; config = load(only_file=Path(sys.argv[1]));"
        "sys.stdin.read(); store_host_key(config, sys.argv[2], sys.argv[3])"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(file), name, lines[0]], cwd=ROOT, stdin=subprocess.PIPE
        )
        for name in ("n1", "n2", "n3", "gpu01")
    ]
    for child in children:  # all have read the file before one writes, or nearly so
        assert child.stdin is not None
        child.stdin.close()
    assert [child.wait(timeout=60) for child in children] == [0] * 4
    for name in ("n1", "n2", "n3", "gpu01"):
        assert keys(tmp_path, name) == (lines[0],)


def test_a_new_file_is_private_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a/b/new.toml"
    write_new(path, "x = 1\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(ConfigError, match="is already there"):
        write_new(path, "y = 1\n")
    assert path.read_text(encoding="utf-8") == "x = 1\n"
    os.symlink(tmp_path / "elsewhere", tmp_path / "link")
    with pytest.raises(ConfigError, match="is already there"):
        write_new(tmp_path / "link", "y = 1\n")
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(ConfigError, match="below: File exists"):
        write_new(path / "below", "y = 1\n")
