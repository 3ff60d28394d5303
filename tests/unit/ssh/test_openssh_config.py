"""What is handed to the system's ssh, and what is never handed to it."""

import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import ConfigError, ConnectError, HostKeyError, KeyFileError
from console.model.host import Host
from console.ssh.connect import Timing
from console.ssh.openssh_config import TARGET, checked, write_config
from tests.support.sshd import KeyPair, make_key, need_openssh, program

PIN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBxVXgrCzCnCRzDkrKXnBuqvHTUKqkfK9cyAxhWvLqi1"


@pytest.fixture
def user(tmp_path: Path) -> KeyPair:
    need_openssh()
    return make_key(tmp_path / "user key %h")


def host(**fields: object) -> Host:
    return msgspec.convert(
        {"name": "gpu01", "address": "10.0.0.1", "host_key": [PIN + " a comment"], **fields}, Host
    )


def resolved(config: Path, alias: str) -> dict[str, str]:
    """What the real ssh understands."""
    done = subprocess.run(
        [program("ssh"), "-G", "-F", str(config), alias],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


def test_ssh_understands_every_option(tmp_path: Path, user: KeyPair) -> None:
    target = host(key=str(user.path), port=2222, user="wfmon", compression=True)
    jump = host(name="bastion", address="fe80::1", key=str(user.path), agent=True)
    config = write_config(tmp_path, target, (jump,), Timing(keepalive=15, keepalive_count=3))
    assert config.stat().st_mode & 0o777 == 0o600
    seen = resolved(config, TARGET)
    assert (seen["hostname"], seen["port"], seen["user"]) == ("10.0.0.1", "2222", "wfmon")
    assert seen["stricthostkeychecking"] == "true"
    assert seen["batchmode"] == "yes"
    assert seen["identitiesonly"] == "yes"
    assert seen["identityagent"] == "none"
    assert seen["forwardagent"] == "no"
    assert seen["clearallforwardings"] == "yes"
    assert seen["compression"] == "yes"
    assert seen["passwordauthentication"] == "no"
    assert seen["globalknownhostsfile"] == "/dev/null"
    assert (seen["serveraliveinterval"], seen["serveralivecountmax"]) == ("15", "3")
    assert seen["ciphers"].startswith("aes128-gcm@openssh.com,")
    assert seen["proxyjump"] == "watchfloor-hop-0"
    hop = resolved(config, "watchfloor-hop-0")
    assert (hop["hostname"], hop["identityagent"]) == ("fe80::1", "SSH_AUTH_SOCK")
    assert "proxyjump" not in hop


def test_known_hosts_hold_the_inventory_only(tmp_path: Path, user: KeyPair) -> None:
    target = host(key=str(user.path))
    write_config(tmp_path, target, (), Timing())
    file = tmp_path / "known_hosts.0"
    assert file.read_text() == f"10.0.0.1 {PIN}\n"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("where", ["target", "hop"])
def test_authorities_are_refused_on_the_whole_way(
    tmp_path: Path, user: KeyPair, where: str
) -> None:
    plain, by_ca = host(key=str(user.path)), host(key=str(user.path), host_ca=[PIN])
    target, hop = (by_ca, plain) if where == "target" else (plain, by_ca)
    with pytest.raises(ConnectError, match="host_ca"):
        write_config(tmp_path, target, (hop,), Timing())


@pytest.mark.parametrize(
    "fields",
    [
        {"address": "-oProxyCommand=id"},
        {"address": "a b"},
        {"address": "a;id"},
        {"address": "$(id)"},
        {"address": "a\nProxyCommand id"},
        {"address": "%h"},
        {"address": "*"},
        {"address": ""},
        {"user": "-x"},
        {"user": "a b"},
        {"user": "a'b"},
        {"port": 0},
        {"port": 70_000},
        {"key": 'a"b'},
        {"key": "a\nProxyCommand id"},
        {"key": "${HOME}/x"},
        {"certificate": "a\nb"},
    ],
)
def test_what_could_mean_something_else_is_refused(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    with pytest.raises(ConfigError):
        write_config(tmp_path, host(**fields), (), Timing())


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_passes_that_a_shell_or_ssh_reads_as_more(address: str, user: str) -> None:
    try:
        checked(host(address=address, user=user))
    except ConfigError:
        return
    assert not set(address + user) & set(" \t\r\n\"'`$&|;<>()*?![]{}\\%~#,=/")
    assert not address.startswith("-")
    assert not user.startswith("-")
    assert address.isascii()


def test_a_hop_without_a_host_key_is_refused_too(tmp_path: Path, user: KeyPair) -> None:
    jump = host(name="bastion", key=str(user.path), host_key=[])
    with pytest.raises(HostKeyError, match="hosts trust bastion"):
        write_config(tmp_path, host(key=str(user.path)), (jump,), Timing())


def test_a_key_that_ssh_could_not_use_is_refused_before(tmp_path: Path, user: KeyPair) -> None:
    locked = make_key(tmp_path / "locked", passphrase="secret")
    with pytest.raises(KeyFileError, match="encrypted"):
        write_config(tmp_path, host(key=str(locked.path)), (), Timing())
    (tmp_path / "b").mkdir()
    with pytest.raises(KeyFileError, match="`key` is empty"):
        write_config(tmp_path / "b", host(), (), Timing())
    user.path.chmod(0o644)
    (tmp_path / "c").mkdir()
    with pytest.raises(KeyFileError, match="chmod 600"):
        write_config(tmp_path / "c", host(key=str(user.path)), (), Timing())
