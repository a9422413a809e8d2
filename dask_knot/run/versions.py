"""The surroundings in which a shard was packed: versions, compared with those that are here,
what jobs are set up with, and the command line of the client. Looked at before its pickle is."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from dask_knot.errors import CorruptObjectError, VersionsError
from dask_knot.run.codec import Bytes

#: What pickles of tasks depend on. Packages of one side only can't be in what is sent.
PACKAGES = ("dask_knot", "dask", "distributed", "cloudpickle", "numpy", "msgpack")

#: The lines that name worker plugins and the user's own modules, among those that name packages.
_PLUGINS, _BUNDLE = "worker-plugins", "bundle"
#: The line with the client's command line: modules may look at it when they are imported.
_ARGV = "argv"

#: The length of the text before it, and its CRC-32.
_TAIL = struct.Struct("<II2s")
_MAGIC = b"KN"


def installed(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Name the versions of Python (its minor version) and of packages; one that isn't there: "".

    The local part of a version (``1.26.4+computecanada``, ``2.5.0+cpu``) says who built it: it is
    left out, as an image has the same version from elsewhere.
    """
    found = {"python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
    for package in packages:
        try:
            found[package] = public(version(package))
        except PackageNotFoundError:
            found[package] = ""
    return found


def public(number: str) -> str:
    """Give a version without its local part."""
    return number.partition("+")[0]


#: Looked up once, and before the local engine forks: it takes 10 ms.
HERE: Mapping[str, str] = installed()


class PackedShard(NamedTuple):
    """A shard's frames, and what is set up before they are decoded: ``sys.argv``, and by their
    digests worker plugins and the user's own modules."""

    frames: memoryview
    plugins: str
    argv: list[str]
    bundle: str = ""


def seal(
    frames: list[Bytes],
    versions: Mapping[str, str] | None = None,
    plugins: str = "",
    bundle: str = "",
) -> list[Bytes]:
    """Put versions, supplies and our command line behind a shard's frames, in plain text: any
    Python can read that."""
    lines = {
        **(HERE if versions is None else versions),
        _PLUGINS: plugins,
        _BUNDLE: bundle,
        _ARGV: json.dumps([*map(str, sys.argv)]),  # in one line, and in ASCII
    }
    text = "\n".join(f"{name} {number}" for name, number in lines.items()).encode()
    return [*frames, text, _TAIL.pack(len(text), zlib.crc32(text), _MAGIC)]


def unseal(data: memoryview, here: Mapping[str, str] | None = None) -> PackedShard:
    """Open a shard, unless it was packed with other versions than those here.

    Raises
    ------
    VersionsError
        If the versions differ; the message names both.
    CorruptObjectError
        If there are no versions behind the frames, or others than were written.
    """
    end = len(data) - _TAIL.size
    length, checksum, magic = _TAIL.unpack_from(data, end) if end >= 0 else (0, 0, b"")
    if magic != _MAGIC or length > end or zlib.crc32(data[end - length : end]) != checksum:
        raise CorruptObjectError("a shard doesn't end with the versions it was packed with")
    lines = bytes(data[end - length : end]).decode().splitlines()
    there = dict(line.split(" ", 1) for line in lines)
    plugins, argv = there.pop(_PLUGINS, ""), there.pop(_ARGV, "[]")
    bundle = there.pop(_BUNDLE, "")
    check(there, HERE if here is None else here)
    return PackedShard(data[: end - length], plugins, json.loads(argv), bundle)


def check(client: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Compare the client's versions with those here.

    Raises
    ------
    VersionsError
        If they differ; the message names both.
    """
    other = [
        name
        for name, number in client.items()
        if number and public(here.get(name, "")) != public(number)
    ]
    if other:
        raise VersionsError(
            f"this job has {_listed(other, here)}, but the client has {_listed(other, client)}. "
            "Build the image of the jobs again with `dask knot image`, or install the same "
            "versions in both places"
        )


def _listed(names: Iterable[str], versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {versions.get(name) or '(none)'}" for name in names)
