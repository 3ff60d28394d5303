"""Rows in the order of their parents, with guides. Parents are what a host says, so they may lie.

Siblings stand in the order of the best-placed row below them: a worker that uses most brings its
parent up, as far down as it may be.
"""

from collections.abc import Callable, Collection, Hashable, Sequence

DEEPEST = 12
"""Levels that are drawn; what is deeper stands at the last of them."""
_ASCII = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-"})
_PASS, _NONE, _TEE, _END = "│ ", "  ", "├─", "└─"

Parents = dict[Hashable, "Hashable | None"]


class Tree:
    """Arranges keys; then ``guide`` and ``kin`` say how each row is drawn."""

    def __init__(self, parent: Callable[[Hashable], "Hashable | None"]) -> None:
        """``parent`` names the parent of a key; one that is not among the rows counts as none."""
        self._parent = parent
        self._guides: dict[Hashable, str] = {}
        self._kin: set[Hashable] = set()

    def arrange(
        self, keys: Sequence[Hashable], stays: Collection[Hashable] | None = None
    ) -> list[Hashable]:
        """``keys``, which are in their own order, below their parents.

        With ``stays`` only those and their ancestors are kept.
        """
        parents = self._sound(keys)
        self._kin = set()
        if stays is not None:
            kept = set(stays)
            for key in stays:
                above = parents.get(key)
                while above is not None and above not in kept:
                    kept.add(above)
                    self._kin.add(above)
                    above = parents[above]
            keys = [key for key in keys if key in kept]
        return self._walk(_families(keys, parents))

    def guide(self, key: Hashable, *, ascii_only: bool = False) -> str:
        """The lines from its ancestors to a key; "" for one without a parent."""
        guide = self._guides.get(key, "")
        return guide.translate(_ASCII) if ascii_only else guide

    def kin(self, key: Hashable) -> bool:
        """Whether a key is there only for the sake of what is below it."""
        return key in self._kin

    def _sound(self, keys: Sequence[Hashable]) -> Parents:
        """Parents that are there, without circles: whoever closes one is a root."""
        there = set(keys)
        parents: Parents = {}
        for key in keys:
            above = self._parent(key)
            parents[key] = above if above in there and above != key else None
        sound: set[Hashable] = set()
        for key in keys:
            path: dict[Hashable, None] = {}
            at: Hashable | None = key
            while at is not None and at not in sound and at not in path:
                path[at] = None
                at = parents[at]
            if at is not None and at in path:
                parents[at] = None
            sound.update(path)
        return parents

    def _walk(self, families: dict[Hashable | None, list[Hashable]]) -> list[Hashable]:
        self._guides = {}
        out: list[Hashable] = []
        waiting = [(key, "", "") for key in reversed(families.get(None, ()))]
        while waiting:
            key, guide, below = waiting.pop()
            out.append(key)
            if guide:
                self._guides[key] = guide
            children = families.get(key)
            if not children:
                continue
            if len(below) >= 2 * DEEPEST:
                waiting += [(child, guide, below) for child in reversed(children)]
                continue
            last = len(children) - 1
            waiting += [
                (child, below + (_END if n == last else _TEE),
                 below + (_NONE if n == last else _PASS))
                for n, child in zip(range(last, -1, -1), reversed(children), strict=True)
            ]  # fmt: skip
        return out


def _families(keys: Sequence[Hashable], parents: Parents) -> dict[Hashable | None, list[Hashable]]:
    """Children by parent (None: roots), in the order of the first of ``keys`` at or below each."""
    families: dict[Hashable | None, list[Hashable]] = {}
    placed: set[Hashable] = set()
    for key in keys:
        at: Hashable | None = key
        while at is not None and at not in placed:
            placed.add(at)
            above = parents[at]
            families.setdefault(above, []).append(at)
            at = above
    return families
