"""The imports of a script, a notebook or a folder: read from the source, nothing is run."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dask_knot.environment.beside import Beside, own_roots, scripts_in
from dask_knot.environment.notebooks import cells_of
from dask_knot.environment.sources import Parsed, parse, read_source
from dask_knot.environment.syntax import ImportedName, imported
from dask_knot.errors import ImageError

SCRIPTS = (".py", ".pyw", ".ipy")
#: What is imported only by other packages, when these words stand in the source.
IMPLIED = {
    r"dask\.dataframe|dask import dataframe": ("pandas", "pyarrow"),
    r"parquet": ("pyarrow",),
    r"zarr": ("zarr",),
    r"open_(mf)?dataset|netcdf": ("netCDF4", "h5netcdf", "scipy"),
    r"s3://": ("s3fs",),
    r"read_excel": ("openpyxl",),
}
#: Modules that Python itself has, or that aren't there to be installed.
PYTHONS_OWN = sys.stdlib_module_names | {"__future__", "__main__"}


@dataclass(frozen=True, slots=True)
class Imports:
    """The modules that a source imports.

    Attributes
    ----------
    names : tuple of str
        Modules that are neither Python's own nor part of the source, by their first names.
    implied : tuple of str
        Modules that some of those import at need: wanted if they are installed here.
    own : tuple of str
        Modules beside the source.
    unread : tuple of str
        What could not be read, and why: a line each.
    dotted : tuple of str
        The same as `names`, with all of their names: ``google.cloud.storage``.
    optional : tuple of str
        Those of `names` without which the source does, where it says so itself.
    """

    names: tuple[str, ...]
    implied: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    dotted: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


def find_imports(
    source: Path, installed: Collection[str], path: Sequence[str] | None = None
) -> Imports:
    """Find the modules that a script, a notebook or all files of a folder import.

    Of a script, the modules beside it that it imports are read as well.

    Parameters
    ----------
    source : Path
        A script, a notebook, or a folder.
    installed : collection of str
        The first names of the modules of what is installed here.
    path : sequence of str, optional
        Where else the user's own modules are; by default, where PYTHONPATH says.

    Raises
    ------
    ImageError
        If there is no such file, or it is neither a script nor a notebook.
    """
    if not source.is_dir() and source.suffix not in (*SCRIPTS, ".ipynb"):
        raise ImageError(
            f"{source} can't be searched for imports: name a script (.py), a notebook (.ipynb) or "
            "a folder, or list the packages"
        )
    if not source.exists():
        raise ImageError(f"{source} can't be searched for imports: there is no such file")
    if path is None:
        path = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    finder = ImportFinder(Beside(own_roots(source, path), installed), is_folder=source.is_dir())
    finder.read_all(scripts_in(source, finder.complain) if source.is_dir() else [source])
    return finder.found()


class ImportFinder:
    """Gathers the imports of files, and of the user's own modules that those import.

    Parameters
    ----------
    beside : Beside
        Finds the user's own modules.
    is_folder : bool
        Whether all files of a folder are read anyhow.
    """

    def __init__(self, beside: Beside, is_folder: bool = False) -> None:
        self._beside = beside
        self._is_folder = is_folder
        self._needs: dict[str, bool] = {}  # dotted name: is it optional
        self._implied: set[str] = set()
        self._own: set[str] = set()
        self._unread: dict[str, None] = {}
        self._seen: set[Path] = set()

    def complain(self, line: str) -> None:
        """Note what could not be read."""
        self._unread[line] = None

    def read_all(self, files: Iterable[Path]) -> None:
        """Read files, and what they import of the user's own, until nothing new comes."""
        waiting = list(files)
        while waiting:
            file = waiting.pop(0)
            if (resolved := Path(os.path.realpath(file))) not in self._seen:
                self._seen.add(resolved)
                waiting += self._read(file)

    def read_text(self, text: str, origin: Path, said: str) -> list[Path]:
        """Read a piece of source; give the files of the user's own that it needs.

        What can't be read of it is told if it is `said` where it stands.
        """
        reading = parse(text)
        if reading.trouble and said:
            self.complain(f"{said}: {reading.trouble}; only its import lines are read")
        words = (names for pattern, names in IMPLIED.items() if re.search(pattern, text, re.I))
        self._implied.update(name for names in words for name in names)
        return [*self._imports(reading, origin), *_runs(reading, origin)]

    def need(self, dotted: str, is_optional: bool = False) -> None:
        """Note an import of what isn't the user's own."""
        if dotted.partition(".")[0] not in PYTHONS_OWN:
            self._needs[dotted] = self._needs.get(dotted, True) and is_optional

    def own(self, name: ImportedName, origin: Path) -> list[Path] | None:
        """Find the files of an import of the user's own; None if it isn't his."""
        files = self._beside.files(name, origin, self.complain)
        if files is not None and not name.level:
            self._own.add(name.dotted.partition(".")[0])
        return files

    def found(self) -> Imports:
        """Give what was found so far."""
        names: dict[str, bool] = {}
        for dotted, is_optional in self._needs.items():
            top = dotted.partition(".")[0]
            names[top] = names.get(top, True) and is_optional
        return Imports(
            tuple(sorted(names)),
            tuple(sorted(self._implied - names.keys())),
            () if self._is_folder else tuple(sorted(self._own)),
            tuple(self._unread),
            tuple(sorted(self._needs)),
            tuple(sorted(name for name, is_optional in names.items() if is_optional)),
        )

    def _read(self, file: Path) -> Iterator[Path]:
        try:
            text = read_source(file)
            cells = list(cells_of(text)) if file.suffix == ".ipynb" else [(0, text)]
        except OSError as error:
            self.complain(f"{file} can't be read: {error.strerror or error}")
            return
        except ValueError as error:
            self.complain(f"{file}: {error}: its imports are ignored")
            return
        for number, source in cells:
            said = f"{file}, cell {number}" if number else str(file)
            yield from self.read_text(source, file, said)

    def _imports(self, reading: Parsed, origin: Path) -> Iterator[Path]:
        for tree in reading.trees:
            for name in imported(tree):
                files = self.own(name, origin)
                if files is None and not name.level:
                    self.need(name.dotted, name.is_optional)
                yield from files or ()


def _runs(reading: Parsed, origin: Path) -> Iterator[Path]:
    """Give the files that IPython runs in the same session."""
    for name in reading.runs:
        if (file := origin.parent / name).is_file():
            yield file
