"""What a person signs says the exact effect, worked out from the plan alone.

``pytest --update-golden`` on this file writes ``tests/golden/effects.txt`` anew.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.actions import plan
from console.hostside.guard import simulation
from console.hostside.guard.actions import NAMES
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import KINDS, step
from console.hostside.guard.steps.base import Step
from console.hostside.guard.steps.simulated import Simulated
from tests.support.guardkit import policy_doc, refused
from tests.support.plans import ASKED, NEW, OLD, POLICY, RID, effect, made

GOLDEN = Path(__file__).resolve().parents[2] / "golden/effects.txt"

# kind -> arguments that it takes, and another value that each of them may have as well. Those of a
# dictionary in a list stand for one step whose arguments are of another shape.
_NFT = {"armed_s": (60, 0), "table": ("isolate",)}
_GATE = {
    "key": ("team-a", "team-b"), "kind": ("nginx",),
    "keys_file": ("/etc/nginx/a.conf", "/etc/nginx/b.conf"),
    "limits_file": ("/etc/nginx/c.conf", "/etc/nginx/d.conf"),
    "unit": ("nginx.service", "openresty.service"),
}  # fmt: skip
_PLACE = "/etc/systemd/system/{}.service.d/50-watchfloor.conf"
_GONE = {
    "path": ("/srv/models/a", "/srv/models/b"), "root": ("/srv/models", "/srv/other"),
    "device": (66, 67), "inode": (12, 13),
}  # fmt: skip
SHAPES: dict[str, list[dict[str, tuple[Any, ...]]]] = {
    "nft": [
        {**_NFT, "destroy": (True, False), "dhcp": ("none", "10.9.1.1", "10.9.1.2"),
         "interfaces": (["eth0"], [], ["eth0", "eth1"]), "mgmt": (["10.9.1.0/24"], ["fd00::/64"]),
         "port": (22, 2222)},
        {**_NFT, "table": ("inbound",), "mgmt": (["10.9.1.0/24"], ["fd00::/64"]),
         "ports": ([8000], [8001], [8000, 8001]), "translated": (True, False)},
        {**_NFT, "table": ("source",), "expires_s": (60, 61),
         "source": ("203.0.113.0/24", "203.0.113.0/25")},
    ],
    "flows": [{"keep": (["10.9.1.0/24"], ["10.9.2.0/24"]), "peers": ([], ["203.0.113.0/24"]),
               "ports": ([], [8000], [8001])}],
    "firewall": [{"sha256": (OLD, NEW)}],
    "unit": [
        {"name": ("vllm.service", "triton.service"), "op": ("stop", "start", "restart")},
        {"name": ("vllm.service", "triton.service"), "op": ("harden",),
         "lines": (["PrivateTmp=yes"], ["ProtectHome=yes"], ["ProtectSystem=strict"])},
    ],
    "file": [{"path": (_PLACE.format("vllm"), _PLACE.format("triton")),
              "lines": (["[Service]"], ["[Unit]"])}],
    "account": [{"user": ("mallory", "eve"), "uid": (1004, 1005), "op": ("block", "open")}],
    "process": [{"pid": (4711, 4712), "start_time": (1, 2), "exe": ("/usr/bin/a", "/usr/bin/b")}],
    "packages": [{"tool": ("apt", "dnf"), "packages": (
        [{"name": "openssl", "version": "1"}], [{"name": "openssl", "version": "2"}],
        [{"name": "zlib", "version": "1"}])}],
    "gateway": [
        {**_GATE, "op": ("block",), "per_minute": (0,)},
        {**_GATE, "op": ("limit",), "per_minute": (1, 2)},
    ],
    "rename": [{"from": ("/srv/a", "/srv/b"), "to": ("/srv/q/a", "/srv/q/b"), "device": (66, 67),
                "inode": (12, 13)}],
    "link": [{"root": ("/srv/models", "/srv/other"), "model": ("llama", "mistral"),
              "from": ("1.0", "0.9", ""), "to": ("1.1", "1.2"),
              "service": ("vllm.service", "triton.service")}],
    "verify": [{"root": ("/srv/models", "/srv/other"), "model": ("llama", "mistral"),
                "version": ("1.0", "0.9"), "manifest": (OLD, NEW), "evaluation": ("", OLD, NEW),
                "image": ("", "x@sha256:" + OLD, "x@sha256:" + NEW)}],
    "health": [{"url": ("http://127.0.0.1:8000/health", "http://127.0.0.1:8001/health"),
                "expect": (200, 204), "seconds": (60, 61), "service": ("a.service", "b.service")}],
    "space": [{"path": ("/srv/a", "/srv/b"), "bytes": (100, 101), "files": (16, 17)}],
    "destroy": [
        {**_GONE, "how": ("overwrite",), "kind": ("file", "tree"), "files": (1, 2),
         "bytes": (100, 101), "also": ([], ["/srv/models/x"], ["/srv/models/y"])},
        {**_GONE, "how": ("crypto",), "header": ("/dev/sda1", "/dev/sdb1"),
         "uuid": ("1234", "5678"), "mapping": ("one", "two")},
    ],
    "collect": [{"since_s": (60, 61), "include": (["journal"], ["sockets"],
                                                  ["journal", "sockets"])}],
    "trust": [{"what": ("roster", "policy", "guard"), "sha256": (NEW, RID),
               "former": (OLD, "1" * 64)}],
    "undo": [{"id": (RID, OLD), "action": ("isolate", "block-source"),
              "kinds": (["nft"], ["unit"], ["nft", "unit"])}],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_each_of_its_arguments(kind: str) -> None:
    """Change one argument, and what is read before signing changes."""
    real = step(kind)
    seen = set()
    for shape in SHAPES[kind]:
        first = {name: values[0] for name, values in shape.items()}
        for name, values in shape.items():
            told = {}
            for value in values:
                args = {**first, name: value}
                real.check(args)
                lines = real.words(args)
                assert all(type(line) is str and line.isprintable() and line for line in lines)
                told[repr(value)] = tuple(lines)
                seen.add(tuple(lines))
            assert len(set(told.values())) == len(values), (name, told)
    assert seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_step_says_the_same(kind: str) -> None:
    """The demo shows what a real host would do."""
    real = step(kind)
    for shape in SHAPES[kind]:
        args = {name: values[0] for name, values in shape.items()}
        assert Simulated(kind, real).words(args) == real.words(args)
    assert type(real).words is not Step.words
    # Pure: it is given nothing but the arguments.
    assert list(inspect.signature(real.words).parameters) == ["args"]


def test_the_effects_of_all_actions(pytestconfig: pytest.Config) -> None:
    """Read the difference before it is committed: it is what people sign."""
    text = "\n".join(
        f"== {name}\n" + "".join(f"{line}\n" for line in effect(name)) for name in NAMES
    )
    if pytestconfig.getoption("--update-golden"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


# What must be in a line of its own, by action: whole values, never a part of one.
WHOLE = {
    "isolate": ["stays reachable: SSH on port 22 from 10.9.1.0/24",
                "dead-man: the kernel undoes it 122 s later unless it is confirmed",
                "undone after 120 s unless the way in is confirmed"],
    "release": ["  Watchfloor's packet rules of that request are removed"],
    "disconnect-inbound": ["still comes through: loopback, and 10.9.1.0/24, fd00:9::/64"],
    "block-source": ["ends by itself after 3600 s"],
    "restart-hardened": ["  ProtectSystem=strict"],
    "apply-update": ["apt installs openssl=3.0.19-1", "apt installs libssl3:amd64=3.0.19-1"],
    "secure-delete": ["12 FILES, 140000000000 BYTES ARE OVERWRITTEN, DISCARDED AND UNLINKED",
                      "THERE IS NO WAY BACK"],
    "rollback-model": ["llama in /srv/models is switched from version 1.1 to version 1.0"],
    "promote-model": [f"its signed evaluation report must be {NEW}"],
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_is_signed_is_in_the_effect(name: str) -> None:
    """Every parameter of an action is in its effect, or stands beside it in the plan's times."""
    lines = effect(name)
    text = "\n".join(lines)
    for line in WHOLE.get(name, ()):
        assert line in lines
    for key, value in ASKED[name][0].items():
        if key == "kind":
            continue  # of secure-delete: THE FOLDER
        for part in value if type(value) is list else [value]:
            for piece in part.values() if type(part) is dict else [part]:
                assert str(piece) in text, key


