"""What may stand in a configuration file: the types that every layer is checked against.

The JSON Schema of ``watchfloor config schema`` and the tables of docs/configuration.md follow from
these types, so a description here is the documentation.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Text = str | UnsetType
Texts = str | list[str] | UnsetType
Flag = bool | UnsetType
KeyLines = str | list[str]
Port = Annotated[int, Meta(ge=1, le=65_535)]
Tier = Literal[0, 1, 2]
Way = Literal["asyncssh", "openssh"]
Motion = Literal["full", "reduced"]
Plots = Literal["auto", "braille", "block", "ascii"]


class HostDefaults(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What ``[defaults]``, ``[sites.NAME]`` and ``[groups.NAME]`` may lend to hosts."""

    address: Annotated[Text, Meta(description="DNS name or IP address; {name}, {n} and ranges")] = (
        UNSET
    )
    port: Annotated[Port | UnsetType, Meta(description="SSH port, 22 unless set")] = UNSET
    user: Annotated[Text, Meta(description="account on the host, wfmon unless set")] = UNSET
    key: Annotated[Text, Meta(description="file of the private key")] = UNSET
    certificate: Annotated[
        Text, Meta(description="file of the user certificate; KEY-cert.pub where it exists")
    ] = UNSET
    agent: Annotated[Flag, Meta(description="also offer the keys of the running SSH agent")] = UNSET
    host_key: Annotated[Texts, Meta(description="public key line, or lines, of the host")] = UNSET
    host_ca: Annotated[
        Texts, Meta(description="public key line, or lines, of authorities for host certificates")
    ] = UNSET
    jump: Annotated[Texts, Meta(description="names of jump hosts, outermost first")] = UNSET
    transport: Annotated[
        Way | UnsetType, Meta(description="asyncssh, or openssh for the system's ssh program")
    ] = UNSET
    tier: Annotated[
        Tier | UnsetType, Meta(description="0 agentless, 1 forced command, 2 sensor")
    ] = UNSET
    python: Annotated[Text, Meta(description="Python 3 on the host, tier 0 only")] = UNSET
    compression: Annotated[Flag, Meta(description="compress the connection")] = UNSET
    groups: Annotated[Texts, Meta(description="groups; the first one's values win")] = UNSET
    site: Annotated[Text, Meta(description="site, for example a data centre")] = UNSET
    zone: Annotated[Text, Meta(description="network zone")] = UNSET
    environment: Annotated[Text, Meta(description="production, staging, ...")] = UNSET
    risk: Annotated[Text, Meta(description="risk class in your own words")] = UNSET
    owner: Annotated[Text, Meta(description="team or person who answers for the host")] = UNSET
    tags: Annotated[Texts, Meta(description="free labels")] = UNSET
    listeners: Annotated[
        Texts, Meta(description="declared listeners: tcp/22, tcp/127.0.0.1:8000")
    ] = UNSET


