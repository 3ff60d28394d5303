"""Where the files that ship beside the code are: themes, plugins and sample configurations.

In a checkout they are top-level folders; in an installed wheel they lie in ``console/_shipped``.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Folder ``themes``, ``plugins`` or ``sample_configs`` as shipped with this version."""
    installed = _PACKAGE / "_shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