def test_a_policy_that_keeps_the_unconfirmed_says_so() -> None:
    params, facts = ASKED["isolate"]
    kept = {**POLICY, "unconfirmed": "keep"}
    lines = plan.effect(plan.plan("isolate", params, facts, kept), kept)
    assert "no dead-man in the kernel: it stays though nobody confirms it" in lines
    assert "it stays though nobody confirms the way in, by the policy" in lines
    assert not any("undone after" in line for line in lines)


@given(st.lists(st.sampled_from(["10.9.1.0/24", "10.9.1.128/25"]) | st.ip_addresses(v=4).map(str)))
def test_no_effect_is_cut(networks: list[str]) -> None:
    """However long the parameters are: every network is in it whole, or nothing is signed."""
    params = {"confirm_s": 60, "mgmt": networks}
    rules = policy_doc(mgmt_networks=["0.0.0.0/1", "128.0.0.0/1"])
    try:
        lines = plan.effect(plan.plan("isolate", params, ASKED["isolate"][1], rules), rules)
    except Refused:
        return
    (line,) = [line for line in lines if line.startswith("stays reachable")]
    listed = line.partition(" from ")[2].split(", ")
    assert listed == [text if "/" in text else f"{text}/32" for text in networks]


def test_facts_that_no_step_takes_are_refused_before_anybody_signs() -> None:
    """A host may tell anything: no line of it comes to a person as an effect. Threats: 49."""
    params, facts = ASKED["isolate"]
    for name, value in (
        ("interfaces", ["eth0; flush ruleset"]),
        ("interfaces", [f"eth{number}" for number in range(65)]),
        ("sshd_port", "22"),
        ("destroy", 1),
    ):
        refused(plan.plan, "isolate", params, {**facts, name: value}, POLICY)
    params, facts = ASKED["release"]
    for kinds in (["nft\x1b[2J"], "nft", ["nft"] * 65):
        refused(plan.plan, "release", params, {**facts, "kinds": kinds}, POLICY)
    refused(plan.plan, "release", params, {**facts, "action": "all is well"}, POLICY)


