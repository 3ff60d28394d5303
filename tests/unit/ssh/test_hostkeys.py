"""Which host keys pass, judged on keys and certificates that ssh-keygen made."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import ConfigError, HostKeyError
from console.model.host import Host
from console.ssh.hostkeys import Trust, blob_type
from tests.support.sshd import KeyPair, make_key, need_openssh


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, KeyPair]:
    need_openssh()
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder / name) for name in ("host", "other", "ca", "ca2")}


def blob(line: str) -> bytes:
    return base64.b64decode(line.split()[1])


def certificate(ca: KeyPair, host: KeyPair, **how: str) -> bytes:
    path = ca.sign(host, host=True, **how)
    return blob(path.read_text(encoding="utf-8"))


def inventory_host(**fields: object) -> Host:
    return msgspec.convert({"name": "gpu01", "address": "10.0.0.1", **fields}, Host)


def test_a_pinned_key_passes_and_another_is_refused_with_its_fingerprint(
    keys: dict[str, KeyPair],
) -> None:
    trust = Trust(inventory_host(host_key=[keys["host"].public]))
    accepted = trust.check(blob(keys["host"].public))
    assert (accepted.by, accepted.fingerprint) == ("pin", keys["host"].fingerprint)
    with pytest.raises(HostKeyError, match="another key than the pinned one") as caught:
        trust.check(blob(keys["other"].public))
    assert caught.value.offered == keys["other"].fingerprint


def test_a_host_without_any_key_says_how_to_trust_it() -> None:
    with pytest.raises(HostKeyError, match="watchfloor hosts trust gpu01"):
        Trust(inventory_host())


@pytest.mark.parametrize("principals", ["gpu01", "10.0.0.1", "x.example,GPU01"])
def test_a_certificate_for_name_or_address_passes(
    keys: dict[str, KeyPair], principals: str
) -> None:
    trust = Trust(inventory_host(host_ca=[keys["ca2"].public, keys["ca"].public]))
    accepted = trust.check(certificate(keys["ca"], keys["host"], principals=principals))
    assert (accepted.by, accepted.fingerprint) == ("ca", keys["host"].fingerprint)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"principals": "gpu02,10.0.0.2"}, "it is for gpu02, 10.0.0.2, not for 10.0.0.1 or gpu01"),
        ({"principals": ""}, "it names no host"),
        ({"principals": "gpu01", "validity": "-2h:-1h"}, "expired"),
        ({"principals": "gpu01", "validity": "+1h:+2h"}, "not yet valid"),
    ],
)
def test_a_certificate_that_does_not_hold_is_refused(
    keys: dict[str, KeyPair], how: dict[str, str], reason: str
) -> None:
    trust = Trust(inventory_host(host_ca=[keys["ca"].public]))
    with pytest.raises(HostKeyError, match=reason) as caught:
        trust.check(certificate(keys["ca"], keys["host"], **how))
    assert caught.value.offered == keys["host"].fingerprint


def test_a_certificate_of_another_authority_or_of_a_user_is_refused(
    keys: dict[str, KeyPair],
) -> None:
    trust = Trust(inventory_host(host_ca=[keys["ca"].public]))
    with pytest.raises(HostKeyError, match="which is not in host_ca"):
        trust.check(certificate(keys["ca2"], keys["host"], principals="gpu01"))
    path = keys["ca"].sign(keys["host"], principals="gpu01")
    with pytest.raises(HostKeyError, match="Invalid certificate type"):
        trust.check(blob(path.read_text(encoding="utf-8")))


def test_a_forged_certificate_is_refused(keys: dict[str, KeyPair]) -> None:
    trust = Trust(inventory_host(host_ca=[keys["ca"].public]))
    good = certificate(keys["ca"], keys["host"], principals="gpu02")
    with pytest.raises(HostKeyError):
        trust.check(good.replace(b"gpu02", b"gpu01"))


def test_a_plain_key_is_refused_where_only_an_authority_is_named(keys: dict[str, KeyPair]) -> None:
    trust = Trust(inventory_host(host_ca=[keys["ca"].public]))
    with pytest.raises(HostKeyError, match="plain key, no certificate"):
        trust.check(blob(keys["host"].public))


def test_a_pin_also_holds_for_the_key_inside_a_certificate(keys: dict[str, KeyPair]) -> None:
    trust = Trust(inventory_host(host_key=[keys["host"].public], host_ca=[keys["ca"].public]))
    accepted = trust.check(certificate(keys["ca2"], keys["host"], principals="elsewhere"))
    assert accepted.by == "pin"


@pytest.mark.parametrize(
    "line", ["", "ssh-ed25519", "ssh-ed25519 !!!", "/etc/ssh/key.pub", "\x1b]0;x\x07"]
)
def test_a_line_that_is_no_key_is_a_configuration_error(line: str) -> None:
    with pytest.raises(ConfigError, match="host_key line 1 is not a public key line"):
        Trust(inventory_host(host_key=[line]))


def test_what_can_match_is_offered_first(keys: dict[str, KeyPair]) -> None:
    pinned = Trust(inventory_host(host_key=[keys["host"].public])).algorithms
    assert pinned[0] == "ssh-ed25519"
    assert not any("cert" in name for name in pinned)
    by_ca = Trust(inventory_host(host_ca=[keys["ca"].public])).algorithms
    assert by_ca[0] == "ssh-ed25519-cert-v01@openssh.com"
    assert "ssh-ed25519" in by_ca


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_as_a_host_key(data: bytes) -> None:
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBxVXgrCzCnCRzDkrKXnBuqvHTUKqkfK9cyAxhWvLqi1"
    trust = Trust(inventory_host(host_key=[line]))
    assert blob_type(data).isprintable()
    with pytest.raises(HostKeyError):
        trust.check(data)


@given(st.binary(max_size=200), st.sampled_from([b"ssh-ed25519", b"ssh-rsa-cert-v01@openssh.com"]))
def test_any_bytes_after_a_known_type_are_refused(data: bytes, kind: bytes) -> None:
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBxVXgrCzCnCRzDkrKXnBuqvHTUKqkfK9cyAxhWvLqi1"
    trust = Trust(inventory_host(host_key=[line]))
    with pytest.raises(HostKeyError):
        trust.check(len(kind).to_bytes(4, "big") + kind + data)
