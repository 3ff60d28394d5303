"""How soon a host is cut off: from the guard's step to the last byte that an attacker gets.

In network namespaces with the real nft, two streams of gigabytes a second to the attacker, and 200
quiet connections. Beside it, in the same run: nft loading the same text by itself, and ``ss -K``
ending as many connections. Without root there are no rows.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from console.hostside.guard.actions import action
from console.hostside.guard.network import rules as net_rules
from tests.support.netlab import EVIL4, EVIL6, HOST, NETWORKS, Driver, NetLab, netlab
from tests.support.netlab import run as run_program

PARAMS = {"mgmt": NETWORKS, "confirm_s": 600}
POLICY = {"mgmt_networks": NETWORKS, "unconfirmed": "revert", "dhcp": "none"}
NEW = {"there": False}
QUIET = 200
QUIET_PORT = 9000

QUIET_SERVER = """
    import socket
    server = socket.create_server(("", 9000), backlog=1024)
    print("ready", flush=True)
    held = []
    while True:
        held.append(server.accept())
"""
QUIET_CLIENT = """
    import socket, sys
    held = [socket.create_connection((sys.argv[1], 9000)) for _ in range(int(sys.argv[2]))]
    print("ready", flush=True)
    sys.stdin.read()
"""


def run_once(lab: NetLab, driver: Driver, steps: list[dict[str, Any]]) -> dict[str, float]:
    """Milliseconds since the step began: rules in force, last byte, connections reset."""
    clients = [lab.client(lab.evil, HOST[end]) for end in (EVIL4, EVIL6)]
    rules = driver.ask("do", **steps[0], before=NEW)
    flows = driver.ask("do", **steps[1], before={})
    began = rules["began"]
    told = [json.loads(client.line()) for client in clients]
    driver.value("undo", **steps[0], before=NEW)
    return {
        "apply": (rules["ended"] - began) * 1000,
        "last": max(one["last"] - began for one in told) * 1000,
        "reset": max(one["end"] - began for one in told) * 1000,
        "flows": (flows["ended"] - flows["began"]) * 1000,
    }


def bare(lab: NetLab, text: str) -> float:
    """Milliseconds of nft alone for the same transaction."""
    began = time.perf_counter()
    run_program("ip", "netns", "exec", lab.host, "nft", "-f", "-", stdin=text)
    taken = (time.perf_counter() - began) * 1000
    lab.inside(lab.host, "nft", "flush", "ruleset")
    return taken


def quiet(lab: NetLab, driver: Driver, ours: bool) -> float:
    """Milliseconds to end 200 connections, by the step or by ``ss -K``."""
    client = lab.program(lab.evil, QUIET_CLIENT, HOST[EVIL4], str(QUIET))
    assert client.line() == "ready"
    if ours:
        args = {"keep": NETWORKS, "peers": [f"{EVIL4}/32"], "ports": [QUIET_PORT]}
        told = driver.ask("do", kind="flows", args=args, before={})
        assert told["value"]["ended"] >= QUIET, told
        taken = (told["ended"] - told["began"]) * 1000
    else:
        began = time.perf_counter()
        lab.inside(lab.host, "ss", "-K", "-Hn", "dst", EVIL4, "sport", "=", str(QUIET_PORT))
        taken = (time.perf_counter() - began) * 1000
    client.stop()
    return float(taken)


def measured(lab: NetLab, rounds: int) -> tuple[list[dict[str, float]], list[float], list[float]]:
    """All rounds: isolations, nft alone, and the two ways to end connections."""
    driver = lab.driver()
    facts = driver.value("facts", action="isolate", params=PARAMS)
    steps = action("isolate").render(PARAMS, facts, POLICY)["steps"]
    text = net_rules.isolation(steps[0]["args"], facts["interfaces"], 600)
    isolations = [run_once(lab, driver, steps) for _ in range(rounds)]
    alone = [bare(lab, text) for _ in range(rounds)]
    server = lab.program(lab.host, QUIET_SERVER)
    assert server.line() == "ready"
    ended = [quiet(lab, driver, ours=True) for _ in range(3)]
    return isolations, alone, ended + [quiet(lab, driver, ours=False) for _ in range(3)]


def median_row(name: str, ours: float, other: float, versus: str, reach: str) -> dict[str, Any]:
    """A row in milliseconds."""
    return {
        "name": name,
        "ours": ours,
        "unit": "ms",
        "other": other,
        "versus": f"ms, {versus}",
        "ratio": ours / other,
        "reach": reach,
    }


def run_all(rounds: int) -> list[dict[str, Any]]:
    """The rows."""
    with tempfile.TemporaryDirectory() as folder, netlab(Path(folder)) as lab:
        isolations, alone, ended = measured(lab, rounds)
    middle = {k: statistics.median(one[k] for one in isolations) for k in isolations[0]}
    worst = max(one["last"] for one in isolations)
    nft = statistics.median(alone)
    ours, theirs = statistics.median(ended[:3]), statistics.median(ended[3:])
    last = median_row(
        "isolate: step to last byte of two streams", middle["last"], nft, "nft and its start",
        "under 60 ms (of 150 from signature to last byte)",
    )  # fmt: skip
    last["ok"] = middle["last"] < 60
    return [
        last,
        median_row("isolate: slowest of them", worst, nft, "nft and its start", ""),
        median_row("isolate: rules in force and read back", middle["apply"], nft, "nft alone", ""),
        median_row("isolate: attacker's sockets reset", middle["reset"], nft, "nft alone", ""),
        median_row(f"end {QUIET} connections", ours, theirs, "ss -K", ""),
    ]


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows, or none without the rights to make namespaces."""
    return [] if os.geteuid() else run_all(5 if quick else 20)
