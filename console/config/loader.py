"""The configuration in force: layers of TOML, environment and flags, each value with its origin.

Lowest first: defaults, ``/etc/watchfloor/config.toml``, the user's ``config.toml``,
``./watchfloor.toml``, variables ``WATCHFLOOR_*``, flags. Tables merge key by key; hosts of all
files follow each other.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from console.config.check import unshowable, worded
from console.config.document import SETTINGS, Colleague, Operator, Plugin, Ui
from console.config.files import read_layer
from console.config.hosts import Entry, Fleet, build
from console.config.layer import PROJECT, Layer, nearest
from console.config.operator import colleagues, operator
from console.config.origin import Origin
from console.config.plugins import merged
from console.errors import ConfigError, UsageError
from console.model.host import Host
from console.text import clean

SYSTEM_FILE = Path("/etc/watchfloor/config.toml")
PROJECT_FILE = "watchfloor.toml"
PREFIX = "WATCHFLOOR_"
FILE_VARIABLE = "WATCHFLOOR_CONFIG"
OF_PROJECTS = ("ui.title",)
"""Settings that count in a file that was found by its place."""

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything configured. ``hosts`` are those to watch, in order.

    ``known`` also holds the hosts that a selection left out, because they may be jump hosts.
    """

    hosts: tuple[Host, ...] = ()
    known: Mapping[str, Host] = {}
    workstation: bool = True
    state_dir: Path = Path()
    read_only: bool = False
    history: bool = True
    ui: Ui = Ui()
    operator: Operator = Operator()
    operators: Mapping[str, Colleague] = {}  # who else may sit down here, by person
    keys: Mapping[str, str] = {}  # of the screens, by id of an action
    plugins: Mapping[str, Plugin] = {}
    files: tuple[str, ...] = ()  # read, lowest layer first
    warnings: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()  # tables that no host takes values from, with their place
    origins: Mapping[str, Origin] = {}  # of settings, by dotted path
    entries: Mapping[str, Entry] = {}  # of hosts, by name

    def origin(self, path: str) -> Origin:
        """Where a value came from: ``ui.theme``, ``hosts.gpu01`` or ``hosts.gpu01.user``.

        A field that nothing sets has the layer ``default``. Raises ConfigError for an unknown path.
        """
        if path in SETTINGS or path.startswith(("plugins.", "operator.", "operators.")):
            return self.origins.get(path, Origin("default"))
        table, _, rest = path.partition(".")
        name, field = (rest, "") if rest in self.entries else rest.rpartition(".")[::2]
        if table != "hosts" or name not in self.entries:
            raise ConfigError(f"nothing is called {clean(path, 80)!r}")
        if not field:
            return self.entries[name].origin
        if field not in Host.__struct_fields__:
            hint = nearest(field, Host.__struct_fields__)
            raise ConfigError(f"a host has no {clean(field, 80)!r}", hint=hint)
        if f"host_keys.{name}" in self.origins and field == "host_key":
            return self.origins[f"host_keys.{name}"]
        found = self.entries[name].values.get(field)
        return found[1] if found else Origin("default")


