"""The imports of a script, a notebook or a folder: read from the source, nothing is run."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dask_knot.errors import ImageError

#: Folders that hold other people's code, beside those that pipreqs leaves out.
FOREIGN = (".venv", "node_modules", "site-packages", "build", "dist", ".eggs", ".nox")
#: Lines that only IPython understands: magics, shell commands, and questions.
MAGIC = re.compile(r"^([ \t]*)(?:[%!?].*|[\w, ]+=[ \t]*[%!].*|.*\?[ \t]*)$", re.MULTILINE)
#: What is imported only by other packages, when these words stand in the source.
IMPLIED = {
    r"dask\.dataframe|dask import dataframe": ("pandas", "pyarrow"),
    r"parquet": ("pyarrow",),
    r"zarr": ("zarr",),
    r"open_(mf)?dataset|netcdf": ("netCDF4", "h5netcdf", "scipy"),
    r"s3://": ("s3fs",),
    r"read_excel": ("openpyxl",),
}


@dataclass(frozen=True, slots=True)
class Imports:
    """The modules that a source imports.

    Attributes
    ----------
    names : tuple of str
        Modules that are neither Python's own nor part of the source.
    implied : tuple of str
        Modules that some of those import at need: wanted if they are installed here.
    own : tuple of str
        Modules beside the source: jobs have them only if they are packages.
    unread : tuple of str
        Files that are no valid Python.
    """

    names: tuple[str, ...]
    implied: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def find_imports(source: Path) -> Imports:
    """Find the modules that a script, a notebook or all files of a folder import.

    Of a script, the modules beside it that it imports are read as well.

    Raises
    ------
    ImageError
        If there is no such file, or it is neither a script nor a notebook.
    """
    if not source.is_dir() and source.suffix not in (".py", ".pyw", ".ipynb"):
        raise ImageError(
            f"{source} can't be searched for imports: name a script (.py), a notebook (.ipynb) or "
            "a folder, or list the packages"
        )
    if not source.exists():
        raise ImageError(f"{source} can't be searched for imports: there is no such file")
    with tempfile.TemporaryDirectory(prefix="dask-knot-imports-") as folder:
        scripts = _Scripts(Path(folder))
        if source.is_dir():
            for file in _files(source):
                scripts.add(file, file.relative_to(source))
            names = scripts.imports()
        else:
            names = _follow(scripts, source)
        implied = tuple(sorted(scripts.implied() - names))
        return Imports(
            tuple(sorted(names)), implied, tuple(sorted(scripts.own)), tuple(scripts.unread)
        )


def _follow(scripts: _Scripts, script: Path) -> set[str]:
    """Read a script, then what it imports from its own folder, until nothing new comes."""
    scripts.add(script, Path(script.name))
    scripts.own.clear()
    while True:
        names = scripts.imports()
        beside = {name: found for name in names if (found := _beside(script.parent, name))}
        if not beside:
            return names
        for name, found in beside.items():
            scripts.own.add(name)
            for file in _files(found) if found.is_dir() else [found]:
                scripts.add(file, file.relative_to(script.parent))


def _beside(folder: Path, name: str) -> Path | None:
    for path in (folder / f"{name}.py", folder / name):
        if path.is_file() or (path / "__init__.py").is_file():
            return path
    return None


def _files(folder: Path) -> Iterator[Path]:
    """Give the scripts and notebooks of a folder, other people's left out."""
    for path in sorted(folder.iterdir()):
        is_foreign = path.name in FOREIGN or (path / "pyvenv.cfg").exists()
        if path.is_dir() and not is_foreign and not path.name.startswith("."):
            yield from _files(path)
        elif path.suffix in (".py", ".pyw", ".ipynb"):
            yield path


class _Scripts:
    """A folder of copies that can all be parsed, for pipreqs, which stops at one that can't."""

    def __init__(self, folder: Path) -> None:
        # pipreqs takes the name of the folder for a module of ours: it must be nobody's.
        self._folder = folder / "dask-knot"
        self.own: set[str] = set()
        self.unread: list[str] = []

    def add(self, file: Path, name: Path) -> None:
        """Copy a file; a notebook becomes a script."""
        target = (self._folder / name).with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if file.suffix == ".ipynb":
                target.write_text(script_of(json.loads(file.read_text(encoding="utf-8"))))
            else:
                ast.parse(file.read_bytes())
                shutil.copyfile(file, target)
        except (SyntaxError, ValueError, KeyError):
            self.unread.append(str(file))
            target.unlink(missing_ok=True)

    def implied(self) -> set[str]:
        """Look for the words that stand for a module which nobody imports by name."""
        text = "\n".join(file.read_text("utf-8", "replace") for file in self._folder.rglob("*.py"))
        words = (names for pattern, names in IMPLIED.items() if re.search(pattern, text, re.I))
        return {name for names in words for name in names}

    def imports(self) -> set[str]:
        """Ask pipreqs for what is imported; its own list of Python's modules is an old one."""
        from pipreqs import pipreqs

        if not self._folder.exists():
            return set()
        found: set[str] = set(pipreqs.get_all_imports(str(self._folder)))
        return found - sys.stdlib_module_names - {"__future__"}


def script_of(notebook: dict[str, Any]) -> str:
    """Join the cells of a notebook that are Python: pure."""
    cells = []
    for cell in notebook["cells"]:
        lines = cell["source"]
        text = lines if isinstance(lines, str) else "".join(lines)
        if cell["cell_type"] != "code" or text.lstrip().startswith("%%"):
            continue
        text = MAGIC.sub(r"\1pass", text)
        try:
            ast.parse(text)
        except SyntaxError:
            continue
        cells.append(text)
    return "\n\n".join(cells)
