"""``[plugins.NAME]``: merged over files, refused where merely found, each mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.config.document import Plugin
from console.config.loader import load, user_file
from console.config.warn import findings
from console.errors import ConfigError

PIN = "ab" * 32


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_plugin_is_read_with_its_settings(tmp_path: Path) -> None:
    file = written(
        tmp_path / "a.toml",
        f"""
        [plugins.prometheus]
        enabled = true
        sha256 = "{PIN}"
        hosts = "gpu*"
        connect = ["127.0.0.1:8000", "[::1]:9", "localhost:80"]
        interval_s = 2
        [plugins.prometheus.settings.targets]
        gpu01 = "http://127.0.0.1:8000/metrics"
        """,
    )
    config = load(only_file=file)
    plugin = config.plugins["prometheus"]
    assert plugin == Plugin(
        enabled=True,
        sha256=PIN,
        hosts="gpu*",
        connect=("127.0.0.1:8000", "[::1]:9", "localhost:80"),
        interval_s=2.0,
        settings={"targets": {"gpu01": "http://127.0.0.1:8000/metrics"}},
    )
    assert config.origin("plugins.prometheus.sha256").line == 4
    assert config.origin("plugins.prometheus.hosts").line == 5
    assert not findings(config)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("enable = true", "Did you mean 'enabled'"),
        ("sha256 = 'AB'", "sha256"),
        ("sha256 = 1", "expected text"),
        ("interval_s = 0", "interval_s"),
        ("connect = ['evil.example:80']", "is not ADDRESS:PORT"),
        ("connect = ['127.0.0.1:0']", "is not ADDRESS:PORT"),
        ("connect = ['::1:80']", "is not ADDRESS:PORT"),
        ("connect = ['127.0.0.1:99999']", "is not ADDRESS:PORT"),
        ("settings = 1", "expected table"),
        ('settings.x = "\\u001b[2J"', "cannot be shown"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    file = written(tmp_path / "a.toml", f"[plugins.prometheus]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load(only_file=file)
    assert reason in str(caught.value)
    assert f"{file}:2" in caught.value.where


@pytest.mark.parametrize("name", ["Upper", "../x", "a b", "-x", "x" * 33])
def test_a_name_that_no_plugin_has_is_refused(tmp_path: Path, name: str) -> None:
    file = written(tmp_path / "a.toml", f'[plugins."{name}"]\nenabled = true\n')
    with pytest.raises(ConfigError, match="no name of a plugin"):
        load(only_file=file)


def test_a_file_that_merely_lies_there_starts_nothing(tmp_path: Path) -> None:
    text = f'[plugins.prometheus]\nenabled = true\nsha256 = "{PIN}"\n'
    project = written(tmp_path / "watchfloor.toml", text)
    config = load(env={}, cwd=tmp_path)
    assert config.plugins == {}
    (warning,) = config.warnings
    assert warning.startswith(f"{project}:1: [plugins.prometheus] is ignored")
    assert load(only_file=project).plugins["prometheus"].enabled, "somebody named it"


def test_nor_does_it_change_what_the_users_file_says(tmp_path: Path) -> None:
    own = written(user_file(), f'[plugins.a]\nenabled = true\nsha256 = "{PIN}"\n')
    try:
        written(tmp_path / "watchfloor.toml", '[plugins.a]\nconnect = ["127.0.0.1:22"]\n')
        config = load(env={}, cwd=tmp_path)
        assert config.plugins == {"a": Plugin(enabled=True, sha256=PIN)}
        assert len(config.warnings) == 1
    finally:
        own.unlink()


@pytest.mark.parametrize("variable", ["WATCHFLOOR_PLUGINS_A_ENABLED", "WATCHFLOOR_PLUGINS"])
def test_no_variable_enables_one(tmp_path: Path, variable: str) -> None:
    config = load(env={variable: "true"}, cwd=tmp_path)
    assert config.plugins == {}
    assert "is not known" in config.warnings[0]


def test_enabled_without_a_pin_is_warned_about(tmp_path: Path) -> None:
    file = written(tmp_path / "a.toml", "[plugins.a]\nenabled = true\n")
    assert "watchfloor plugins pin a" in findings(load(only_file=file))[-1]
