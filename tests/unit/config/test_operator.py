"""``[operator]`` and the pinned ids of guards: who signs here, and for which hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.config import loader
from console.config.document import Colleague, Operator
from console.config.loader import load
from console.engine.operator import parts
from console.engine.session import LocalEngine
from console.errors import ConfigError
from console.ssh.transport import Transports
from console.trust.sign import KeyFileSigning

ID, OTHER = "a" * 32, "b" * 32


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(loader, "SYSTEM_FILE", tmp_path / "etc/config.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    return tmp_path


def test_the_operator_of_the_user_s_own_file(layers: Path) -> None:
    file = write(
        layers / "user/watchfloor/config.toml",
        '[operator]\nperson = "alice"\nsigning_key = "keys/alice"\nlogin_key = "/k/login"\n',
    )
    config = load(env={}, cwd=layers)
    assert config.operator == Operator(
        person="alice", signing_key=str(file.parent / "keys/alice"), login_key="/k/login"
    )
    assert config.operator.login_user == "wfops"
    assert config.operator.allow_ssh is False
    assert str(config.origin("operator.person")) == f"{file}:2"
    assert str(config.origin("operator.allow_ssh")) == "default"


def test_a_file_found_by_its_place_and_variables_choose_no_key(layers: Path) -> None:
    write(
        layers / "watchfloor.toml",
        '[operator]\nperson = "mallory"\nsigning_key = "/tmp/k"\nallow_ssh = true\n',
    )
    config = load(env={"WATCHFLOOR_OPERATOR_ALLOW_SSH": "1"}, cwd=layers)
    assert config.operator == Operator()
    told = "\n".join(config.warnings)
    assert "[operator] is ignored in a file found by its place" in told
    assert "WATCHFLOOR_OPERATOR_ALLOW_SSH is not known" in told


def test_colleagues_who_may_sit_down_here(layers: Path) -> None:
    file = write(
        layers / "user/watchfloor/config.toml",
        '[operator]\nperson = "alice"\n[operators.bob]\nsigning_key = "keys/bob"\n',
    )
    config = load(env={}, cwd=layers)
    assert config.operators == {"bob": Colleague(signing_key=str(file.parent / "keys/bob"))}
    assert str(config.origin("operators.bob")) == f"{file}:3"


def test_a_planted_file_seats_nobody(layers: Path) -> None:
    write(layers / "watchfloor.toml", '[operators.mallory]\nsigning_key = "/tmp/k"\n')
    config = load(env={}, cwd=layers)
    assert config.operators == {}
    told = "\n".join(config.warnings)
    assert "[operators] is ignored in a file found by its place" in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[operators."Bob B"]\nsigning_key = "k"', "'Bob B' is no name of a person"),
        ("[operators.bob]", "signing_key"),
        ('[operators.bob]\nsigning_key = ""', "signing_key"),
        ('[operators.bob]\nsigning_key = "k"\nlogin_key = "l"', "login_key"),
        ("[operators]\nbob = 3", "operators.bob"),
    ],
)
def test_a_wrong_colleague_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(only_file=write(tmp_path / "fleet.toml", f"{text}\n"))


def test_a_colleague_signs_and_the_console_logs_in(layers: Path) -> None:
    """The login stays the console's, or a guard could not tell that it was one console."""
    write(
        layers / "user/watchfloor/config.toml",
        '[operator]\nperson = "alice"\nsigning_key = "/k/alice"\nlogin_key = "/k/login"\n'
        '[operators.bob]\nsigning_key = "/k/bob"\n[operators.alice]\nsigning_key = "/k/x"\n',
    )
    config = load(env={}, cwd=layers)
    made = parts(
        config.operator, {}, layers, read_only=False, colleagues=config.operators
    )  # fmt: skip
    engine = LocalEngine((), Transports({}), acting=made)
    assert engine.people() == ("alice", "bob")
    assert "carol" in engine.act_as("carol")
    assert engine.act_as("bob") == ""
    assert (engine.person(), engine.people()) == ("bob", ("bob", "alice"))
    now = engine.acting._parts
    assert isinstance(now.signing, KeyFileSigning)
    assert now.signing.path == "/k/bob"
    assert now.caller is made.caller
    assert engine.act_as("alice") == ""
    assert engine.acting._parts.signing is made.signing
    assert LocalEngine((), Transports({})).people() == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('person = "Alice"', "not the name of a person"),
        ('person = "a b"', "not the name of a person"),
        ('login_user = "-oProxyCommand=x"', "not the name of an account"),
        ("allow_ssh = 1", "expected true or false"),
        ('sign_key = "x"', "Did you mean 'signing_key'"),
    ],
)
def test_a_wrong_operator_is_told_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    file = write(tmp_path / "fleet.toml", f"[operator]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load(only_file=file)
    assert said in str(caught.value)
    assert f"{file}:2" in str(caught.value)


def test_ids_of_guards_are_pinned_by_host_and_for_a_range_by_name(tmp_path: Path) -> None:
    file = write(
        tmp_path / "fleet.toml",
        f'[[hosts]]\nname = "solo"\naddress = "a"\nguard_id = "{ID}"\n'
        '[[hosts]]\nname = "gpu[1-2]"\naddress = "{name}"\n'
        f'[guard_ids]\ngpu2 = "{OTHER}"\ngone = "{ID}"\n',
    )
    config = load(only_file=file)
    ids = {host.name: host.guard_id for host in config.hosts}
    assert ids == {"solo": ID, "gpu1": "", "gpu2": OTHER}
    assert any("[guard_ids] names no host: gone" in text for text in config.warnings)


def test_two_hosts_of_one_guard_id_are_refused(tmp_path: Path) -> None:
    """A copied machine answers for the other one. Threats: 4."""
    for text in (
        f'[[hosts]]\nname = "gpu[1-2]"\naddress = "{{name}}"\nguard_id = "{ID}"\n',
        f'[[hosts]]\nname = "a"\naddress = "a"\nguard_id = "{ID}"\n'
        f'[[hosts]]\nname = "b"\naddress = "b"\nguard_id = "{ID}"\n',
    ):
        with pytest.raises(ConfigError, match="have one guard_id"):
            load(only_file=write(tmp_path / "fleet.toml", text))


def test_an_id_that_is_none_is_refused(tmp_path: Path) -> None:
    text = '[[hosts]]\nname = "a"\naddress = "a"\nguard_id = "zz"\n'
    with pytest.raises(ConfigError, match="guard_id"):
        load(only_file=write(tmp_path / "fleet.toml", text))


def test_a_file_found_by_its_place_pins_no_id_of_another_file_s_host(layers: Path) -> None:
    write(layers / "user/watchfloor/config.toml", "[[hosts]]\nname = 'a'\naddress = 'a'\n")
    write(layers / "watchfloor.toml", f"[guard_ids]\na = '{ID}'\n")
    config = load(env={}, cwd=layers)
    assert config.known["a"].guard_id == ""
    assert any("this id is ignored" in text for text in config.warnings)
