"""A wheel of a package as it is installed here, from an editable install too."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from dask_knot.errors import ImageError

COMPILED = (".so", ".pyd", ".dylib", ".dll")
WHEEL = "Wheel-Version: 1.0\nGenerator: dask_knot\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel, not yet written.

    Attributes
    ----------
    name : str
        The file's name.
    content : bytes
        The same bytes for the same files, whenever it is made.
    """

    name: str
    content: bytes


def make_wheel(name: str) -> Wheel:
    """Make a wheel of an installed package.

    Parameters
    ----------
    name : str
        The distribution's name.

    Raises
    ------
    ImageError
        If it isn't installed, or has compiled parts, which would not run elsewhere.
    """
    try:
        found = distribution(name)
    except PackageNotFoundError as error:
        raise ImageError(f"{name} is not installed here, so no wheel can be made of it") from error
    files = dict(_sources(found))
    compiled = next((file for file in files if file.endswith(COMPILED)), None)
    if compiled or not files:
        why = f"it has compiled parts ({compiled})" if compiled else "its files were not found"
        raise ImageError(
            f"no wheel can be made of {name} as it is installed here: {why}. Name it in the "
            "packages as a version or as `git+https://...`, or use an own Dockerfile"
        )
    return pack(name, found.version, files | dict(_metadata(found)))


def pack(name: str, version: str, files: Mapping[str, bytes]) -> Wheel:
    """Pack files as a wheel: pure; ``dist-info/...`` is put into the folder that wheels have."""
    stem = f"{_normal(name)}-{version.replace('-', '_')}"
    info = f"{stem}.dist-info"
    contents = {
        f"{info}/{path.removeprefix('dist-info/')}" if path.startswith("dist-info/") else path: data
        for path, data in files.items()
    }
    contents[f"{info}/WHEEL"] = WHEEL.encode()
    record = [f"{path},{_digest(data)},{len(data)}" for path, data in sorted(contents.items())]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(contents.items()):
            # A fixed time: the image's tag is a hash of these bytes.
            entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return Wheel(f"{stem}-py3-none-any.whl", buffer.getvalue())


def _sources(found: Distribution) -> Iterator[tuple[str, bytes]]:
    """Give the modules of a package: where Python finds them, which may be a working copy."""
    for name in _modules(found):
        spec = importlib.util.find_spec(name)
        if spec is None:
            continue
        for place in spec.submodule_search_locations or ():
            for file in sorted(Path(place).rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    yield f"{name}/{file.relative_to(place).as_posix()}", file.read_bytes()
        if spec.submodule_search_locations is None and spec.origin:
            yield Path(spec.origin).name, Path(spec.origin).read_bytes()


def _modules(found: Distribution) -> list[str]:
    """Name the top modules of a package."""
    declared = (found.read_text("top_level.txt") or "").split()
    if declared:
        return declared
    tops = {
        file.parts[0].removesuffix(".py")
        for file in found.files or ()
        if file.suffix == ".py" and ".." not in file.parts
    }
    # Of an editable install, only the finder is there.
    real = sorted(top for top in tops if top.isidentifier() and not top.startswith("__editable__"))
    return real or [_normal(found.metadata["Name"])]


def _metadata(found: Distribution) -> Iterator[tuple[str, bytes]]:
    for name in ("METADATA", "entry_points.txt", "top_level.txt"):
        text = found.read_text(name)
        if text is None and name == "METADATA":
            text = found.read_text("PKG-INFO")  # a working copy has an egg-info beside its package
        if text is not None:
            yield f"dist-info/{name}", text.encode()


def _normal(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
