"""The tree of processes: every row once, below its parent, whatever a host says of parents."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.tui.tables.tree import DEEPEST, Tree


def arranged(parents: dict[int, int], keys: list[int], stays: list[int] | None = None) -> list[str]:
    tree = Tree(lambda key: parents.get(key))  # type: ignore[call-overload]
    return [f"{tree.guide(key)}{key}" for key in tree.arrange(keys, stays)]


def test_children_stand_below_their_parent_with_guides() -> None:
    parents = {1: 0, 2: 0, 3: 1, 4: 1, 5: 3, 6: 2}
    assert arranged(parents, [1, 2, 3, 4, 5, 6]) == [
        "1", "├─3", "│ └─5", "└─4", "2", "└─6",
    ]  # fmt: skip


def test_siblings_keep_the_order_given_and_a_busy_worker_brings_its_parent_up() -> None:
    parents = {1: 0, 2: 1, 3: 1, 30: 3}
    assert arranged(parents, [30, 2, 1, 3]) == ["1", "├─3", "│ └─30", "└─2"]
    assert arranged(parents, [2, 30, 1, 3]) == ["1", "├─2", "└─3", "  └─30"]


def test_a_filter_keeps_the_ancestors_of_what_matches() -> None:
    tree = Tree({1: 0, 2: 1, 3: 2, 4: 1}.get)  # type: ignore[arg-type]
    assert tree.arrange([1, 2, 3, 4], [3]) == [1, 2, 3]
    assert [tree.kin(key) for key in (1, 2, 3)] == [True, True, False]
    assert tree.arrange([1, 2, 3, 4]) == [1, 2, 3, 4]
    assert not tree.kin(1)


def test_guides_in_ascii() -> None:
    tree = Tree({1: 0, 2: 1, 3: 2, 4: 1}.get)  # type: ignore[arg-type]
    tree.arrange([1, 2, 3, 4])
    assert [tree.guide(key, ascii_only=True) for key in (2, 3, 4)] == ["|-", "| `-", "`-"]


def test_circles_orphans_and_a_process_that_is_its_own_parent() -> None:
    assert arranged({1: 2, 2: 3, 3: 1}, [1, 2, 3]) == ["1", "└─3", "  └─2"]
    assert arranged({5: 5, 6: 99}, [5, 6]) == ["5", "6"]
    assert arranged({1: 2, 2: 1, 3: 1}, [1, 2, 3], [3]) == ["1", "└─3"]


def test_no_guide_is_longer_than_the_bound_however_deep_a_host_says_it_is() -> None:
    keys = list(range(1, 5_001))
    lines = arranged({key: key - 1 for key in keys}, keys)
    assert len(lines) == len(keys)
    assert max(len(line) for line in lines) <= 2 * (DEEPEST + 1) + len("5000")


@given(st.dictionaries(st.integers(0, 30), st.integers(0, 40)), st.randoms(), st.data())
def test_every_row_is_there_once_and_only_what_is_asked_for(
    parents: dict[int, int], random: object, data: st.DataObject
) -> None:
    keys = data.draw(st.permutations(sorted(parents)))
    tree = Tree(parents.get)  # type: ignore[arg-type]
    assert sorted(tree.arrange(keys)) == sorted(keys)  # type: ignore[type-var]
    stays = data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    out = tree.arrange(keys, stays)
    assert len(out) == len(set(out))
    assert {key for key in out if not tree.kin(key)} == set(stays)
