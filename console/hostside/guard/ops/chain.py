"""``chain``: every roster and policy that this host has had, with their signatures."""

from __future__ import annotations

import os

from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard

AT_A_TIME = 512 << 10
MAX_FILE = 256 << 10


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """Texts by kind, the newest first, as far as they fit; ``cut`` where they did not."""
    answer: dict[str, Any] = {"cut": False}
    left = AT_A_TIME
    for kind in ("roster", "policy"):
        found = []
        for stem in [f"{g.place.etc}/{kind}", *_older(g, kind)]:
            try:
                text = g.files.read(f"{stem}.json", MAX_FILE).decode()
            except (Refused, FileNotFoundError, UnicodeDecodeError):
                continue
            signatures = _signatures(g, f"{stem}.sigs")
            left -= len(text) + sum(map(len, signatures))
            if left < 0:
                answer["cut"] = True
                break
            found.append({"text": text, "signatures": signatures})
        answer[kind] = found
    return answer


def _older(g: Guard, kind: str) -> list[str]:
    folder = f"{g.place.etc}/chain"
    serials = []
    try:
        for name in os.listdir(folder):
            stem, dot, end = name.partition(".")
            serial = stem[len(kind) + 1 :]
            if stem.startswith(kind + "-") and dot and end == "json" and serial.isdigit():
                serials.append(int(serial))
    except OSError:
        pass
    return [f"{folder}/{kind}-{serial}" for serial in sorted(serials, reverse=True)]


def _signatures(g: Guard, path: str) -> list[str]:
    try:
        kept = g.files.read_json(path, MAX_FILE).get("signatures", [])
    except (Refused, FileNotFoundError):
        return []
    return [each for each in kept if type(each) is str] if type(kept) is list else []
