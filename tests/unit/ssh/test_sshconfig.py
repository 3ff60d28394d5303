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


def test_includes_that_go_in_circles_are_refused_as_by_ssh(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(f"Include {two}\nHost a\n")
    two.write_text(f"Include {one}\nHost b\n")
    with pytest.raises(ConfigError, match="includes itself"):
        host_names(one)


def test_an_include_keeps_the_conditions_around_it(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.write_text("Host gpu02\n  User inner\nHost *\n  Port 2200\n")
    config = tmp_path / "config"
    config.write_text(f"Host gpu01\r\n  Include {inner}\n  User outer\nHost gpu02\n  User second\n")
    hosts = {str(item["name"]): item for item in hosts_from_openssh(config)}
    assert (hosts["gpu01"]["user"], hosts["gpu01"]["port"]) == ("outer", 2200)
    assert (hosts["gpu02"]["user"], hosts["gpu02"]["port"]) == ("second", 22)


@pytest.mark.parametrize(
    "line",
    [
        "Match host a exec {command}",
        "match EXEC {command}",
        '"Match" host a exec {command}',
        "Match=exec {command}",
        'Match e"xe"c {command}',
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


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('Match host "*,\x0c" exec {command}', "control character"),
        ('Match host "*,\x1c" exec {command}', "control character"),
        ("\x0bMatch exec {command}", "control character"),
        ("User a\rMatch exec {command}", "control character"),
        ("=Match exec {command}", "not a keyword"),
        ("\u00a0Match exec {command}", "not a keyword"),
        ('Match host "*,\u2028" exec {command}', "Match exec"),
        ("User " + "x" * 1018 + "Match exec {command}", "longer than"),
        ("Include {folder}/a#b", "Match exec"),
        ("Include {folder}/[^b]#b", "Match exec"),
        ("Include {folder}/many/*", "more than 200 files"),
    ],
)
def test_a_line_that_ssh_could_read_otherwise_is_refused(
    tmp_path: Path, line: str, why: str
) -> None:
    mark = tmp_path / "mark"
    command = f'"touch {mark}"'
    (tmp_path / "a#b").write_text(f"Match exec {command}\n")
    many = tmp_path / "many"
    many.mkdir()
    for number in range(205):
        (many / f"{number:03}").write_text("\n")
    (many / "999").write_text(f"Match exec {command}\n")
    config = tmp_path / "config"
    config.write_bytes(f"{line.format(command=command, folder=tmp_path)}\nHost a\n".encode())
    with pytest.raises(ConfigError, match=why):
        hosts_from_openssh(config)
    assert not mark.exists()


def test_an_error_of_ssh_names_the_persons_file(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.write_text("# a comment\nPort none\n")
    config = tmp_path / "config"
    config.write_text(f"Host a\nInclude {inner}\n")
    with pytest.raises(ConfigError, match=f"{inner} line 2"):
        hosts_from_openssh(config)


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
