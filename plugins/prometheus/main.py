"""Metrics of model servers as panels: each host's page, read once a question.

Settings: ``targets``, a table from host to ``http://ADDRESS:PORT/metrics``; ``series``, more names
to show as they are. Without targets, the workstation's page is read at the first granted address.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from console.extend import Note, Panel, PluginHost, Sample, Setup

from .exposition import Page, read
from .fetch import FetchError, fetch, split
from .numbers import Numbers, measure
from .servers import wanted
from .show import items, samples

BUDGET_S = 3.5
"""For all pages of one question; the console waits 5 s. Hosts left over begin the next one."""
MAX_SERIES = 16


@dataclass
class Target:
    """One host's page, and what was read there last."""

    url: str
    numbers: Numbers | None = None
    page: Page | None = None
    at: float = 0.0
    read_at: float = 0.0
    error: str = ""


class Metrics:
    """The plugin."""

    def __init__(self, setup: Setup) -> None:
        """Check the settings; ValueError names what is wrong."""
        self._series = _series(setup)
        self._targets = {host: Target(url) for host, url in _targets(setup).items()}
        self._wanted = wanted(self._series)

    def collect(self, at: float, hosts: Sequence[PluginHost]) -> Iterator[Sample]:
        """Read the pages of these hosts, the one that waited longest first."""
        end = time.monotonic() + BUDGET_S
        known = [(host.name, self._targets[host.name]) for host in hosts if self._has(host)]
        for name, target in sorted(known, key=lambda pair: pair[1].read_at):
            left = end - time.monotonic()
            if left < 0.2:
                break
            self._read(target, at, min(left, 2.0))
            if target.numbers is not None and not target.error:
                yield from samples(name, target.numbers)

    def panels(self, at: float, hosts: Sequence[PluginHost]) -> Iterator[Panel]:
        """What was read, or why it could not be."""
        for host in hosts:
            if not self._has(host):
                continue
            target = self._targets[host.name]
            numbers = target.numbers
            title = f"model server {numbers.server}" if numbers and numbers.server else "metrics"
            if target.error:
                note = Note(text=f"{target.url}: {target.error}", severity="warn")
                yield Panel(host=host.name, title=title, items=(note,))
            elif numbers is not None and target.page is not None:
                told = items(numbers, target.page, self._series)
                yield Panel(host=host.name, title=f"{title} at {target.url}", items=(*told,))

    def _has(self, host: PluginHost) -> bool:
        return host.name in self._targets

    def _read(self, target: Target, at: float, seconds: float) -> None:
        target.read_at = at
        try:
            page = read(fetch(target.url, seconds), self._wanted)
            target.numbers = measure(page, target.numbers, at - target.at)
        except FetchError as error:
            target.error, target.numbers = str(error), None
            return
        except Exception as error:  # noqa: BLE001,RUF100  # one page is no reason to lose the others
            target.error = f"its page cannot be read: {type(error).__name__}: {error}"[:120]
            target.numbers = None
            return
        target.error = ""
        target.page, target.at = page, at


def _targets(setup: Setup) -> dict[str, str]:
    given = setup.settings.get("targets")
    if given is None:
        return {"workstation": f"http://{setup.connect[0]}/metrics"} if setup.connect else {}
    if not isinstance(given, dict) or not all(isinstance(url, str) for url in given.values()):
        raise ValueError('settings.targets must be a table of host = "http://ADDRESS:PORT/metrics"')
    for host, url in given.items():
        try:
            split(url)
        except FetchError as error:
            raise ValueError(f"settings.targets.{host}: {error}") from error
    return dict(given)


def _series(setup: Setup) -> tuple[str, ...]:
    given = setup.settings.get("series", [])
    fine = isinstance(given, list) and all(isinstance(name, str) for name in given)
    if not fine or len(given) > MAX_SERIES:
        raise ValueError(f"settings.series must be a list of at most {MAX_SERIES} names")
    return tuple(given)
