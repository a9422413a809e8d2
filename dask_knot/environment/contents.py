"""The modules and files of a package that is installed here, wherever they lie.

An installed package has a list of its files. Of an editable one, that list names only what leads
to the working copy: a line of a ``.pth`` file (a folder: setuptools, hatchling, poetry, flit, pdm,
uv), or a finder with a table of modules (setuptools, editables). Only what can be imported from a
working copy is the package: not its tests, its documents, or the data beside them.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

from dask_knot.environment.origins import SITES, OriginKind, folder_of, name_of, origin_of

COMPILED = (".so", ".pyd", ".dylib", ".dll")
MODULES = (".py", *COMPILED[:2])
#: Where programs lie among the files of a package.
SCRIPTS = ".data/scripts/"
#: What stands beside the modules of a flat working copy, and isn't installed with them.
BESIDE = (
    *("test", "tests", "doc", "docs", "example", "examples", "benchmarks", "notebooks", "ci"),
    *("build", "dist", "site", "script", "scripts", "tool", "tools", "venv", "env"),
    *("setup", "conftest", "noxfile", "tasks", "fabfile", "versioneer", "node_modules"),
)


def places(package: Distribution) -> dict[str, Path]:
    """Give the modules at the top of a working copy, each with its file or folder here.

    Names have dots if a namespace is shared with other packages.
    """
    origin = origin_of(package)
    found: dict[str, Path] = {}
    for file in package.files or ():
        path = Path(str(package.locate_file(file)))
        if len(file.parts) == 1 and path.exists():
            if path.suffix == ".py":
                mapped = _mapped(path)
                if "editable" in path.name and not mapped:
                    return {}  # it compiles when it is imported: only its backend knows of what
                found |= mapped
            elif path.suffix == ".pth":
                for root in _roots(path):
                    found |= _below(root, package, origin.folder)
    if not found:
        beside = [folder_of(package), *([origin.folder] if origin.folder else [])]
        roots = (root for root in beside if root.name not in SITES and root.is_dir())
        found = next((some for root in roots if (some := _below(root, package, root))), {})
    if not found:
        names = (package.read_text("top_level.txt") or "").split() or _names(package)
        found = {name: place for name in names if (place := _found_by_python(name)) is not None}
    # A path that comes earlier may have another copy: what runs here is what goes along.
    return {name: _found_by_python(name) or place for name, place in found.items()}


def _names(package: Distribution) -> list[str]:
    name = re.sub(r"[-.]", "_", name_of(package))
    return [*dict.fromkeys((name, name.lower()))]


def tops(package: Distribution) -> set[str]:
    """Name the top modules of a package."""
    if origin_of(package).kind is OriginKind.EDITABLE:
        return {name.partition(".")[0] for name in places(package)}
    declared = package.read_text("top_level.txt")
    if declared:
        return set(declared.split())
    return set(_listed_tops(package))


def _listed_tops(package: Distribution) -> Iterator[str]:
    for file in package.files or ():
        is_package = file.name == "__init__.py" and len(file.parts) > 1
        if is_package or (len(file.parts) == 1 and file.suffix in MODULES):
            yield file.parts[0].partition(".")[0]
        elif file.suffix in MODULES and len(file.parts) == 2:
            yield file.parts[0]


def contents(package: Distribution) -> dict[str, Path]:
    """Give the files of a package without its metadata, each by its place in a wheel.

    Files outside of the folder of modules (``share/…``, ``etc/…``) begin with ``.data/``; programs
    that pip makes are left to pip.
    """
    if origin_of(package).kind is OriginKind.EDITABLE:
        return {
            path: file
            for name, place in places(package).items()
            for path, file in _files(name.replace(".", "/"), place)
        }
    if package.read_text("RECORD") is None:
        return _without_list(package)
    found = {}
    for file in package.files or ():
        path = Path(str(package.locate_file(file)))
        is_ours = "__pycache__" not in file.parts and not file.parts[0].endswith(".dist-info")
        if is_ours and path.is_file():
            target = file.as_posix() if ".." not in file.parts else _outside(package, path)
            if target:
                found[target] = path
    return found


def metadata(package: Distribution) -> dict[str, bytes]:
    """Give the metadata that go with a package: its entry points, its licenses, and others."""
    kept = {}
    for file in package.files or ():
        is_info = len(file.parts) > 1 and file.parts[0].endswith(".dist-info")
        path = Path(str(package.locate_file(file)))
        if is_info and file.parts[1] not in NOT_KEPT and path.is_file():
            kept["/".join(file.parts[1:])] = path.read_bytes()
    for name in ("METADATA", "entry_points.txt", "top_level.txt"):
        text = package.read_text(name)
        if text is None and name == "METADATA":  # of a working copy, or of distutils
            text = package.read_text("PKG-INFO") or str(package.metadata)
        if text and name not in kept:
            kept[name] = text.encode()
    return kept


#: What says how a package was installed here.
NOT_KEPT = (
    *("RECORD", "RECORD.jws", "INSTALLER", "REQUESTED", "direct_url.json", "WHEEL"),
    *("uv_cache.json", "uv_build.json"),
)


def _outside(package: Distribution, path: Path) -> str | None:
    folder = folder_of(package).resolve()
    prefix = folder.parents[2] if len(folder.parents) > 2 and folder.name in SITES else None
    path = path.resolve()
    if prefix is None or not path.is_relative_to(prefix):
        return None
    parts = path.relative_to(prefix).parts
    if parts[0] in ("bin", "Scripts"):
        made = {point.name for point in package.entry_points}
        return None if path.stem in made or path.name in made else f"{SCRIPTS}{path.name}"
    return "/".join((".data", "data", *parts))


def _without_list(package: Distribution) -> dict[str, Path]:
    """Find the files of what carries no list of them, as Debian's packages."""
    folder, found = folder_of(package), dict[str, Path]()
    for top in sorted(tops(package)) or _names(package):
        for place in (folder / top, *sorted(folder.glob(f"{top}.*"))):
            if (place.is_dir() and not place.suffix) or place.suffix in MODULES:
                found |= dict(_files(top, place))
    return found


