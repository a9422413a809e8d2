"""Marks of files: what tells a file, as it is now, from what it was and will be.

A text that names a file is no more than its name, and the same name may have other contents
tomorrow. So it is digested with a mark: size and time of the last change of a file, the same for
all that is in a folder, ETags of what is in S3. Contents are not read, but for a file so young that
its time can't tell two versions apart.

Most texts of a graph name nothing. A text is looked up once for each graph; that it names nothing
is told by the names in the present folder, without a call to the system, unless it is absolute.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dask_knot.digests.objects import ObjectMarks
from dask_knot.digests.refusal import UndigestibleError

#: Files, or objects, of a folder or pattern; whoever has more says what has changed by other means.
MOST_ENTRIES = 100_000
#: A longer text is no path on any system.
LONGEST_PATH = 4096
#: Two versions of a file may have one time if they are younger than this, in nanoseconds: clocks of
#: files tick every 4 to 10 ms, ...
FINE_TICK = 20_000_000
#: ... and some (FAT, NFS 2, HFS+) every one or two seconds. Their times are whole seconds.
COARSE_TICK = 2_000_000_000
#: So much of a young file is read; of what is larger nothing can be said.
MOST_CONTENT = 64 * 2**20
#: What systems say of a text that can be no path of theirs.
_NO_PATH = (errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP)
#: Places whose files change without a trace.
STRANGE_PLACES = ("/proc/", "/sys/", "/dev/")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/]*", re.ASCII)
#: A pattern in the present folder, such as ``*.nc``: ``*`` and ``.*`` are more often no patterns.
_PATTERN_HERE = re.compile(r"[^/\\]*\.[A-Za-z]\w*", re.ASCII)
#: Texts that name a folder which nobody means: separators of words, the present folder.
_NO_NAME = re.compile(r"[./\\~]*", re.ASCII)


class FileMarks:
    """The marks of files, folders, patterns and objects in S3, each taken once in a snapshot.

    Not for several threads at once.

    Parameters
    ----------
    objects : ObjectMarks, optional
        What asks S3; by default with the credentials of `dask_knot`.
    now : callable
        The time, in nanoseconds.
    """

    def __init__(
        self, objects: ObjectMarks | None = None, now: Callable[[], int] = time.time_ns
    ) -> None:
        self._objects = ObjectMarks(MOST_ENTRIES) if objects is None else objects
        self._now = now
        self._known: dict[str, bytes | UndigestibleError | None] = {}
        self._names_here: frozenset[str] | None = None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Take marks anew: files may have changed since the last graph."""
        self._known, self._names_here = {}, None
        try:
            yield
        finally:
            self._known, self._names_here = {}, None
            self._objects.close()

    def mark(self, text: str | bytes | os.PathLike[Any]) -> bytes | None:
        """Give the mark of what a text names; None if it names nothing.

        Raises
        ------
        UndigestibleError
            If it names something that can't be told from its other versions.
        """
        if not isinstance(text, str):
            text = os.fspath(text)
            text = os.fsdecode(text[: LONGEST_PATH + 1])
        if len(text) > LONGEST_PATH or "\n" in text or "\0" in text:
            return None
        if text not in self._known:
            self._known[text] = self._look(text)
        found = self._known[text]
        if isinstance(found, UndigestibleError):
            raise UndigestibleError(*found.args)
        return found

    def inputs(self, names: Sequence[str]) -> bytes:
        """Give one mark for all that a task says it reads.

        Raises
        ------
        UndigestibleError
            If one isn't there, or can't be told from its other versions.
        """
        found = []
        for name in names:
            mark = self.mark(name)
            if mark is None:
                raise UndigestibleError(
                    f"knot={{'inputs': [{name!r}]}}: there is no such file, folder or object"
                )
            found.append((os.fsdecode(name), mark))
        return _mark("inputs", sorted(found))

    def _look(self, text: str) -> bytes | UndigestibleError | None:
        try:
            if "://" in text:
                return self._of_url(text)
            return self._of_path(text) if self._may_be_here(text) else None
        except UndigestibleError as error:
            return error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            return UndigestibleError(f"{text} can't be checked: {reason}")
        except ValueError:  # what no path can be made of
            return None

    def _of_url(self, text: str) -> bytes | None:
        if text.startswith("file://"):
            return self._of_path(unquote(urlsplit(text).path))
        match = _URL.match(text) or re.search(r"::" + _URL.pattern, text)
        if match is None or re.search(r"\s", text):
            return None
        parts = urlsplit(text)
        if parts.scheme in ("s3", "s3a") and "::" not in text:
            return self._objects.mark(parts.netloc, text.partition("://")[2].partition("/")[2])
        # What stands before the host may be a password.
        place = re.sub(r"//[^/@]*@", "//", match[0])
        raise UndigestibleError(
            f"changes behind {place} can't be seen from here, so whatever reads it runs each "
            "time. Changes in a folder or in S3 can be seen"
        )

    def _may_be_here(self, text: str) -> bool:
        """Tell in a moment that most texts name nothing."""
        if not text or _NO_NAME.fullmatch(text):
            return False
        if text[0] in "/\\~" or ":" in text[:3]:
            return True
        first = text.partition("/")[0]
        if first in (".", "..") or not text.isascii() or os.sep != "/":
            return True
        if self._names_here is None:
            try:  # some file systems take small letters for large ones
                self._names_here = frozenset(name.casefold() for name in os.listdir())
            except OSError:  # the present folder is gone
                self._names_here = frozenset()
        if first.casefold() in self._names_here:
            return True
        return glob.has_magic(text) and ("/" in text or bool(_PATTERN_HERE.fullmatch(text)))

    def _of_path(self, text: str) -> bytes | None:
        path = os.path.expanduser(text)
        try:
            found = os.stat(path)
        except OSError as error:
            if not _is_missing(error):
                raise
            return self._of_pattern(path) if glob.has_magic(path) else None
        if stat.S_ISDIR(found.st_mode):
            return self._of_all(path, [path])
        return _mark("file", self._of_file(path, found))

    def _of_pattern(self, pattern: str) -> bytes | None:
        if not os.path.dirname(pattern) and not _PATTERN_HERE.fullmatch(pattern):
            return None
        if pattern[0] == "/" and glob.has_magic(pattern.split("/")[1]):
            return None  # in the root of all folders
        try:
            found = _bounded(pattern, glob.iglob(pattern, recursive=True))
        except re.error:
            return None
        return self._of_all(pattern, found) if found else None

    def _of_all(self, name: str, tops: Iterable[str]) -> bytes:
        found = _bounded(name, (one for top in tops for one in self._below(top)))
        return _mark("files", sorted(found))

    def _below(self, top: str) -> Iterator[tuple[str, Any]]:
        """Give all files below a folder, or a file, with what tells them apart."""
        left, seen = [(top, os.path.basename(top) if os.path.isfile(top) else "")], set()
        while left:
            path, name = left.pop()
            found = os.stat(path)
            if not stat.S_ISDIR(found.st_mode):
                yield name, self._of_file(path, found)
                continue
            identity = found.st_dev, found.st_ino
            if identity in seen and identity != (0, 0):
                continue  # a link to a folder above
            seen.add(identity)
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_file() and not entry.is_symlink():
                        yield f"{name}/{entry.name}", self._of_file(entry.path, entry.stat())
                    elif entry.is_symlink() and not os.path.exists(entry.path):
                        yield f"{name}/{entry.name}", os.readlink(entry.path)
                    else:
                        left.append((entry.path, f"{name}/{entry.name}"))

    def _of_file(self, path: str, found: os.stat_result) -> tuple[int, int, str]:
        if not stat.S_ISREG(found.st_mode) or os.path.abspath(path).startswith(STRANGE_PLACES):
            raise UndigestibleError(f"{path} is not a file whose changes can be seen")
        size, changed = found.st_size, found.st_mtime_ns
        tick = FINE_TICK if changed % 1_000_000_000 else COARSE_TICK
        if self._now() - changed >= tick:
            return size, changed, ""
        if size > MOST_CONTENT:
            raise UndigestibleError(
                f"{path} is changing right now, or the clock of its disk is ahead"
            )
        return size, changed, _content(Path(path))


def _content(path: Path) -> str:
    with path.open("rb") as file:
        digest = blake2b(digest_size=16)
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def _is_missing(error: OSError) -> bool:
    """Tell what isn't there from what may not be looked at."""
    return isinstance(error, FileNotFoundError | NotADirectoryError) or error.errno in _NO_PATH


def _bounded(name: str, found: Iterator[Any]) -> list[Any]:
    kept: list[Any] = []
    for one in found:
        if len(kept) == MOST_ENTRIES:
            raise UndigestibleError(
                f"{name} holds more than {MOST_ENTRIES:,} files: too many to check for every "
                "graph. Name only those that are read"
            )
        kept.append(one)
    return kept


def _mark(kind: str, what: object) -> bytes:
    """Digest what tells a version: numbers and texts, in an order that is always the same."""
    return blake2b(repr((kind, what)).encode("utf-8", "surrogateescape"), digest_size=16).digest()
