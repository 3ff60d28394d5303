"""A wrong configuration: the error names file, line, key and what was probably meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.config.files import MAX_BYTES
from console.config.loader import Config, load
from console.config.warn import findings
from console.errors import ConfigError
from console.ssh.keycheck import findings as key_findings
from tests.support.outcome import outcome
from tests.support.sshd import make_key

HOST = "[[hosts]]\nname = 'a'\naddress = 'b'\n"


def alone(tmp_path: Path, text: str | bytes) -> Config:
    file = tmp_path / "f.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(0o600)
    return load(only_file=file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[defaults]\nusr = 'x'\n", ":2: unknown key 'usr' in defaults. Did you mean 'user'?"),
        ("[[hosts]]\nname='a'\nadress='b'\n", ":3: unknown key 'adress' in hosts[0]. Did you mean"),
        ("[default]\nuser='x'\n", ":1: unknown key 'default'. Did you mean 'defaults'?"),
        ("zzz = 1\n", ":1: unknown key 'zzz'. Known keys: workstation, "),
        ("[ui]\ntitel='x'\n", ":2: unknown key 'titel' in ui. Did you mean 'title'?"),
        ("[sites.fra]\nusr='x'\n", ":2: unknown key 'usr' in sites.fra. Did you mean 'user'?"),
        ("[groups.x]\nname='x'\n", ":2: unknown key 'name' in groups.x"),
        ("[groups.x]\ngroups='x'\n", ":2: 'groups' cannot be set here"),
        ("[sites.x]\nsite='x'\n", ":2: 'site' cannot be set here"),
        ("workstation = 'yes'\n", ":1: workstation: expected true or false, got text"),
        (
            "\n[hosts]\nname='a'\n",
            ":2: hosts: expected a list of tables, got one table. Write each host under [[hosts]]",
        ),
        ("[hosts.a]\nname='a'\n", "Write each host under [[hosts]]"),
        (
            HOST + "host_key = 'ssh-ed25519 AAAA...'\n",
            ":4: host 'a', host_key: line 1 is a placeholder, not a key: a key line looks like "
            "`ssh-ed25519 AAAAC3Nza",
        ),
        (HOST + "host_key = 'ssh-ed25519 ...'\n", ": line 1 is a placeholder, not a key"),
        (HOST + "host_ca = 'ssh-rsa <your key>'\n", ": line 1 is a placeholder, not a key"),
        ("hosts = 3\n", ":1: hosts: expected list, got whole number"),
        ("[[hosts]]\naddress='b'\n", ":1: hosts[0]: name is missing"),
        ("[[hosts]]\nname='a'\n", ":1: host 'a', address: is missing"),
        (HOST + "port = 70000\n", ":4: hosts[0].port: expected whole number <= 65535"),
        (HOST + "port = '22'\n", ":4: hosts[0].port: expected whole number, got text"),
        (HOST + "tier = 7\n", ":4: hosts[0].tier: '7' is not possible. Possible: 0, 1, 2."),
        (HOST + "transport = 'opnssh'\n", ": 'opnssh' is not possible. Did you mean 'openssh'?"),
        (
            "[[hosts]]\nname='a'\naddress='b:22'\n",
            ":3: host 'a', address: 'b:22' is no IPv6 address",
        ),
        ("[[hosts]]\nname='a'\naddress='o@b'\n", ":3: host 'a', address: 'o@b' holds an account"),
        ("[[hosts]]\nname='a'\naddress='[::1]'\n", ": '[::1]' is neither a DNS name nor an IP"),
        ("\n[[host]]\nname='a'\n", ":2: unknown key 'host'. Did you mean 'hosts'?"),
        (HOST + "groups = ['a,b']\n", ":4: host 'a', groups: 'a,b' is not a label"),
        (HOST + "site = '@x'\n", ":4: host 'a', site: '@x' is not a label"),
        (HOST + "tags = ['']\n", ":4: host 'a', tags: '' is not a label"),
        ("\ufeff[ui]\n", ":1: begins with a byte order mark"),
        (HOST + "host_key = 'ssh-dss AAAA'\n", ":4: host 'a', host_key: line 1 has the unknown"),
        (HOST + "host_key = 'ssh-ed25519 AAAA'\n", ":4: host 'a', host_key: line 1 is damaged"),
        (HOST + "host_ca = '@@'\n", ":4: host 'a', host_ca: line 1 is not a public key line"),
        (HOST + "listeners = ['tcp/99999']\n", ":4: host 'a', listeners: 'tcp/99999' is not like"),
        (HOST + "user = '-oProxyCommand=x'\n", ":4: host 'a', user: '-oProxyCommand=x' is not"),
        (HOST + "jump = 'c'\n", ":4: host 'a': jump host 'c' is not in the inventory"),
        (HOST + "jump = 'a'\n", ":4: host 'a': jump hosts form a loop: a -> a"),
        (HOST + "owner = 'a\\u202eb'\n", ":4: hosts[0].owner: holds U+202E, which cannot be shown"),
        (HOST + "key = '\\u0000'\n".replace("'", '"'), ":4: hosts[0].key: holds U+0000"),
        (HOST + HOST, ":4: host 'a' is there twice: "),
        ("[[hosts]]\nname='workstation'\naddress='b'\n", "is the name of this machine's own row"),
        ("[[hosts]]\nname='a b'\naddress='b'\n", ":2: host 'a b', name: 'a b' is not a host name"),
        ("[[hosts]]\nname='a[1-2]'\naddress='b{m}'\n", ":3: unknown {m}. Known here: {name}"),
        ("[[hosts]]\nname='a[1-2]'\naddress='b[1-3]'\n", ":3: address stands for 3 hosts and name"),
        ("[[hosts]]\nname='a[1-9'\naddress='b'\n", ":2: 'a[1-9': brackets do not match"),
        ("[[hosts]]\nname='gpu[1-1000000]'\naddress='b'\n", ":2: 'gpu[1-1000000]' stands for"),
        ("[host_keys]\na = 3\n", ":2: host_keys.a: expected text | list, got whole number"),
        ("a = \n", ":1: is not TOML"),
        ("x = " + "9" * 5000, ": is not TOML"),
        ("x = " + "[" * 5000, ": is not TOML"),
        (b"\n\n\xff", ":3: is not UTF-8"),
        (b"#" * (MAX_BYTES + 1), ": is larger than 16 MiB"),
    ],
)
def test_an_error_says_where_and_what(tmp_path: Path, text: str | bytes, said: str) -> None:
    text = text.replace("\\u202e", "\u202e") if isinstance(text, str) else text
    with pytest.raises(ConfigError) as caught:
        alone(tmp_path, text)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"{tmp_path / 'f.toml'}:")
    assert said in str(caught.value)
    assert not set(str(caught.value)) & {"\x1b", "\u202e", "\x00"}


def test_many_ranges_together_are_refused(tmp_path: Path) -> None:
    text = "".join(f"[[hosts]]\nname='{name}[1-60000]'\naddress='b'\n" for name in "ab")
    with pytest.raises(ConfigError, match=r"f.toml:5: more than 65,536 hosts together"):
        alone(tmp_path, text)


def test_lines_are_right_in_files_of_every_form(tmp_path: Path) -> None:
    text = (
        'ui.title = """\n[hosts]\n"""\n'.replace("\n[hosts]\n", "[hosts]")
        + "hosts = [\n  { name = 'a', address = 'x' },  # ] }\n  { name = 'b', address = '' },\n]\n"
    )
    with pytest.raises(ConfigError, match=r"f.toml:2: host 'b', address: is missing"):
        alone(tmp_path, text)
    with pytest.raises(ConfigError, match=r"f.toml:4: .*'usr'"):
        alone(tmp_path, HOST.replace("\n", "\r\n") + "usr = 1\r\n")
    with pytest.raises(ConfigError, match=r"f.toml:4: .*'u.s r'"):
        alone(tmp_path, "[sites]\n\n  [ sites . 'a b' ]\n  'u.s r' = 1\n")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path / "pipe", "is not a regular file"),
        (Path("/dev/zero"), "is not a regular file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "none", "No such file"),
        (tmp_path / "nul\x00", "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=said):
            load(only_file=path)


def test_findings_tell_what_will_keep_hosts_down(tmp_path: Path) -> None:
    pair = make_key(tmp_path / "user")
    pair.path.chmod(0o640)
    os.mkfifo(tmp_path / "pipe")
    public = " ".join(pair.public.split()[:2])
    config = alone(
        tmp_path,
        f"""
        [groups.h10]
        [sites.fra]
        [host_keys]
        gone = "{public}"
        [[hosts]]
        name = "gpu[1-2]"
        address = "one"
        key = "user"
        groups = "h100"
        [[hosts]]
        name = "b"
        address = "two"
        key = "none"
        host_key = "{public}"
        [[hosts]]
        name = "c"
        address = "three"
        key = "pipe"
        [[hosts]]
        name = "d"
        address = "four"
        """,
    )
    file = tmp_path / "f.toml"
    assert findings(config) == [
        "[host_keys] names no host: gone",
        f"{file}:3: [sites.fra] has no host.",
        f"{file}:2: [groups.h10] has no host. Did you mean 'h100'?",
        "one address, one port 22, for several hosts: gpu1, gpu2",
        "no host_key and no host_ca, so never connected: gpu1, gpu2, c and 1 more. "
        "`watchfloor hosts trust HOST` stores a key.",
        "neither key nor agent = true: d",
    ]
    assert key_findings(config.hosts) == [
        f"key {pair.path}: the private key can be read by others (mode 0640). Run: chmod 600 "
        f"{pair.path} (gpu1 and 1 more host with the same)",
        f"key {tmp_path / 'none'}: No such file or directory. Check `key` in the inventory. (b)",
        f"key {tmp_path / 'pipe'}: is not a regular file (c)",
    ]


HEADS = (
    "[[hosts]]",
    "[hosts]",
    "[defaults]",
    "[sites.fra]",
    "[groups.'h 1']",
    "[ui]",
    "[host_keys]",
)
NAMES = ("name", "address", "port", "user", "key", "jump", "groups", "site", "tier", "host_key")
TEXTS = ("'a'", "'b[1-3]'", '"{n}"', "'ssh-ed25519 AAAA'", "'''\n'''", '"\\u202e"')
OTHERS = ("22", "-1", "1e400", "nan", "true", "[]", "['a']", "{}", "{name='a'}", "1979-05-27", "[1")
LINES = st.one_of(
    st.sampled_from((*HEADS, "# x", "", "\x00", "workstation = false")),
    st.builds("{} = {}".format, st.sampled_from(NAMES), st.sampled_from(TEXTS + OTHERS)),
    st.builds("{} = {}".format, st.sampled_from(NAMES), st.sampled_from(TEXTS)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.one_of(st.lists(LINES, max_size=16).map("\n".join).map(str.encode), st.binary(max_size=80))
)
def test_any_bytes_are_a_configuration_or_a_config_error(tmp_path: Path, raw: bytes) -> None:
    config = outcome(lambda: alone(tmp_path, raw), ConfigError)
    if isinstance(config, ConfigError):
        assert config.where.startswith(str(tmp_path / "f.toml"))
        assert str(config).isprintable()
    else:
        findings(config)


TEXT = st.one_of(
    st.sampled_from(
        ("a", "b", "n[1-3]", "10.0.0.[1-3]", "{name}", "{n}.x", "::1", "~/k", "tcp/22")
    ),
    st.text(alphabet="ab[]{}n1-3,./: =\x1b\x9b\u200b", max_size=8),
)
MANY = st.one_of(TEXT, st.lists(TEXT, max_size=3))
FIELDS = {
    **dict.fromkeys(("address", "user", "key", "certificate", "python", "site"), TEXT),
    **dict.fromkeys(("host_key", "jump", "groups", "tags", "listeners"), MANY),
    "port": st.integers(0, 65_536),
    "tier": st.integers(0, 3),
    "agent": st.booleans(),
    "transport": st.sampled_from(("asyncssh", "openssh", "x")),
}
LENT = st.fixed_dictionaries({}, optional=FIELDS)
HOSTS = st.lists(st.fixed_dictionaries({"name": TEXT}, optional=FIELDS), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(HOSTS, LENT, LENT)
def test_any_values_are_hosts_or_a_config_error(
    tmp_path: Path,
    hosts: list[dict[str, object]],
    defaults: dict[str, object],
    site: dict[str, object],
) -> None:
    of_site = {key: value for key, value in site.items() if key not in ("site", "groups")}
    document = {"defaults": defaults, "sites": {"a": of_site}, "hosts": hosts}
    config = outcome(lambda: alone(tmp_path, tomlkit.dumps(document)), ConfigError)
    if isinstance(config, ConfigError):
        assert config.where
    else:
        assert all(host.name and host.address for host in config.hosts)
        findings(config)