def _files(name: str, place: Path) -> Iterator[tuple[str, Path]]:
    """Give the files of a module or a package, by their place in a wheel."""
    if place.is_file():
        yield "/".join((*name.split("/")[:-1], place.name)), place
        return
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        is_foreign = path.name.startswith(".") or path.name == "__pycache__"
        if path.is_dir() and not is_foreign and not (path / "pyvenv.cfg").exists():
            yield from _files(f"{name}/{path.name}", path)
        elif path.is_file() and path.suffix != ".pyc":
            yield f"{name}/{path.name}", path


def _mapped(finder: Path) -> dict[str, Path]:
    """Read the table of a finder: setuptools assigns one, editables adds module by module."""
    try:
        tree = ast.parse(finder.read_bytes())
    except SyntaxError:
        return {}
    pairs: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        try:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if ast.unparse(target) == "MAPPING":
                    pairs += ast.literal_eval(node.value).items()
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".map_module"):
                pairs.append((ast.literal_eval(node.args[0]), ast.literal_eval(node.args[1])))
        except (ValueError, AttributeError, IndexError):
            continue
    return {name: place for name, path in pairs if (place := _place(Path(path))) is not None}


def _place(path: Path) -> Path | None:
    """Give the package that a path names, as a folder, or the module, with its ending."""
    if path.is_dir():
        return path
    if path.name == "__init__.py":
        return path.parent
    endings = sorted(path.parent.glob(f"{path.name}.*"))
    modules = [one for one in endings if one.suffix in MODULES]
    return path if path.is_file() else next(iter(modules), None)


def _roots(pth: Path) -> Iterator[Path]:
    try:
        lines = pth.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        lines = pth.read_text("latin-1").splitlines()
    for line in map(str.strip, lines):
        if line and not line.startswith(("#", "import ", "import\t")):
            root = pth.parent / line
            if root.is_dir():
                yield root


def _below(root: Path, package: Distribution, project: Path | None) -> dict[str, Path]:
    """Give the modules below a folder of a working copy."""
    declared = (package.read_text("top_level.txt") or "").split()
    own = _names(package)[-1]
    is_flat = project is None or root.resolve() == project.resolve()
    found = dict[str, Path]()
    for path in sorted(root.iterdir()):
        name = path.name.partition(".")[0] if path.is_file() else path.name
        if not name.isidentifier() or name == "__pycache__":
            continue
        if declared:
            is_taken = name in declared
        elif name.lower() == own:
            is_taken = True
        else:
            is_taken = not (is_flat and name.lower() in BESIDE) and _is_module(path, is_flat)
        if is_taken and (path.is_dir() or path.suffix in MODULES):
            found.setdefault(name, path)
    return found


def _is_module(path: Path, is_flat: bool) -> bool:
    if path.is_file():
        return path.suffix in MODULES
    # Below src/ a folder without __init__.py is a namespace, beside pyproject.toml it may be any.
    return (path / "__init__.py").is_file() or (not is_flat and any(path.rglob("*.py")))


def _found_by_python(name: str) -> Path | None:
    """Ask Python where a module at the top is; None for those that have no file, and namespaces."""
    try:
        spec = None if "." in name else importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    path = spec.origin if spec and spec.has_location and spec.origin else ""
    return _place(Path(path)) if path else None
