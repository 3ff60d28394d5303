"""Pieces of shell that several scripts are made of."""

from base64 import b64encode

END = "WATCHFLOOR_END"

PYTHON = """\
# A system's own interpreter, for the account cannot reach one in somebody's home.
python=""
for found in /usr/bin/python3 /usr/libexec/platform-python /usr/bin/python3.[89] \\
    /usr/bin/python3.1[0-9] "$(command -v python3 || true)"; do
    [ -x "$found" ] || continue
    if "$found" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 8))'; then
        python=$found
        break
    fi
done
[ -n "$python" ] || stop "Python 3.8 or newer is missing: install python3"
"""


def written(path: str, text: str, mode: str = "644") -> str:
    """Shell that writes ``text`` to ``path`` as a whole; ``@PYTHON@`` becomes the interpreter."""
    return (
        f"sed \"s|@PYTHON@|$python|g\" >'{path}.new' <<'{END}'\n{text}{END}\n"
        f"chmod {mode} '{path}.new'\nmv '{path}.new' '{path}'\n"
    )


def wrapped(data: bytes) -> str:
    """Base64 in lines of 76."""
    text = b64encode(data).decode()
    return "\n".join(text[at : at + 76] for at in range(0, len(text), 76))


def decoded(path: str, data: bytes, mode: str) -> str:
    """Shell that writes bytes to ``path`` as a whole."""
    return (
        f"base64 -d >'{path}.new' <<'{END}'\n{wrapped(data)}\n{END}\n"
        f"chmod {mode} '{path}.new'\nmv '{path}.new' '{path}'\n"
    )
