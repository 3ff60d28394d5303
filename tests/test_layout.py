"""The house keeps its shape: sizes, documentation, and calls that may only be in one room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "console").rglob("*.py")) + sorted((ROOT / "plugins").rglob("*.py"))
MAX_LINES = 400
MAX_FUNCTION = 60

# Rooms that may run programs of the system, and why.
MAY_RUN_PROGRAMS = (
    "console/ssh/",  # the system's ssh, as second transport and to read its configuration
    "console/fleet/workstation/",  # facts of this machine that only its own tools know
    "console/hostside/",  # journalctl, nft, sshd -T, rpm on the host
    "console/tui/takeaway/clipboard.py",  # the clipboard programs of this workstation
    "console/engine/plugins/",  # each plugin is a process of its own
    "console/demo/",  # the real probe of this machine
    "console/trust/sign",  # the signer, a process of its own, and ssh-keygen in it
    "console/trust/sign",  # the signer in a process of its own, and ssh-keygen in that
    "console/enroll/remote.py",  # the system's ssh, by an administrator's login
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.fixture(params=MODULES, ids=name, scope="module")
def module(request: pytest.FixtureRequest) -> tuple[Path, ast.Module]:
    path: Path = request.param
    return path, ast.parse(path.read_text(encoding="utf-8"))


def test_a_module_fits_in_a_head(module: tuple[Path, ast.Module]) -> None:
    path, _ = module
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_a_function_fits_on_a_screen(module: tuple[Path, ast.Module]) -> None:
    _, tree = module
    long = [
        f"{item.name} ({item.end_lineno - item.lineno + 1})"
        for item in functions(tree)
        if item.end_lineno is not None and item.end_lineno - item.lineno >= MAX_FUNCTION
    ]
    assert not long


def test_what_is_public_is_documented(module: tuple[Path, ast.Module]) -> None:
    path, tree = module
    bare = [] if ast.get_docstring(tree) or path.name == "__init__.py" else ["the module"]
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not node.name.startswith("_") and not ast.get_docstring(node):
            bare.append(node.name)
    assert not bare


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def test_no_shell_and_no_markup(module: tuple[Path, ast.Module]) -> None:
    path, tree = module
    wrong = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        target = called(node)
        if target.endswith((".from_markup", "os.system", "os.popen", "create_subprocess_shell")):
            wrong.append(f"{node.lineno}: {target}")
        for keyword in node.keywords:
            true = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
            if keyword.arg in ("shell", "markup") and true:
                wrong.append(f"{node.lineno}: {keyword.arg}=True")
    assert not wrong, name(path)


def test_programs_are_run_in_few_rooms(module: tuple[Path, ast.Module]) -> None:
    path, tree = module
    if name(path).startswith(MAY_RUN_PROGRAMS):
        return
    used = [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(a.name == "subprocess" for a in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "subprocess")
        or (isinstance(node, ast.Attribute) and node.attr == "create_subprocess_exec")
    ]
    assert not used


def test_the_host_side_imports_only_relatively() -> None:
    wrong = []
    for path in (ROOT / "console/hostside").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            wrong += [f"{name(path)}: {n}" for n in names if n.split(".")[0] == "console"]
    assert not wrong
