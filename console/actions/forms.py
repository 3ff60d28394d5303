"""The parameters of each action as fields of a form, and typed text as the values they take."""

from collections.abc import Mapping
from typing import Any

import msgspec

from console.errors import ActionError
from console.hostside.guard.host.evidence import PARTS
from console.model.guard import Field
from console.text import clean

_TEXT, _NUMBER, _LIST, _NUMBERS, _VERSIONS = "text", "number", "list", "numbers", "versions"


def _text(name: str, words: str) -> Field:
    return Field(name=name, kind=_TEXT, words=words)


def _number(name: str, words: str, default: str = "") -> Field:
    return Field(name=name, kind=_NUMBER, words=words, default=default)


_MODEL = _text("model", "the model's name")
_VERSION = _text("version", "its version")
_CONFIRM = _number("confirm_s", "seconds until it is undone unless the way in is confirmed", "120")
_SERVICE = _text("service", "a unit that the policy declares, NAME.service")
_USER = _text("user", "the account's name")
_CLIENT = _text("key", "id of the client, as the gateway knows it")
_SHA256 = _text("sha256", "digest of what is to be in force")

FIELDS: dict[str, tuple[Field, ...]] = {
    "isolate": (
        Field(name="mgmt", kind=_LIST, words="networks that may still reach SSH"),
        _CONFIRM,
    ),
    "release": (_text("id", "id of the request that stands"),),
    "disconnect-inbound": (
        Field(name="ports", kind=_NUMBERS, words="ports of the model services"),
        _CONFIRM,
    ),
    "block-source": (
        _text("source", "address or prefix, such as 203.0.113.7 or 203.0.113.0/24"),
        _number("expires_s", "seconds until it ends by itself", "3600"),
        _CONFIRM,
    ),
    "block-api-key": (_CLIENT,),
    "limit-api-key": (_CLIENT, _number("per_minute", "requests a minute that are let through")),
    "restore-firewall": (_SHA256,),
    "restart-hardened": (_SERVICE,),
    "apply-update": (
        Field(name="packages", kind=_VERSIONS, words="packages as NAME=VERSION, several if so"),
    ),
    "block-user": (_USER,),
    "unblock-user": (_USER,),
    "stop-service": (_SERVICE,),
    "start-service": (_SERVICE,),
    "kill-process": (
        _number("pid", "its process id"),
        _number("start_time", "its start in clock ticks since boot, as the process table has it"),
        _text("exe", "its program, as /proc/PID/exe has it"),
    ),
    "collect-evidence": (
        _number("since_s", "seconds of the journal that are packed", "3600"),
        Field(name="include", kind=_LIST, words="parts", default=" ".join(PARTS)),
    ),
    "quarantine-model": (_MODEL, _VERSION),
    "rollback-model": (_MODEL, _text("to", "the earlier version to serve again")),
    "promote-model": (
        _MODEL,
        _VERSION,
        _text("evaluation_sha256", "digest of the evaluation report"),
        _text("manifest_sha256", "digest of the version's manifest"),
    ),
    "secure-delete": (
        _text("path", "what is to be destroyed, an absolute path"),
        _number("device", "device that it lies on, as the inventory shows it"),
        _number("inode", "its inode"),
        Field(name="kind", kind="choice", words="what it is", choices=("file", "tree")),
    ),
    "install-roster": (_SHA256,),
    "install-policy": (_SHA256,),
    "install-guard": (_SHA256,),
}
_FROM_POLICY = {"mgmt": "mgmt_networks", "ports": "api_ports", "confirm_s": "confirm_s"}


def fields(action: str, policy: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields of an action's form in the order in which they are filled in, with what the
    policy suggests."""
    return tuple(_suggested(field, policy) for field in FIELDS.get(action, ()))


def _suggested(field: Field, policy: Mapping[str, Any]) -> Field:
    found = policy.get(_FROM_POLICY.get(field.name, ""))
    if found is None:
        return field
    text = " ".join(map(str, found)) if isinstance(found, list) else str(found)
    return msgspec.structs.replace(field, default=text)


def typed(action: str, params: Mapping[str, Any], policy: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the action takes them: text for a number, list or flag is read as one, and what
    is left out is what the form suggests.

    Raises ActionError. What an action has no field for is left to the action to refuse.
    """
    kinds = {field.name: field for field in fields(action, policy)}
    suggested = {name: field.default for name, field in kinds.items() if field.default}
    return {
        name: _value(kinds[name], value) if name in kinds and isinstance(value, str) else value
        for name, value in {**suggested, **params}.items()
    }


def _value(field: Field, text: str) -> Any:
    text = text.strip()
    if field.kind == _NUMBER:
        return _whole(field, text)
    words = text.replace(",", " ").split()
    if field.kind == _LIST:
        return list(dict.fromkeys(words))
    if field.kind == _VERSIONS:
        pairs = [word.partition("=") for word in words]
        return [{"name": name, "version": version} for name, _, version in pairs]
    if field.kind == _NUMBERS:
        return [_whole(field, word) for word in dict.fromkeys(words)]
    if field.kind == "flag":
        if text not in ("true", "false", "yes", "no"):
            raise ActionError(f"{field.name} takes yes or no", rule="parameters")
        return text in ("true", "yes")
    return text


def _whole(field: Field, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ActionError(
            f"{field.name} is {clean(text, 40)!r}, and takes a whole number",
            hint=field.words,
            rule="parameters",
        )
    return int(text)