def load(
    *,
    only_file: Path | None = None,
    flags: Mapping[str, str] = MappingProxyType({}),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Config:
    """Read and check everything.

    ``only_file`` (or the variable WATCHFLOOR_CONFIG) stands for all files, and then no other
    variable counts. ``flags`` are settings by dotted path, as text. Raises ConfigError, and
    UsageError for a flag.
    """
    variables = os.environ if env is None else env
    if only_file is None and variables.get(FILE_VARIABLE):
        only_file = Path(variables[FILE_VARIABLE])
    if only_file is not None:
        layers = [read_layer(only_file.expanduser(), "file")]
        variables = {}
    else:
        layers = _found(cwd or Path.cwd())
    settings, origins, warnings = _settings(layers, variables, flags)
    fleet = build(layers)
    warnings += [f"[host_keys] names no host: {clean(name, 80)}" for name in fleet.unused_keys]
    warnings += [f"[guard_ids] names no host: {clean(name, 80)}" for name in fleet.unused_ids]
    warnings += fleet.withheld
    for layer in layers:
        for name in layer.data.get("host_keys", {}):
            entry = fleet.entries.get(name)
            if layer.name == PROJECT and entry is not None and entry.layer.name != PROJECT:
                continue
            origins[f"host_keys.{name}"] = layer.origin("host_keys", name)
    keys = _keys(layers, origins, warnings)
    plugins, places, withheld = merged(layers)
    person, of_person, ignored = operator(layers)
    others, of_others, left = colleagues(layers)
    origins |= places | of_person | of_others
    warnings += withheld + ignored + left
    files = tuple(layer.file for layer in layers)
    config = _config(settings, origins, warnings, fleet, files)
    return msgspec.structs.replace(
        config,
        keys=keys,
        plugins=MappingProxyType(plugins),
        operator=person,
        operators=MappingProxyType(others),
    )


def without_files(flags: Mapping[str, str]) -> Mapping[str, Any]:
    """Every setting by path as variables and ``flags`` have it, else its default: for what reads no
    configuration file. Raises ConfigError, and UsageError for a flag."""
    return _settings([], os.environ, flags)[0]


def user_file() -> Path:
    """The user's own configuration file."""
    from platformdirs import user_config_path

    return user_config_path("watchfloor") / "config.toml"


def default_state_dir() -> Path:
    """Where state is kept unless ``state_dir`` says otherwise."""
    from platformdirs import user_state_path

    return user_state_path("watchfloor")


def _found(cwd: Path) -> list[Layer]:
    """Files that exist; one that stands for two layers counts once."""
    layers = []
    seen: set[Path] = set()
    for path, name in (
        (SYSTEM_FILE, "system"),
        (user_file(), "user"),
        (cwd / PROJECT_FILE, PROJECT),
    ):
        real = path.resolve()
        if real not in seen and os.path.lexists(path):
            layers.append(read_layer(path, name, found_in_cwd=name == PROJECT))
            seen.add(real)
    return layers


def _settings(
    layers: list[Layer], env: Mapping[str, str], flags: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Origin], list[str]]:
    values = dict(SETTINGS)
    origins: dict[str, Origin] = {}
    warnings: list[str] = []
    for layer in layers:
        for path in SETTINGS:
            table, _, key = path.rpartition(".")
            data = layer.data.get(table, {}) if table else layer.data
            if key not in data:
                continue
            if layer.name == PROJECT and path not in OF_PROJECTS:
                # A file that merely lies in the working directory describes hosts. It must not say
                # where we write, what is kept, or how often somebody looks.
                place = layer.origin(*path.split("."))
                warnings.append(f"{place}: {path} is ignored in a file found by its place")
            else:
                values[path], origins[path] = data[key], layer.origin(*path.split("."))
    names = {PREFIX + path.replace(".", "_").upper(): path for path in SETTINGS}
    for variable in sorted(env):
        if variable in names:
            path = names[variable]
            values[path] = _from_text(env[variable], SETTINGS[path], variable)
            origins[path] = Origin("environment", variable)
        elif variable.startswith(PREFIX) and variable != FILE_VARIABLE:
            hint = nearest(variable, names)
            warnings.append(f"variable {clean(variable, 80)} is not known. {hint}".strip())
    for path, value in flags.items():
        if path not in SETTINGS:
            hint = nearest(path, SETTINGS) or f"Known: {', '.join(SETTINGS)}."
            raise UsageError(f"no setting is called {clean(path, 80)!r}", hint=hint)
        values[path] = _from_text(value, SETTINGS[path], f"--set {path}")
        origins[path] = Origin("flag", f"--set {path}")
    return values, origins, warnings


def _keys(
    layers: list[Layer], origins: dict[str, Origin], warnings: list[str]
) -> Mapping[str, str]:
    """``[keys]`` of all layers, key by key."""
    keys: dict[str, str] = {}
    for layer in layers:
        table = layer.data.get("keys", {})
        if table and layer.name == PROJECT:
            # Whoever planted the file must not decide what a key of this person does.
            place = layer.origin("keys")
            warnings.append(f"{place}: keys are ignored in a file found by its place")
            continue
        for id, text in table.items():
            keys[id] = text if isinstance(text, str) else ",".join(text)
            origins[f"keys.{id}"] = layer.origin("keys", id)
    return MappingProxyType(keys)


def _from_text(text: str, default: object, variable: str) -> object:
    """A variable as the kind of value that its setting has."""
    if isinstance(default, bool):
        if text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
        raise ConfigError(f"{clean(text, 40)!r} is neither true nor false", where=variable)
    if isinstance(default, float):
        try:
            return float(text)
        except ValueError:
            raise ConfigError(f"{clean(text, 40)!r} is not a number", where=variable) from None
    fault = unshowable(text)
    if fault:
        raise ConfigError(fault, where=variable)
    return text


def _config(
    settings: dict[str, Any],
    origins: dict[str, Origin],
    warnings: list[str],
    fleet: Fleet,
    files: tuple[str, ...],
) -> Config:
    ui: dict[str, Any] = {
        path.removeprefix("ui."): value for path, value in settings.items() if "." in path
    }
    try:
        checked = msgspec.convert(ui, Ui)
    except msgspec.ValidationError as exc:
        place = str(exc).rpartition("$.")[2].rstrip("`")
        origin = origins.get(f"ui.{place}", Origin("default"))
        said, _ = worded(str(exc).partition(" - at `")[0], (), Ui)
        raise ConfigError(f"ui.{place}: {clean(said, 200)}", where=str(origin)) from exc
    state_dir = settings["state_dir"]
    return Config(
        hosts=fleet.hosts,
        known=MappingProxyType({host.name: host for host in fleet.hosts}),
        workstation=settings["workstation"],
        read_only=settings["read_only"],
        history=settings["history"],
        state_dir=Path(state_dir).expanduser().absolute() if state_dir else default_state_dir(),
        ui=checked,
        files=files,
        warnings=tuple(warnings),
        unused=fleet.unused,
        origins=MappingProxyType(origins),
        entries=MappingProxyType(fleet.entries),
    )
