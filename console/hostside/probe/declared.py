"""What the host's administrator declares to the probe: ``/etc/watchfloor/probe.json``.

The file must be owned by root and not writable by others, and so must its folder: who can change
it can make the probe read files and ask services. It is never taken from the console.

    {
      "sources": [{
        "name": "chat",                      name of the model source
        "kind": "vllm",                      vllm, tgi, triton, sglang, ollama, directory, ...
        "unit": "vllm.service",              systemd unit that serves it
        "container": "vllm",                 or the container
        "path": "/srv/models/chat",          folder with one entry for each version
        "url": "http://127.0.0.1:8000",      loopback address of its metrics
        "series": ["vllm:num_requests_running"]
      }],
      "weights": ["/srv/models"],            folders and files whose openers are watched
      "identifiers": ["my-gateway"]          log identifiers whose lines are sent as events
    }

Everything may be left out. A path of a source is watched like ``weights``.
"""

from __future__ import annotations

import json
import os
import re
import stat

from .place import Place, slurp_all, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "/etc/watchfloor/probe.json"
MAX_SIZE = 256 * 1024
MAX_ITEMS = 64
_TEXTS = ("name", "kind", "unit", "container", "path", "url")
_loopback = re.compile(
    r"https?://(?:127(?:\.\d{1,3}){3}|localhost|\[::1\])(?::\d{1,5})?(?:/[!-~]*)?\Z"
)
_identifier = re.compile(r"[\w.@:\-]{1,64}\Z")


class Declared:
    """``sources`` (dictionaries with all keys above), ``weights`` (paths), ``identifiers``.

    ``error`` says why a file that is there was not used, in whole or in part.
    """

    def __init__(self) -> None:
        self.sources: list[dict[str, Any]] = []
        self.weights: tuple[str, ...] = ()
        self.identifiers: tuple[str, ...] = ()
        self.error = ""


def load(place: Place, owner: int = 0) -> Declared:
    """Read the file; never raises. ``owner`` is the user id that must own it."""
    declared = Declared()
    path = place.path(FILE)
    try:
        for item in (os.path.dirname(path), path):
            about = os.stat(item)
            if about.st_uid != owner or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                declared.error = FILE + " is not owned by root, or others may write it"
                return declared
        if about.st_size > MAX_SIZE:
            declared.error = FILE + " is too large"
            return declared
        whole = json.loads(slurp_all(path, MAX_SIZE).decode("utf-8"))
    except FileNotFoundError:
        return declared
    except OSError as error:
        declared.error = FILE + ": " + (error.strerror or "cannot be read")
        return declared
    except (ValueError, RecursionError):
        declared.error = FILE + " is not JSON"
        return declared
    _fill(declared, whole)
    return declared


def _fill(declared: Declared, whole: Any) -> None:
    if not isinstance(whole, dict):
        declared.error = FILE + " does not hold an object"
        return
    wrong = [str(key) for key in whole if key not in ("sources", "weights", "identifiers")]
    weights = []
    for number, item in enumerate(_list(whole.get("sources"))):
        source = _source(item)
        if source is None:
            wrong.append(f"sources[{number}]")
            continue
        declared.sources.append(source)
        if source["path"]:
            weights.append(source["path"])
    for item in _list(whole.get("weights")):
        if isinstance(item, str) and _a_folder(item):
            weights.append(item)
        else:
            wrong.append("weights")
    names = []
    for item in _list(whole.get("identifiers")):
        if isinstance(item, str) and _identifier.match(item):
            names.append(item)
        else:
            wrong.append("identifiers")
    declared.weights = tuple(dict.fromkeys(weights))
    declared.identifiers = tuple(dict.fromkeys(names))
    if wrong:
        declared.error = words(FILE + ": not understood: " + ", ".join(dict.fromkeys(wrong)), 256)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value[:MAX_ITEMS] if isinstance(value, list) else [None]


def _a_folder(path: str) -> bool:
    """Absolute, without ``..``, and not the whole system: every process would be an opener."""
    return (
        len(path) < 1024
        and path.startswith("/")
        and "\0" not in path
        and ".." not in path.split("/")
        and path.strip("/") not in ("", "usr", "lib", "etc", "proc", "sys", "dev")
    )


def _source(item: Any) -> dict[str, Any] | None:
    if not isinstance(item, dict) or set(item) - {*_TEXTS, "series"}:
        return None
    source: dict[str, Any] = {}
    for key in _TEXTS:
        value = item.get(key, "")
        if not isinstance(value, str):
            return None
        source[key] = words(value) if key != "path" else value
    series = item.get("series", [])
    if not isinstance(series, list) or not all(isinstance(name, str) for name in series):
        return None
    source["series"] = [words(name, 128) for name in series[:MAX_ITEMS]]
    named = bool(source["name"])
    path_ok = not source["path"] or _a_folder(source["path"])
    url_ok = not source["url"] or bool(_loopback.match(source["url"]))
    return source if named and path_ok and url_ok else None
