"""What an interactive session has imported: a notebook, IPython, a REPL, or a command's own code.

There is no script to read. What was typed is read instead, as a notebook would be; and what stands
in the session's namespace, whichever way it came there. The notebook's file, where the frontend
says which it is, adds what later cells import: so the image stays the same from cell to cell.
"""

from __future__ import annotations

import dis
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from dask_knot.environment.beside import Beside, own_roots
from dask_knot.environment.imports import ImportFinder, Imports
from dask_knot.environment.syntax import ImportedName

#: What starts other people's code in a process, but is no part of it.
RUNNERS = frozenset(
    (
        *("__mp_main__", "_pydev_bundle", "_pytest", "coverage", "dask", "debugpy", "execnet"),
        *("ipykernel", "ipykernel_launcher", "pydevd", "pytest", "runpy", "xdist"),
    )
)


def running_script() -> Path | None:
    """Give the script that runs; None in an interactive session, and for what is installed."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    path = Path(script) if script else None
    is_command = path is not None and (path.suffix != ".py" or "site-packages" in path.parts)
    return None if is_command or path is None or not path.exists() else path


def is_interactive() -> bool:
    """Tell whether somebody types what is run here, beside or instead of a script."""
    return _shell() is not None or bool(sys.flags.interactive) or hasattr(sys, "ps1")


def session_imports(tops: Mapping[str, set[str]]) -> Imports:
    """Find the modules that this session has imported, and those that its functions will.

    Parameters
    ----------
    tops : mapping of str to set of str
        The packages here by their modules' first names.
    """
    shell, main = _shell(), sys.modules.get("__main__")
    names = dict(vars(main)) if main is not None else {}
    here = Path.cwd()
    finder = ImportFinder(Beside(own_roots(here, sys.path), tops))
    files = [one for one in (running_script(), notebook_file(names)) if one is not None]
    for cell in _history(shell):
        # What was mistyped has been told already, when it was run.
        files += finder.read_text(cell, here / "session", "")
    hidden = getattr(shell, "user_ns_hidden", {})
    for dotted in _namespace({name: one for name, one in names.items() if name not in hidden}):
        if dotted.partition(".")[0] not in RUNNERS:
            beside = finder.own(ImportedName(dotted), here / "session")
            files += beside or ()
            if beside is None:  # it is there: nothing is to be said if no package has it
                finder.need(dotted, is_optional=True)
    finder.read_all(files)
    return finder.found()


def notebook_file(names: Mapping[str, Any]) -> Path | None:
    """Give the file of the notebook whose session this is, where its frontend says which it is."""
    for said in (names.get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME")):
        if isinstance(said, str) and said.endswith(".ipynb") and os.path.isfile(said):
            return Path(said)
    return None


def _shell() -> Any:
    """Give IPython's shell, if there is one."""
    ipython = sys.modules.get("IPython")
    get = getattr(ipython, "get_ipython", None)
    return get() if get is not None else None


def _history(shell: Any) -> Iterator[str]:
    manager = getattr(shell, "history_manager", None)
    for cell in list(getattr(manager, "input_hist_raw", ())):
        if isinstance(cell, str):
            yield cell


def _namespace(names: Mapping[str, Any]) -> Iterator[str]:
    """Give the modules of all that stands in a namespace; nothing of the values is asked."""
    spec = names.get("__spec__")  # of `python -m name`, which is itself wanted
    if spec is not None:
        yield str(spec.name).removesuffix(".__main__")
    for name, value in names.items():
        if isinstance(value, ModuleType):
            yield value.__name__
        elif name.startswith("__"):
            continue
        elif isinstance(value, FunctionType) and value.__module__ == "__main__":
            yield from _imported_by(value.__code__)
        else:
            owner = value if isinstance(value, (type, FunctionType)) else type(value)
            module = owner.__module__
            if isinstance(module, str) and module != "__main__":
                yield module


def _imported_by(code: CodeType) -> Iterator[str]:
    """Give what a function imports when it is called, and the functions in it."""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME" and isinstance(step.argval, str) and step.argval:
            yield step.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imported_by(constant)
