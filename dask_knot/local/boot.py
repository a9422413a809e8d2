"""Starts the fork server with an import path on which nothing of the user's lies.

It is run as a file, ``python boot.py MODULE DESCRIPTOR ROOT FOLDER…``: ``python -m`` would look
into the current folder first, and so into a ``json.py`` that happens to lie there.
"""

import sys

_, module, _, root, *path = sys.argv
# Before anything else is imported: the folder of this file comes first.
sys.path[:] = path

import runpy  # noqa: E402
from importlib.machinery import PathFinder  # noqa: E402
from importlib.util import module_from_spec  # noqa: E402


def _load(package: str) -> None:
    """Import this very package from where the client has it, whatever else is installed."""
    spec = PathFinder.find_spec(package, [root])
    assert spec is not None
    assert spec.loader is not None
    sys.modules[package] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[package])


_load(module.partition(".")[0])
runpy.run_module(module, run_name="__main__", alter_sys=True)
