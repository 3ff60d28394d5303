"""Actions on the network of a host that forwards: containers with published ports, and routing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from console.hostside.guard.actions import action
from tests.support.netlab import EVIL4, HOST, MGMT4, NETWORKS, Driver, NetLab, netlab, run

pytestmark = pytest.mark.lab

PUBLISHED = 8001
CONTAINER, BRIDGE = "10.209.5.2", "10.209.5.1"
POLICY: dict[str, Any] = {
    "mgmt_networks": NETWORKS,
    "unconfirmed": "revert",
    "dhcp": "none",
    "api_ports": [PUBLISHED],
}
NEW = {"there": False}
NAT = f"""
table ip nat {{
 chain pre {{
  type nat hook prerouting priority -100
  tcp dport {PUBLISHED} fib daddr type local dnat to {CONTAINER}:8000
 }}
 chain post {{
  type nat hook postrouting priority 100
  ip saddr 10.209.5.0/24 oifname "wfevil" masquerade
 }}
}}
"""
STREAM = """
    import socket, threading
    server = socket.create_server(("", 8000))
    def serve(one):
        try:
            while True:
                one.sendall(b"x" * 4096)
        except OSError:
            pass
    print("ready", flush=True)
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
ACCEPT = """
    import socket
    server = socket.create_server(("", 8001))
    print("ready", flush=True)
    while True:
        server.accept()
"""
READ = """
    import json, socket, sys, time
    one = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
    print("ready", one.recv(1) != b"", flush=True)
    one.settimeout(2)
    last = 0.0
    try:
        while one.recv(65536):
            last = time.monotonic()
    except OSError as error:
        print(json.dumps({"last": last, "how": type(error).__name__}))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetLab]:
    """The namespaces with a container behind the host, once."""
    with netlab(tmp_path_factory.mktemp("netlab")) as lab:
        inner = lab.host + "c"
        run("ip", "netns", "add", inner)
        try:
            peer = f"type veth peer name eth0 netns {inner}".split()
            run("ip", "-n", lab.host, "link", "add", "wfinner", *peer)
            for namespace, device, address in (
                (lab.host, "wfinner", BRIDGE),
                (inner, "eth0", CONTAINER),
            ):
                run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", device)
                run("ip", "-n", namespace, "link", "set", device, "up")
            run("ip", "-n", inner, "route", "add", "default", "via", BRIDGE)
            for namespace, end in ((lab.mgmt, MGMT4), (lab.evil, EVIL4)):
                run("ip", "-n", namespace, "route", "add", "default", "via", HOST[end])
            lab.inside(lab.host, "sysctl", "-qw", "net.ipv4.ip_forward=1")
            yield lab
        finally:
            run("ip", "netns", "del", inner)


@pytest.fixture
def lab(place: NetLab) -> Iterator[NetLab]:
    """With a published port, a stream in the container, and a listener at the attacker's."""
    run("ip", "netns", "exec", place.host, "nft", "-f", "-", stdin=NAT)
    for namespace, text in ((place.host + "c", STREAM), (place.evil, ACCEPT)):
        assert place.program(namespace, text).line() == "ready"
    yield place
    place.clear()


def carried_out(driver: Driver, name: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Facts, plan and steps of an action; the answers of its steps."""
    facts = driver.value("facts", action=name, params=params)
    steps = action(name).render(params, facts, POLICY)["steps"]
    if name == "disconnect-inbound":
        assert steps[0]["args"]["translated"] is True
    return [driver.ask("do", **one, before=NEW) for one in steps]


def test_a_published_port_is_cut_off_and_the_container_keeps_the_rest(lab: NetLab) -> None:
    """New and open connections to it end; those that it opens itself to the same port stay."""
    driver = lab.driver()
    inner = lab.host + "c"
    client = lab.program(lab.evil, READ, HOST[EVIL4], str(PUBLISHED))
    assert client.line() == "ready True"
    answers = carried_out(driver, "disconnect-inbound", {"ports": [PUBLISHED], "confirm_s": 30})
    told = json.loads(client.line())
    assert told["how"] == "TimeoutError"
    assert told["last"] < answers[0]["ended"]
    assert not lab.connects(lab.evil, HOST[EVIL4], PUBLISHED)
    assert lab.connects(lab.mgmt, HOST[MGMT4], PUBLISHED)
    assert lab.connects(inner, EVIL4, PUBLISHED)
    assert lab.connects(lab.host, EVIL4, PUBLISHED)


def test_an_isolated_host_forwards_nothing(lab: NetLab) -> None:
    """Neither for containers nor between networks."""
    driver = lab.driver()
    inner = lab.host + "c"
    client = lab.program(lab.evil, READ, HOST[EVIL4], str(PUBLISHED))
    assert client.line() == "ready True"
    assert lab.connects(inner, EVIL4, PUBLISHED)
    assert lab.connects(lab.mgmt, EVIL4, PUBLISHED)
    answers = carried_out(driver, "isolate", {"mgmt": NETWORKS, "confirm_s": 30})
    told = json.loads(client.line())
    assert told["last"] < answers[0]["ended"]
    assert not lab.connects(inner, EVIL4, PUBLISHED)
    assert not lab.connects(lab.mgmt, EVIL4, PUBLISHED)
    assert not lab.connects(lab.evil, HOST[EVIL4], PUBLISHED)


def test_a_blocked_source_reaches_no_container(lab: NetLab) -> None:
    """Nor does a container reach it."""
    driver = lab.driver()
    params = {"source": EVIL4, "expires_s": 600, "confirm_s": 30}
    one = action("block-source").render(params, {"destroy": True}, POLICY)["steps"][0]
    driver.value("do", **one, before=driver.value("look", **one))
    assert not lab.connects(lab.evil, HOST[EVIL4], PUBLISHED)
    assert not lab.connects(lab.host + "c", EVIL4, PUBLISHED)
    assert lab.connects(lab.mgmt, HOST[MGMT4], PUBLISHED)
