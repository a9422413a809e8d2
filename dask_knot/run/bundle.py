"""The user's own modules as they travel: files of his import path, in one object for all jobs."""

from __future__ import annotations

import hashlib
import platform
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from dask_knot.run import codec
from dask_knot.run.codec import Bytes

#: What compiled modules and libraries are called.
_COMPILED = (".so", ".pyd", ".dylib", ".dll")
#: zlib's level: code shrinks to a quarter, and a slow network is slower than this.
_LEVEL = 3


class Precedence(Enum):
    """What a folder stood before on the import path of the client."""

    PYTHON = "python"
    INSTALLED = "installed"
    NOTHING = "nothing"


class PathEntry(NamedTuple):
    """An entry of the import path: a folder of the bundle, or an archive that is in it."""

    folder: str
    precedence: Precedence
    archive: str = ""


class BundledFile(NamedTuple):
    """A file: its name in the bundle, with slashes; what is in it; whether it can be executed."""

    name: str
    data: Bytes
    is_executable: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """The user's own modules, and what lies beside them.

    Attributes
    ----------
    entries : sequence of PathEntry
        What is put onto the import path, in its order.
    files : sequence of BundledFile
        All files.
    platform : str
        What compiled modules were built for, if there are any.
    """

    entries: Sequence[PathEntry]
    files: Sequence[BundledFile]
    platform: str = ""

    @property
    def digest(self) -> str:
        """The name of this very content: another machine that has the same gives it the same."""
        entries = [(*entry[:1], entry.precedence.value, *entry[2:]) for entry in self.entries]
        digest = hashlib.sha256(repr((entries, self.platform)).encode())
        for file in sorted(self.files, key=_name):
            head = repr((file.name, file.is_executable, len(file.data)))
            digest.update(head.encode(errors="surrogatepass"))
            digest.update(file.data)
        return digest.hexdigest()[:32]


def _name(file: BundledFile) -> str:
    return file.name


def built_for() -> str:
    """Name what compiled modules must have been built for to be used here."""
    return f"{platform.system()} {platform.machine()}"


def is_compiled(name: str) -> bool:
    """Tell whether a file is a compiled module or library, by its name."""
    return name.endswith(_COMPILED)


def encode(bundle: Bundle) -> list[Bytes]:
    """Turn a bundle into the frames of its object; equal ones into equal frames."""
    entries = [(folder, before.value, archive) for folder, before, archive in bundle.entries]
    files = sorted(bundle.files, key=_name)
    table = [(file.name, len(file.data), file.is_executable) for file in files]
    body = zlib.compress(b"".join(file.data for file in files), _LEVEL)
    return codec.encode((entries, bundle.platform, table, body))


def decode(data: Bytes) -> Bundle:
    """Read what `encode` wrote.

    Raises
    ------
    CorruptObjectError
        If the bytes aren't those that were written.
    """
    entries, platform, table, body = codec.decode(data)
    content = memoryview(zlib.decompress(body))
    files, start = [], 0
    for name, length, is_executable in table:
        files.append(BundledFile(name, content[start : start + length], is_executable))
        start += length
    made = [PathEntry(folder, Precedence(text), archive) for folder, text, archive in entries]
    return Bundle(made, files, platform)
