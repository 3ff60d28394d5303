"""Each verb as a program: data on standard output, narration on standard error, exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from console.cli import main
from console.cli.common import flags
from console.cli.main import VERBS
from tests.support.sshd import make_key, need_openssh
from tests.support.terminal import Terminal
from tests.support.watchfloor import PYTHON, ROOT, watchfloor

FLEET = """\
[defaults]
user = "ops"
[[hosts]]
name = "gpu[01-12]"
address = "{name}.example.org"
site = "fra"
groups = "h100"
[[hosts]]
name = "bastion"
address = "bastion.example.org"
"""


@pytest.fixture
def fleet(tmp_path: Path) -> str:
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET, encoding="utf-8")
    file.chmod(0o600)
    return str(file)


VERB_LINES = [
    *([verb] for verb in VERBS),
    *(["config", verb] for verb in ("show", "validate", "schema", "init")),
    *(["hosts", verb] for verb in ("list", "import", "trust")),
]


@pytest.mark.parametrize("words", [[], *VERB_LINES], ids=" ".join)
def test_every_verb_explains_itself(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run([*words, "--help"])
    said = capsys.readouterr()
    assert (ended.value.code, said.err) == (0, "")
    assert said.out.startswith(f"usage: {' '.join(['watchfloor', *words])} ")
    assert max(map(len, said.out.splitlines())) <= 100


@pytest.mark.parametrize("verb", ["", "status", "watch", "config", "hosts", "enroll", "demo"])
def test_exit_statuses_are_in_the_help(verb: str) -> None:
    text = watchfloor(*filter(None, [verb]), "--help").stdout
    assert re.search(r"\b0\b.*", text.split("exit status:")[1])
    assert re.search(r"\b2\s+usage", text)


@pytest.mark.parametrize(
    "argv",
    [
        ["frobnicate"],
        ["--frob"],
        ["config"],
        ["hosts"],
        ["hosts", "trust"],
        ["config", "validate", "--json"],
        ["watch", "--json", "--plain"],
        ["watch", "--seconds", "0"],
        ["watch", "--seconds", "nan"],
        ["watch", "--seconds", "soon"],
        ["status", "--timeout", "inf"],
        ["--hosts", "", "hosts", "list"],
        ["--hosts", "nobody", "hosts", "list"],
        ["--hosts", "gpu[1-1000000]", "hosts", "list"],
        ["--set", "ui.title", "config", "show"],
        ["--set", "ui.titel=x", "config", "show"],
        ["--set", "history=perhaps", "config", "show"],
        ["--config", "/nowhere/fleet.toml", "config", "show"],
        ["hosts", "import", "/nowhere/inventory"],
        ["hosts", "trust", "gpu99"],
        ["screens"],
        ["wall"],
        ["wall", "--every", "0"],
        ["wall", "--every", "soon"],
        ["demo", "--wall", "--plain"],
        [],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_2_and_prints_no_data(argv: list[str], fleet: str) -> None:
    own = [] if "--config" in argv else ["--config", fleet]
    done = watchfloor(*own, *argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["statsu"], "no verb is called 'statsu'. Did you mean 'status'?"),
        (["host"], "no verb is called 'host'. Did you mean 'hosts'?"),
        (["config", "shwo"], "no verb is called 'shwo'. Did you mean 'show'?"),
        (["zzz"], "no verb is called 'zzz'. Verbs: screens, status, watch, "),
        (["\x1b[2J"], "no verb is called "),
    ],
)
def test_a_mistyped_verb_names_the_nearest(argv: list[str], said: str) -> None:
    done = watchfloor(*argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("verb", ["status", "watch", "screens"])
def test_settings_and_hosts_may_stand_on_both_sides_of_the_verb(verb: str) -> None:
    before = ["--set", "history=false", "--hosts", "a", verb]
    args = main.parser().parse_args([*before, "--set", "ui.title=x", "--set", "ui.refresh_s=1"])
    assert flags(args) == {"history": "false", "ui.title": "x", "ui.refresh_s": "1"}
    assert args.hosts == "a"
    assert main.parser().parse_args([*before, "--hosts", "b"]).hosts == "b"
    wrong = watchfloor(verb, "--set", "ui.titel=x")
    assert wrong.returncode == 2
    assert "Did you mean 'ui.title'?" in wrong.stderr


def test_the_list_of_hosts(fleet: str) -> None:
    done = watchfloor("--config", fleet, "--hosts", "gpu[11-12],bastion", "hosts", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "NAME     LOGIN                       SITE  GROUPS  TRUST  VIA",
        "gpu11    ops@gpu11.example.org:22    fra   h100    NONE",
        "gpu12    ops@gpu12.example.org:22    fra   h100    NONE",
        "bastion  ops@bastion.example.org:22                NONE",
    ]
    told = json.loads(watchfloor("--config", fleet, "hosts", "list", "--json").stdout)
    assert told["version"] == 1
    assert [host["name"] for host in told["hosts"]][-2:] == ["gpu12", "bastion"]
    assert told["hosts"][0]["groups"] == ["h100"]


def test_a_wrong_passphrase_is_said_before_it_is_asked_again(tmp_path: Path) -> None:
    need_openssh()
    key = make_key(tmp_path / "key", passphrase="right")
    jump = f"[[hosts]]\nname='j'\naddress='127.0.0.1'\nport=1\nkey='{key.path}'\n"
    jump += f"host_key='{key.public}'\n"
    file = tmp_path / "fleet.toml"
    file.write_text(f"workstation=false\nhistory=false\n{jump}")
    # A passphrase is read from the controlling terminal, which a new session has only by asking.
    argv = ["setsid", "--ctty", "--wait", *PYTHON, "--config", str(file), "status"]
    with Terminal(argv, os.environ) as terminal:
        terminal.wait_for(f"Passphrase of {key.path}: ")
        terminal.press("wrong\r")
        terminal.wait_for(f"Passphrase of {key.path} (that was wrong; try 2 of 3): ")
        terminal.press("right\r")
        code, shown = terminal.rest()
    assert code == 1
    assert "nothing listens there" in shown
    assert "right" not in shown


def test_no_hosts_is_narration(tmp_path: Path) -> None:
    done = watchfloor("hosts", "list", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "config init" in done.stderr


def test_show_is_toml_with_the_place_of_each_value(fleet: str) -> None:
    argv = ("--config", fleet, "--set", "ui.title=a \u00fc", "--hosts", "gpu03", "config", "show")
    done = watchfloor(*argv)
    assert (done.returncode, done.stderr) == (0, "")
    shown = tomllib.loads(done.stdout)
    assert shown["ui"].items() >= {"title": "a \u00fc", "refresh_s": 0.5}.items()
    assert shown["hosts"] == [
        {"name": "gpu03", "address": "gpu03.example.org", "port": 22, "user": "ops"}
        | {"groups": ["h100"], "site": "fra"}
    ]
    lines = done.stdout.splitlines()
    assert 'ui.title = "a \u00fc"  # flag --set ui.title' in lines
    assert "history = true  # default" in lines
    assert f'user = "ops"  # {fleet}:2' in lines
    told = json.loads(watchfloor(*argv, "--json").stdout)
    assert told["settings"]["ui.title"] == {"value": "a \u00fc", "origin": "flag --set ui.title"}
    assert told["hosts"][0]["user"] == {"value": "ops", "origin": f"{fleet}:2"}
    assert (told["version"], told["files"]) == (1, [fleet])


def test_validate_warns_on_standard_error(fleet: str) -> None:
    done = watchfloor("--config", fleet, "config", "validate")
    assert (done.returncode, done.stdout) == (0, f"valid: 13 hosts ({fleet})\n")
    assert "warning: no host_key and no host_ca, so never connected: gpu01" in done.stderr
    assert watchfloor("config", "validate", fleet).stdout == done.stdout
    Path(fleet).write_text(FLEET + "adress = 1\n", encoding="utf-8")
    done = watchfloor("--config", fleet, "config", "validate")
    assert (done.returncode, done.stdout) == (2, "")
    want = f"{fleet}:11: unknown key 'adress' in hosts[1]. Did you mean 'address'?"
    assert done.stderr == f"watchfloor: {want}\n"


def test_validate_says_what_the_screens_and_the_plugins_would(tmp_path: Path) -> None:
    file = tmp_path / "looks.toml"
    home = {name: str(tmp_path / name) for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    file.write_text(
        "[ui]\ntheme = 'nosuch'\nlayout = 'none'\n[plugins.x]\nenabled = true\n"
        "[plugins.off]\nenabled = false\n[plugins.prometheus]\nenabled = true\n"
        f"sha256 = '{'0' * 64}'\n",
        encoding="utf-8",
    )
    done = watchfloor("config", "validate", str(file), env=home)
    assert (done.returncode, done.stdout) == (0, f"valid: 0 hosts ({file})\n")
    assert "warning: ui.theme: no theme is called 'nosuch'" in done.stderr
    assert "warning: ui.layout: no layout is called 'none'" in done.stderr
    assert "warning: plugins.x: is configured, but not there" in done.stderr
    assert "warning: plugins.prometheus: its files are not those" in done.stderr
    assert "plugins.off" not in done.stderr
    file.write_text("[ui]\ntheme = 'mono'\n[plugins.off]\nenabled = false\n", encoding="utf-8")
    assert watchfloor("config", "validate", str(file), env=home).stderr == ""


def test_a_million_hosts_are_refused_before_they_are_made(fleet: str) -> None:
    text = "[[hosts]]\nname = 'gpu[1-1000000]'\naddress = '{name}'\n"
    Path(fleet).write_text(text, encoding="utf-8")
    done = watchfloor("--config", fleet, "config", "validate", memory_mib=256)
    assert done.returncode == 2
    assert "stands for 1,000,000 hosts, more than 65,536" in done.stderr


def test_init_writes_what_validate_accepts_and_never_writes_over(tmp_path: Path) -> None:
    home = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = watchfloor("config", "init", env=home)
    file = tmp_path / "config/watchfloor/config.toml"
    assert (done.returncode, done.stdout) == (0, f"{file}\n")
    assert watchfloor("config", "validate", env=home).stdout == f"valid: 0 hosts ({file})\n"
    file.write_text("# mine\n", encoding="utf-8")
    again = watchfloor("config", "init", env=home)
    assert (again.returncode, again.stdout) == (2, "")
    assert "is already there" in again.stderr
    assert file.read_text(encoding="utf-8") == "# mine\n"
    done = watchfloor("config", "init", "--output", str(tmp_path / "other.toml"), env=home)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'other.toml'}\n")


def test_the_schema_is_json() -> None:
    done = watchfloor("config", "schema")
    assert done.returncode == 0
    assert "hosts" in json.loads(done.stdout)["$defs"]["Document"]["properties"]


@pytest.mark.parametrize("words", [["config", "show"], ["config", "schema"], ["--help"]])
def test_whoever_reads_may_leave(fleet: str, words: list[str]) -> None:
    text = FLEET.replace("01-12", "0001-9999")  # more than a pipe holds
    Path(fleet).write_text(text, encoding="utf-8")
    read, write = os.pipe()
    os.close(read)
    argv = [*PYTHON, "--config", fleet, *words]
    done = subprocess.run(argv, check=False, cwd=ROOT, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.stderr == b""
    assert done.returncode in (0, 1)


def test_a_full_disk_is_said(fleet: str) -> None:
    with open("/dev/full", "w") as full:
        argv = [*PYTHON, "--config", fleet, "config", "show"]
        done = subprocess.run(argv, check=False, cwd=ROOT, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert b"the output could not be written: No space left on device" in done.stderr


def test_a_defect_leaves_a_report_and_70(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(args: object) -> int:
        raise RuntimeError("a secret \x1b[2J")

    monkeypatch.setattr("console.cli.config.run_show", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main.run(["config", "show"]) == main.DEFECT
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"watchfloor: a defect of its own: RuntimeError; see \S+\n", said.err)
    report = Path(said.err.split()[-1])
    assert "RuntimeError" in report.read_text(encoding="utf-8")
    assert report.stat().st_mode & 0o077 == 0
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert main.run(["config", "show"]) == main.DEFECT
    said = capsys.readouterr()
    assert "no file can be written" in said.err
    assert "RuntimeError: a secret" in said.err
    assert "\x1b" not in said.err, "nothing that the terminal obeys"


def test_the_version() -> None:
    done = watchfloor("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"watchfloor \d+\.\d+\S*\n", done.stdout)
    code = (
        "import sys; sys.argv[1:] = ['--version']\ntry:\n import console.__main__ as m; m.main()\n"
    )
    code += (
        "except SystemExit: pass\nprint(sorted({'textual', 'asyncssh', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
