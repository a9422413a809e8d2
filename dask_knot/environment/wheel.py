"""A wheel of a package as it is installed here, from an editable install too."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from dask_knot.environment.contents import COMPILED, SCRIPTS, contents, metadata
from dask_knot.environment.target import Target

PURE = "py3-none-any"
#: A script that starts with this gets the path of the Python that it is installed for.
SHEBANG = re.compile(rb"^#!.*python.*$", re.MULTILINE)


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


def tags_of(package: Distribution) -> list[str]:
    """Give the tags of the wheel that was installed; none if it was no wheel."""
    return re.findall(r"^Tag:\s*(\S+)", package.read_text("WHEEL") or "", re.MULTILINE)


def is_made_here(package: Distribution) -> bool:
    """Tell whether a package was compiled while it was installed.

    Indexes take wheels for ``manylinux`` only, which run on other machines as well. What a system
    has compiled (Debian, Fedora) is linked with that system's libraries.
    """
    tags, installer = tags_of(package), (package.read_text("INSTALLER") or "").strip()
    if not tags or installer in ("", "debian", "rpm"):
        return False
    return all(re.search(r"-linux_\w+$", tag) for tag in tags)


def why_no_wheel(package: Distribution, target: Target) -> str:
    """Say why no wheel can be made of an installed package; "" if one can."""
    found = contents(package)
    if not found:
        return "its files were not found"
    compiled = next((name for name in sorted(found) if name.endswith(COMPILED)), None)
    if compiled and not target.is_here:
        return (
            f"parts of it were compiled for this machine ({compiled}), but the image is for "
            f"{target.platform}"
        )
    try:
        Version(package.version)
    except InvalidVersion:
        return f"pip doesn't accept its version, {package.version!r}"
    return ""


def make_wheel(package: Distribution, target: Target) -> Wheel:
    """Make a wheel of an installed package: `why_no_wheel` has nothing against it.

    Compiled parts are taken as they are: the wheel then has the tag of the one that was installed,
    and other platforms refuse it.
    """
    found = {path: file.read_bytes() for path, file in contents(package).items()}
    tags = tags_of(package)
    if any(path.endswith(COMPILED) for path in found):
        tags = [tag for tag in tags if not tag.endswith("-any")] or [target.tag]
    else:
        tags = [PURE]
    for path in [path for path in found if path.startswith(SCRIPTS)]:
        found[path] = SHEBANG.sub(b"#!python", found[path], count=1)
    info = {f"dist-info/{name}": data for name, data in metadata(package).items()}
    name = canonicalize_name(package.metadata["Name"]).replace("-", "_")
    return pack(name, package.version, found | info, tuple(tags))


def pack(
    name: str, version: str, files: Mapping[str, bytes], tags: tuple[str, ...] = (PURE,)
) -> Wheel:
    """Pack files as a wheel: pure.

    ``dist-info/...`` and ``.data/...`` are put into the folders that wheels have for them.
    """
    stem = f"{re.sub(r'[-.]+', '_', name)}-{str(Version(version)).replace('-', '_')}"
    info = f"{stem}.dist-info"
    contents = {_place(path, stem): data for path, data in files.items()}
    is_pure = "true" if tags == (PURE,) else "false"
    lines = ["Wheel-Version: 1.0", "Generator: dask_knot", f"Root-Is-Purelib: {is_pure}"]
    contents[f"{info}/WHEEL"] = "\n".join([*lines, *(f"Tag: {tag}" for tag in tags), ""]).encode()
    record = [
        f"{_quoted(path)},{_digest(data)},{len(data)}" for path, data in sorted(contents.items())
    ]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(contents.items()):
            # A fixed time: the image's tag is a hash of these bytes.
            entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if "/scripts/" in path else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return Wheel(f"{stem}-{_joined(tags)}.whl", buffer.getvalue())


def _place(path: str, stem: str) -> str:
    if path.startswith("dist-info/"):
        return f"{stem}.{path}"
    return f"{stem}{path}" if path.startswith(".data/") else path


def _quoted(path: str) -> str:
    return f'"{path}"' if "," in path else path


def _joined(tags: tuple[str, ...]) -> str:
    """Put tags into one, as file names have them: ``py2-none-any`` and ``py3-…``: ``py2.py3-…``."""
    parts = zip(*(tag.split("-", 2) for tag in tags), strict=True)
    return "-".join(".".join(dict.fromkeys(part)) for part in parts)


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
