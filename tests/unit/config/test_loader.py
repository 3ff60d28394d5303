"""Layers of TOML: what wins, where it came from, what hosts inherit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from console.config import loader
from console.config.loader import Config, load
from console.errors import ConfigError, UsageError
from tests.support.sshd import make_key


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the machine: etc/config.toml, user/, project/watchfloor.toml."""
    monkeypatch.setattr(loader, "SYSTEM_FILE", tmp_path / "etc/config.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    (tmp_path / "project").mkdir()
    return tmp_path


def alone(tmp_path: Path, text: str) -> Config:
    return load(only_file=write(tmp_path / "fleet.toml", text))


def test_without_files_there_are_defaults_only(layers: Path) -> None:
    config = load(env={}, cwd=layers / "project")
    assert (config.hosts, config.files, config.warnings) == ((), (), ())
    assert config.workstation is True
    assert str(config.origin("workstation")) == "default"


def test_each_layer_wins_over_those_below_and_says_so(layers: Path) -> None:
    places = [
        write(layers / "etc/config.toml", "[ui]\ntitle = '1'\nrefresh_s = 1\n"),
        write(layers / "user/watchfloor/config.toml", "history = false\nui.title = '2'\n"),
        write(layers / "project/watchfloor.toml", "\n[ui]\ntitle = '3'\n"),
    ]
    cwd = layers / "project"
    config = load(env={}, cwd=cwd)
    assert config.files == tuple(map(str, places))
    assert (config.ui.title, config.ui.refresh_s) == ("3", 1.0)
    assert str(config.origin("ui.title")) == f"{places[2]}:3"
    assert str(config.origin("ui.refresh_s")) == f"{places[0]}:3"
    assert str(config.origin("history")) == f"{places[1]}:1"
    env = {"WATCHFLOOR_UI_TITLE": "4", "WATCHFLOOR_HISTORY": "yes", "WATCHFLOOR_UI_TITEL": "x"}
    config = load(env=env, cwd=cwd)
    assert (config.ui.title, config.history) == ("4", True)
    assert str(config.origin("ui.title")) == "environment WATCHFLOOR_UI_TITLE"
    assert config.warnings == (
        "variable WATCHFLOOR_UI_TITEL is not known. Did you mean 'WATCHFLOOR_UI_TITLE'?",
    )
    config = load(env=env, cwd=cwd, flags={"ui.title": "5", "workstation": "off"})
    assert (config.ui.title, config.workstation) == ("5", False)
    assert str(config.origin("ui.title")) == "flag --set ui.title"


def test_hosts_of_all_files_follow_each_other(layers: Path) -> None:
    write(layers / "etc/config.toml", "[[hosts]]\nname='a'\naddress='a'\n[defaults]\nuser='ops'\n")
    own = write(layers / "user/watchfloor/config.toml", "[[hosts]]\nname='b'\naddress='b'\n")
    config = load(env={}, cwd=layers)
    assert [(host.name, host.user) for host in config.hosts] == [("a", "ops"), ("b", "ops")]
    assert config.origin("hosts.b").file == str(own)
    write(own, "\n[[hosts]]\nname='a'\naddress='b'\n")
    with pytest.raises(ConfigError, match=rf"'a' is there twice: .*etc/config.toml:1 and {own}:2"):
        load(env={}, cwd=layers)


def test_one_file_alone_shuts_out_all_others(layers: Path) -> None:
    write(layers / "etc/config.toml", "this is not TOML")
    file = write(layers / "one.toml", "ui.title = 'one'\n")
    env = {"WATCHFLOOR_UI_TITLE": "variable"}
    assert load(only_file=file, env=env, cwd=layers).ui.title == "one"
    assert load(env={"WATCHFLOOR_CONFIG": str(file), **env}, cwd=layers).files == (str(file),)


@pytest.mark.parametrize(
    ("env", "flags", "said"),
    [
        ({"WATCHFLOOR_HISTORY": "maybe"}, {}, "WATCHFLOOR_HISTORY: 'maybe' is neither true"),
        ({"WATCHFLOOR_UI_REFRESH_S": "x"}, {}, "'x' is not a number"),
        ({"WATCHFLOOR_UI_REFRESH_S": "nan"}, {}, "environment WATCHFLOOR_UI_REFRESH_S: .*>= 0.1"),
        ({"WATCHFLOOR_UI_TITLE": "\x1b[2J"}, {}, "holds U\\+001B"),
        ({}, {"ui.refresh_s": "99"}, "--set ui.refresh_s: .*<= 60"),
    ],
)
def test_a_wrong_variable_or_flag_is_named(
    layers: Path, env: dict[str, str], flags: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        load(env=env, flags=flags, cwd=layers)


def test_an_unknown_setting_has_a_nearest_one(layers: Path) -> None:
    with pytest.raises(UsageError, match=r"no setting is called 'ui.titel'. Did you mean"):
        load(env={}, flags={"ui.titel": "x"}, cwd=layers)


def test_a_file_that_others_may_change_is_refused(layers: Path) -> None:
    file = write(layers / "project/watchfloor.toml", "")
    file.chmod(0o666)
    with pytest.raises(ConfigError, match=r"may be changed by others .mode 0666.*chmod go-w"):
        load(env={}, cwd=layers / "project")
    file.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(file, 65534, 65534)
        with pytest.raises(ConfigError, match=r"belongs to another user .uid 65534"):
            load(env={}, cwd=layers / "project")
        assert load(only_file=file).hosts == ()  # named by a person


def test_a_file_of_the_working_directory_changes_no_host_of_another_file(layers: Path) -> None:
    """Whoever plants one there must not get to say which key a host has, or the way to it."""
    own, other = (" ".join(make_key(layers / name).public.split()[:2]) for name in ("own", "other"))
    write(
        layers / "user/watchfloor/config.toml",
        f"[[hosts]]\nname = 'gpu01'\naddress = 'a'\ngroups = ['prod']\nhost_key = '{own}'\n",
    )
    planted = write(
        layers / "project/watchfloor.toml",
        f"""
        state_dir = "/somewhere/else"
        [defaults]
        jump = ["evil"]
        agent = true
        transport = "openssh"
        [groups.prod]
        host_ca = "{other}"
        [host_keys]
        gpu01 = "{other}"
        [[hosts]]
        name = "evil"
        address = "b"
        jump = []
        host_key = "{other}"
        """,
    )
    config = load(env={}, cwd=layers / "project")
    alone = load(env={}, cwd=layers).known["gpu01"]
    assert config.known["gpu01"] == alone
    assert (alone.host_key, alone.host_ca, alone.jump, alone.agent) == ((own,), (), (), False)
    assert config.origin("hosts.gpu01.host_key").file != str(planted)
    assert config.known["evil"].agent is True, "its own hosts it may describe"
    assert config.state_dir == loader.default_state_dir()
    told = "\n".join(config.warnings)
    for said in ("gpu01 is a host of another file", "[defaults] of this file", "state_dir is"):
        assert said in told


def test_what_hosts_inherit(tmp_path: Path) -> None:
    pair = make_key(tmp_path / "host")
    public = " ".join(pair.public.split()[:2])
    text = f"""
        [defaults]
        user = "wfmon"
        key = "keys/all"
        jump = "bastion"
        [sites.fra]
        zone = "fra-a"
        port = 2200
        [groups.h100]
        port = 2201
        tier = 2
        tags = ["fast", "liquid"]
        [groups.infer]
        tier = 1
        owner = "ml"
        [[hosts]]
        name = "bastion"
        address = "bastion.example.org"
        [[hosts]]
        name = "gpu[01-02]"
        address = "10.0.{{n}}.{{n1}}"
        groups = ["h100", "infer"]
        site = "fra"
        environment = "production"
        risk = "high"
        user = "ops"
        key = "/abs/key"
        [host_keys]
        gpu02 = "{public}"
    """
    config = alone(tmp_path, text)
    hosts = {host.name: host for host in config.hosts}
    gpu = hosts["gpu02"]
    assert (gpu.address, gpu.port, gpu.tier, gpu.zone) == ("10.0.2.2", 2201, 2, "fra-a")
    assert (gpu.user, gpu.key, gpu.owner, gpu.tags) == ("ops", "/abs/key", "ml", ("fast", "liquid"))
    assert (gpu.environment, gpu.risk, gpu.jump) == ("production", "high", ("bastion",))
    assert (gpu.host_key, hosts["gpu01"].host_key) == ((public,), ())
    assert (hosts["bastion"].jump, hosts["bastion"].key) == ((), str(tmp_path / "keys/all"))
    lines = {
        field: config.origin(f"hosts.gpu02.{field}").line
        for field in ("user", "port", "tier", "zone", "jump", "host_key", "python")
    }
    assert lines == {
        "user": 26, "port": 10, "tier": 11, "zone": 7, "jump": 5, "host_key": 29, "python": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("address", "want"),
    [
        ("{name}.example.org", ["gpu01.example.org", "gpu02.example.org"]),
        ("10.0.0.[11-12]", ["10.0.0.11", "10.0.0.12"]),
        ("10.0.0.{n}", ["10.0.0.1", "10.0.0.2"]),
        ("fe80::{n}%eth0", ["fe80::1%eth0", "fe80::2%eth0"]),
    ],
)
def test_addresses_of_a_range(tmp_path: Path, address: str, want: list[str]) -> None:
    config = alone(tmp_path, f"[[hosts]]\nname = 'gpu[01-02]'\naddress = '{address}'\n")
    assert [host.address for host in config.hosts] == want


def test_a_certificate_stays_with_its_key(tmp_path: Path) -> None:
    config = alone(
        tmp_path,
        """
        defaults = {key = "/k", certificate = "/c"}
        groups.x = {key = "/g"}
        hosts = [
          {name = "a", address = "a"},
          {name = "b", address = "b", key = "/b"},
          {name = "c", address = "c", key = "/b", certificate = "/d"},
          {name = "d", address = "d", groups = "x"},
        ]
        """,
    )
    assert [(host.key, host.certificate) for host in config.hosts] == [
        ("/k", "/c"), ("/b", ""), ("/b", "/d"), ("/g", ""),
    ]  # fmt: skip


def test_the_origin_of_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    config = alone(tmp_path, "[[hosts]]\nname = 'a.b'\naddress = 'a'\n")
    assert config.origin("hosts.a.b.address").line == 3
    with pytest.raises(ConfigError, match=r"nothing is called 'ui.colour'"):
        config.origin("ui.colour")
    with pytest.raises(ConfigError, match=r"a host has no 'adress'. Did you mean 'address'?"):
        config.origin("hosts.a.b.adress")


def test_a_file_found_by_its_place_sets_nothing_of_this_person(layers: Path) -> None:
    write(
        layers / "project/watchfloor.toml",
        "history = false\nworkstation = false\n[ui]\ntitle = 'site'\nrefresh_s = 60.0\n"
        "[keys]\n'app.leave' = 'x'\n",
    )
    config = load(env={}, cwd=layers / "project")
    assert (config.history, config.workstation, config.ui.refresh_s) == (True, True, 0.5)
    assert config.ui.title == "site"
    assert config.keys == {}
    told = " ".join(config.warnings)
    for name in ("history", "workstation", "ui.refresh_s"):
        assert f"{name} is ignored in a file found by its place" in told
    assert "keys are ignored in a file found by its place" in told
