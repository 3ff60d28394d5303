"""``watchfloor plugins``: what a person sees before they let a plugin run."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from platformdirs import user_data_path

from console.cli.main import run
from console.config.loader import load
from console.engine.plugins.manifest import find
from tests.support.plugins import confinable, doing, model_server, vllm, write


@pytest.fixture
def own() -> Path:
    """The user's own folder of plugins, empty."""
    place = user_data_path("watchfloor") / "plugins"
    place.mkdir(parents=True, exist_ok=True)
    for file in sorted(place.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    return place


def configured(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "c.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return ["--config", str(file)]


def states(capsys: pytest.CaptureFixture[str], argv: list[str]) -> dict[str, dict[str, str]]:
    assert run([*argv, "plugins", "list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == 1
    return {row["name"]: row for row in document["plugins"]}


def test_list_says_why_each_is_loaded_or_not(
    tmp_path: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("pinned", "changed", "bare"):
        write(own, doing("x = 1"), name=name)
    write(own, doing("x = 1"), name="broken").joinpath("plugin.toml").write_text("x", "utf-8")
    argv = configured(
        tmp_path,
        f'[plugins.pinned]\nenabled = true\nsha256 = "{find("pinned").sha256}"\n'
        f'[plugins.changed]\nenabled = true\nsha256 = "{"0" * 64}"\n'
        "[plugins.bare]\nenabled = true\n[plugins.gone]\nenabled = true\n",
    )
    found = states(capsys, argv)
    assert {name: row["state"] for name, row in found.items()} == {
        "prometheus": "off", "pinned": "on", "changed": "changed", "bare": "unpinned",
        "broken": "wrong", "gone": "missing",
    }  # fmt: skip
    assert "plugin.toml" in found["broken"]["reason"]
    assert run([*argv, "plugins", "list"]) == 0
    out = capsys.readouterr()
    assert len(out.out.splitlines()) == 6
    assert str(own) in out.err


@confinable
def test_what_pin_prints_is_a_configuration_that_lets_it_run(
    tmp_path: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(own, doing("x = 1"), name="mine", connect=("127.0.0.1:8000",))
    assert run(["plugins", "pin", "mine"]) == 0
    out = capsys.readouterr()
    assert str(folder) in out.err
    assert "look at" in out.err
    argv = configured(tmp_path, out.out)
    plugin = load(only_file=Path(argv[1])).plugins["mine"]
    assert plugin.enabled
    assert plugin.connect == ("127.0.0.1:8000",)
    assert states(capsys, argv)["mine"]["state"] == "on"
    (folder / "main.py").write_text("import os\n", encoding="utf-8")
    assert states(capsys, argv)["mine"]["state"] == "changed"


def test_show_names_files_network_and_digest(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(own, doing("x = 1"), name="quiet")
    assert run(["plugins", "show", "quiet"]) == 0
    assert "none, and it gets none" in capsys.readouterr().out
    assert run(["plugins", "show", "prometheus"]) == 0
    out = capsys.readouterr().out
    assert "asks for 127.0.0.1:8000" in out
    assert find("prometheus").sha256 in out
    assert out.count("\nfile ") == len(find("prometheus").files)


@confinable
def test_check_runs_it_and_prints_its_panel(
    tmp_path: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = """
    def collect(self, at, hosts):
        print("I am asked")
        return [Sample(host=h.name, name="number", value=7.0) for h in hosts]

    def panels(self, at, hosts):
        return [Panel(host=h.name, title="a title", items=(
            Row(label="label", value="value", severity="warn"),
            Gauge(label="g", percent=50, text="left"),
            Plot(label="over time", series="number"), Note(text="a note"))) for h in hosts]
    """
    write(own, body, name="mine")
    argv = configured(tmp_path, "")
    assert run([*argv, "plugins", "check", "mine"]) == 0
    out = capsys.readouterr()
    assert "workstation: a title" in out.out
    assert "value  WARNING" in out.out
    assert "50% left" in out.out
    assert "over time                  (a plot of plugin.mine.number, which only" in out.out
    assert "workstation number = 7" in out.out
    assert "plugin: I am asked" in out.err
    assert run([*argv, "plugins", "check", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["panels"][0]["title"] == "a title"


@confinable
def test_check_of_one_that_fails_says_why(
    tmp_path: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(own, doing("print('last words', flush=True); x = 1 / 0"), name="mine")
    assert run([*configured(tmp_path, ""), "plugins", "check", "mine"]) == 1
    err = capsys.readouterr().err
    assert "mine/main.py" in err
    assert "ZeroDivisionError" in err
    assert "Traceback" not in err


def test_a_name_that_is_not_there_is_an_error_with_a_way_out(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("show", "pin", "check"):
        assert run(["plugins", verb, "gone\x1b"]) == 1
        err = capsys.readouterr().err
        assert "There are: prometheus" in err
        assert "\x1b" not in err


def test_the_lines_of_pin_are_toml_for_every_plugin_that_ships(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plugins", "pin", "prometheus"]) == 0
    table = tomllib.loads(capsys.readouterr().out)["plugins"]["prometheus"]
    assert table["sha256"] == find("prometheus").sha256


@confinable
def test_check_grants_no_network_unless_it_is_told_to(
    tmp_path: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with model_server() as (server, port):
        server.text = vllm(100, 5_000.0)
        argv = [*configured(tmp_path, ""), "plugins", "check", "prometheus"]
        assert run(argv) == 0
        out = capsys.readouterr()
        assert "gets nothing" in out.err
        assert "vLLM" not in out.out
        assert run([*argv, "--connect", f"127.0.0.1:{port}"]) == 0
        assert "43% used" in capsys.readouterr().out
        assert run([*argv, "--connect", "evil.example:80"]) == 2
        assert "is not ADDRESS:PORT" in capsys.readouterr().err
