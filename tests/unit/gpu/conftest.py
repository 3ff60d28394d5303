"""Machines with stub GPUs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.nvml import Child, NoCompiler, Stub, build_stub

Build = Callable[..., Stub]
Start = Callable[[Stub], Child]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Path]:
    """Builds a library without some functions, once."""
    made: dict[tuple[str, ...], Path] = {}

    def get(without: tuple[str, ...]) -> Path:
        if without not in made:
            made[without] = build_stub(tmp_path_factory.mktemp("nvml"), without)
        return made[without]

    return get


@pytest.fixture
def build(tmp_path: Path, library: Callable[[tuple[str, ...]], Path]) -> Build:
    """Makes a machine: ``build(gpus=2, without=("V3",))``."""

    def make(gpus: int = 1, without: tuple[str, ...] = ()) -> Stub:
        try:
            return Stub(tmp_path / "host", gpus, library(without))
        except NoCompiler as reason:
            pytest.skip(str(reason))

    return make


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that watches a machine's GPUs; it is ended after the test."""
    with ExitStack() as stack:

        def run(stub: Stub) -> Child:
            return stack.enter_context(Child(stub, stub.proc, stub.sys))

        yield run