@pytest.mark.parametrize("name", sorted(simulation._DEFAULT))
def test_what_a_simulated_host_says_leads_to_the_same_kind_of_plan(name: str) -> None:
    """The demo's and the tests' guard is asked by the same console."""
    params, _ = ASKED[name]
    facts = dict(simulation._DEFAULT[name])
    changes = {}
    if name == "promote-model":
        params = {**params, "manifest_sha256": facts["manifest"],
                  "evaluation_sha256": facts["evaluation"]["sha256"]}  # fmt: skip
        changes = {"evaluation": {"accuracy_e4": {"min": 9000}}}
    if "image" in facts:
        health = {**POLICY["health"]["llama"], "kind": "link"}
        changes["health"] = {"llama": health}
    if name == "rollback-model":
        params = {**params, "to": "2026-08-01"}
    rules = {**POLICY, **changes}
    shown = plan.plan(name, params, facts, rules)
    real = [item["kind"] for item in made(name)["steps"]]
    assert [item["kind"] for item in shown["steps"]] == real
    assert plan.effect(shown, rules)


def test_an_effect_that_nobody_could_read_is_refused() -> None:
    whole = made("isolate")
    found = refused(plan.effect, {**whole, "steps": whole["steps"] * 40}, POLICY)
    assert found.rule == "effect"
