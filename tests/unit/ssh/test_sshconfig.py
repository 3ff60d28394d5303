"""Hosts out of OpenSSH client configurations, resolved by the real ssh."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.errors import ConfigError
from console.ssh.sshconfig import host_names, hosts_from_openssh
from tests.support.sshd import keygen, make_key, need_openssh


@pytest.fixture(autouse=True)
def _openssh() -> None:
    need_openssh()


def test_names_are_resolved_with_defaults_jump_and_pins(tmp_path: Path) -> None:
    user = make_key(tmp_path / "user")
    host_key = make_key(tmp_path / "host")
    ca = make_key(tmp_path / "ca")
    pin = " ".join(host_key.public.split()[:2])
    authority = " ".join(ca.public.split()[:2])
    known = tmp_path / "known_hosts"
    known.write_text(f"[10.0.0.7]:2222 {pin}\n@cert-authority *.example {authority}\n")
    keygen("-H", "-f", str(known))  # hashed names, as distributions do
    more = tmp_path / "more.conf"
    more.write_text("Host gpu02\n  HostName gpu02.example\n")
    config = tmp_path / "config"
    config.write_text(
        f"Include {more}\n"
        "Host gpu01 gpu-alias\n"
        "  HostName 10.0.0.7\n"
        "  Port=2222\n"
        "  ProxyJump ops@bastion:2200,inner\n"
        "Host bastion # the way in\n"
        "  User gate\n"
        "Host *.example !bad\n"
        "Host *\n"
        "  User wfmon\n"
        f"  IdentityFile {user.path}\n"
        f"  UserKnownHostsFile {known}\n"
    )
    hosts = {str(item["name"]): item for item in hosts_from_openssh(config)}
    assert list(hosts) == ["gpu02", "gpu01", "gpu-alias", "bastion"]
    assert hosts["gpu01"] == {
        "name": "gpu01",
        "address": "10.0.0.7",
        "port": 2222,
        "user": "wfmon",
        "key": str(user.path),
        "jump": ["bastion", "inner"],
        "host_key": [pin],
    }
    assert hosts["bastion"]["user"] == "gate"
    assert hosts["gpu02"]["host_ca"] == [authority]
    assert "host_key" not in hosts["bastion"]


def test_includes_that_go_in_circles_end(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(f"Include {two}\nHost a\n")
    two.write_text(f"Include {one}\nHost b\n")
    assert host_names(one) == ["b", "a"]


@pytest.mark.parametrize(
    "line",
    [
        "Match host a exec {command}",
        "match EXEC {command}",
        '"Match" host a exec {command}',
        "Match=exec {command}",
        '=Match e"xe"c {command}',
        "Match host a#b exec {command}",
        '"Include" {other}',
        "Include={other}",
    ],
)
def test_a_program_in_the_file_is_not_run(tmp_path: Path, line: str) -> None:
    mark = tmp_path / "mark"
    command = f'"touch {mark}"'
    other = tmp_path / "other"
    other.write_text(f"Match exec {command}\n")
    config = tmp_path / "config"
    config.write_text(f"Host a\n{line.format(command=command, other=other)}\n")
    with pytest.raises(ConfigError, match="Match exec"):
        hosts_from_openssh(config)
    assert not mark.exists()


def test_a_missing_or_wrong_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        hosts_from_openssh(tmp_path / "none")
    config = tmp_path / "config"
    config.write_text("Host a\n  NoSuchOption yes\n")
    with pytest.raises(ConfigError, match="ssh refuses it"):
        hosts_from_openssh(config)
    config.write_text('Host "a\n')
    with pytest.raises(ConfigError, match="quotes do not match"):
        hosts_from_openssh(config)


def test_a_name_with_a_dash_is_not_given_to_ssh(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host -oProxyCommand=id\n")
    with pytest.raises(ConfigError, match="begins with a dash"):
        hosts_from_openssh(config)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=300))
def test_any_text_gives_names_or_a_clear_error(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config"
    config.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        names = host_names(config)
    except ConfigError:
        return
    assert not any(set(name) & set("*?!") for name in names)
