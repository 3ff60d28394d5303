"""Which host keys are pinned now, and whether a person has stored others since."""

from collections.abc import Callable, MutableMapping

from console.model.host import Host

Reload = Callable[[str], Host | None]
"""Reads a host's entry anew; None where it is gone. Raises WatchfloorError or OSError."""
Pins = tuple[tuple[str, ...], ...]


class Trusted:
    """The inventory's pins of hosts and of the jump hosts on their way."""

    def __init__(self, known: MutableMapping[str, Host], reload: Reload | None = None) -> None:
        """``known`` is what the transports look jump hosts up in; it is changed by ``renew``."""
        self._known = known
        self._reload = reload

    def _way(self, spec: Host) -> list[str]:
        names: list[str] = []
        todo = list(spec.jump)
        while todo:
            name = todo.pop()
            if name not in names and name != spec.name:
                names.append(name)
                hop = self._known.get(name)
                todo += hop.jump if hop is not None else ()
        return sorted(names)

    def pins(self, spec: Host) -> Pins:
        """Everything that a connection to ``spec`` is checked against, to compare."""
        hops = [self._known.get(name) for name in self._way(spec)]
        every = [spec, *(hop for hop in hops if hop is not None)]
        return tuple(keys for host in every for keys in (host.host_key, host.host_ca))

    def renew(self, spec: Host) -> Host | None:
        """The entry of ``spec`` as it is stored now; None where it is gone.

        Reads files, so it is for a thread. Raises what ``Reload`` raises.
        """
        if self._reload is None:
            return spec
        fresh = self._reload(spec.name)
        if fresh is None:
            return None
        for name in self._way(fresh):
            hop = self._reload(name)
            if hop is not None:
                self._known[name] = hop
        self._known[fresh.name] = fresh
        return fresh