class HostEntry(HostDefaults, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One ``[[hosts]]``: a host, or many by a range in ``name``."""

    name: Annotated[str, Meta(description="unique name; gpu[001-128] stands for 128 hosts")]
    guard_id: Annotated[
        Text, Meta(description="host_id of the host's guard, as its enrolment printed it")
    ] = UNSET


class Ui(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """``[ui]``: the terminal."""

    title: Annotated[str, Meta(description="shown in the title line")] = ""
    refresh_s: Annotated[
        float, Meta(ge=0.1, le=60.0, description="seconds between two paints of a table")
    ] = 0.5
    theme: Annotated[
        str, Meta(description="name of a theme, see themes.md; `auto` is what fits the terminal")
    ] = "auto"
    motion: Annotated[
        Motion, Meta(description="reduced: nothing moves by itself, one paint a second at most")
    ] = "full"
    bell: Annotated[
        bool, Meta(description="the terminal's bell, once, when a request waits for you")
    ] = True
    layout: Annotated[
        str, Meta(description="the layout to begin with; empty is the last that was used")
    ] = ""
    plot: Annotated[
        Plots, Meta(description="what plots are drawn with; `auto` is what fits the terminal")
    ] = "auto"


class Operator(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """``[operator]``: who signs guarded actions at this console."""

    person: Annotated[str, Meta(description="name in the roster; empty: nobody signs here")] = ""
    signing_key: Annotated[
        str, Meta(description="file of the key that signs: the private half, or a hardware key's")
    ] = ""
    login_key: Annotated[
        str, Meta(description="file of the private key that logs in to the guards")
    ] = ""
    login_user: Annotated[str, Meta(description="account of the guards on the hosts")] = "wfops"
    allow_ssh: Annotated[
        bool, Meta(description="sign although this console itself runs over SSH")
    ] = False


class Colleague(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """``[operators.NAME]``: another person of the roster who may sit down at this console.

    There is no login key: the console goes on to log in with its own, so that guards see, and
    record, that two signatures came from one console.
    """

    signing_key: Annotated[
        str,
        Meta(min_length=1, description="file of the key that signs for them, as in [operator]"),
    ]


class Plugin(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """``[plugins.NAME]``: whether a plugin runs, which bytes it must be, and what it may do."""

    enabled: Annotated[bool, Meta(description="run it; needs sha256 too")] = False
    sha256: Annotated[
        str,
        Meta(
            pattern="^([0-9a-f]{64})?$",
            description="digest of its files, as `watchfloor plugins pin NAME` prints it",
        ),
    ] = ""
    hosts: Annotated[
        str, Meta(description="pattern of the hosts that it is asked about, also `workstation`")
    ] = "*"
    connect: Annotated[
        tuple[str, ...], Meta(description="ADDRESS:PORT of the TCP servers that it may speak with")
    ] = ()
    interval_s: Annotated[
        float, Meta(ge=1.0, le=3600.0, description="seconds from one question to the next")
    ] = 5.0
    settings: Annotated[
        dict[str, Any], Meta(description="its own settings, see its page; it checks them itself")
    ] = {}


class Document(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One whole configuration file."""

    workstation: Annotated[Flag, Meta(description="show this machine as a row of its own")] = UNSET
    read_only: Annotated[
        Flag, Meta(description="sign and send nothing to a host's guard from here")
    ] = UNSET
    history: Annotated[Flag, Meta(description="keep history and events in a database")] = UNSET
    state_dir: Annotated[
        Text, Meta(description="folder of the database; empty: the user's state folder")
    ] = UNSET
    ui: Annotated[Ui | UnsetType, Meta(description="the terminal")] = UNSET
    operator: Annotated[
        Operator | UnsetType, Meta(description="who signs guarded actions here")
    ] = UNSET
    operators: Annotated[
        dict[str, Colleague] | UnsetType,
        Meta(description="another person who may sit down here, see `:operator`"),
    ] = UNSET
    plugins: Annotated[
        dict[str, Plugin] | UnsetType, Meta(description="one plugin, see docs/plugins.md")
    ] = UNSET
    keys: Annotated[
        dict[str, KeyLines] | UnsetType,
        Meta(description="keys of the screens by id of an action, see actions.md"),
    ] = UNSET
    defaults: Annotated[
        HostDefaults | UnsetType, Meta(description="values for all hosts of all files")
    ] = UNSET
    sites: Annotated[
        dict[str, HostDefaults] | UnsetType, Meta(description="values for all hosts of a site")
    ] = UNSET
    groups: Annotated[
        dict[str, HostDefaults] | UnsetType, Meta(description="values for all hosts of a group")
    ] = UNSET
    hosts: Annotated[
        list[HostEntry] | UnsetType, Meta(description="one host, or many by a range")
    ] = UNSET
    host_keys: Annotated[
        dict[str, KeyLines] | UnsetType,
        Meta(description="host_key by host name; replaces host_key of that host"),
    ] = UNSET
    guard_ids: Annotated[
        dict[str, str] | UnsetType, Meta(description="guard_id by host name, for hosts of a range")
    ] = UNSET


LISTS = ("host_key", "host_ca", "jump", "groups", "tags", "listeners")
"""Fields that may be written as one string or as a list of strings."""

PATHS = ("key", "certificate")
"""Fields that name a file, relative to the file they stand in."""

OPERATOR_PATHS = ("signing_key", "login_key")

SETTINGS: dict[str, Any] = {
    "workstation": True,
    "read_only": False,
    "history": True,
    "state_dir": "",
    "ui.title": "",
    "ui.refresh_s": 0.5,
    "ui.theme": "auto",
    "ui.motion": "full",
    "ui.bell": True,
    "ui.layout": "",
    "ui.plot": "auto",
}
"""Settings that are not about hosts, with their defaults, by dotted path."""


def fields_of(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Names of the keys that a table of this kind may hold."""
    return kind.__struct_fields__
