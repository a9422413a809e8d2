"""What the digests of tasks are made of, kept beside a plan, to say later why work was done again.

An entry is ``HEAD · body``, the body msgpack, compressed: what is installed, marks of files, the
parts of all code, and for each task its code, a checksum of its own arguments, and what it reads.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import msgpack
from dask.typing import Key
from dask.utils import key_split

from dask_knot.errors import CorruptObjectError
from dask_knot.run.codec import Bytes
from dask_knot.run.keys import KeyList

VERSION = 1
#: Of the parts of one code so many are kept.
MOST_PARTS = 5_000
#: So many causes are told.
MOST_CAUSES = 10

_HEAD = struct.Struct("<2sBBII")
_MAGIC = b"KY"


@dataclass(slots=True)
class Components:
    """What digests are made of.

    Attributes
    ----------
    environment : mapping of str to str
        Python, the architecture, a named image.
    packages : mapping of str to str
        The versions of distributions whose code is used, and of what they need.
    files : mapping of str to bytes
        The marks of files.
    codes : sequence of mapping of str to bytes
        For each thing that is called, the digests of its parts by their names.
    tasks : mapping of Key to (int, int)
        The number of the code of a task, and the checksum of its own arguments.
    reads : mapping of Key to collection of Key
        What tasks read.
    refusals : mapping of str to str
        Why tasks have no digest, with the first of them; but for those that only read such.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    codes: Sequence[Mapping[str, bytes]] = ()
    tasks: Mapping[Key, tuple[int, int]] = field(default_factory=dict)
    reads: Mapping[Key, Collection[Key]] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)


def encode(parts: Iterable[Components], reads: Mapping[Key, Collection[Key]]) -> bytes:
    """Write the components of tasks.

    Parameters
    ----------
    parts : iterable of Components
        Those of graphs, of which the first one that knows a task counts.
    reads : mapping of Key to collection of Key
        The tasks, and what they read.
    """
    environment: dict[str, str] = {}
    packages: dict[str, str] = {}
    files: dict[str, bytes] = {}
    refusals: dict[str, str] = {}
    codes: list[Mapping[str, bytes]] = []
    known: dict[Key, tuple[int, int]] = {}
    for one in parts:
        environment |= one.environment
        packages |= one.packages
        files |= one.files
        refusals |= one.refusals
        start = len(codes)
        codes += one.codes
        for key, (code, own) in one.tasks.items():
            if key in reads:
                known.setdefault(key, (start + code, own))
    keys = list(known)
    numbers = {key: number for number, key in enumerate(keys)}
    below = [[numbers[read] for read in reads[key] if read in numbers] for key in keys]
    body = {
        "environment": environment,
        "packages": packages,
        "files": files,
        "refusals": refusals,
        "codes": [dict(code) for code in codes],
        "count": len(keys),
        "keys": KeyList.of(keys).packed,
        "code": _packed(code for code, _ in known.values()),
        "own": _packed(own for _, own in known.values()),
        "lengths": _packed(map(len, below)),
        "reads": _packed(number for one in below for number in sorted(one)),
    }
    data = zlib.compress(msgpack.packb(body), 1)
    return _HEAD.pack(_MAGIC, VERSION, 0, len(data), zlib.crc32(data)) + data


def decode(data: Bytes) -> Components:
    """Read components.

    Raises
    ------
    CorruptObjectError
        If the bytes aren't those that were written, or of another version.
    """
    view = memoryview(data)
    head = _HEAD.unpack_from(view) if view.nbytes >= _HEAD.size else (b"", 0, 0, 0, 0)
    body = view[_HEAD.size :]
    if head != (_MAGIC, VERSION, 0, body.nbytes, zlib.crc32(body)):
        raise CorruptObjectError(
            "what digests are made of is damaged, or from another version of dask_knot"
        )
    found = msgpack.unpackb(zlib.decompress(body), strict_map_key=False)
    keys = list(KeyList(found["keys"], found["count"]))
    pairs = zip(_unpacked(found["code"]), _unpacked(found["own"]), strict=True)
    return Components(
        found["environment"],
        found["packages"],
        found["files"],
        found["codes"],
        dict(zip(keys, pairs, strict=True)),
        dict(_reads(keys, _unpacked(found["lengths"]), _unpacked(found["reads"]))),
        found.get("refusals", {}),
    )


def _packed(numbers: Iterable[int]) -> bytes:
    return array("I", numbers).tobytes()


def _unpacked(data: bytes) -> array[int]:
    found = array("I")
    found.frombytes(data)
    return found


def _reads(
    keys: Sequence[Key], lengths: Sequence[int], numbers: Sequence[int]
) -> Iterator[tuple[Key, list[Key]]]:
    start = 0
    for key, length in zip(keys, lengths, strict=True):
        yield key, [keys[number] for number in numbers[start : start + length]]
        start += length


def explain(now: Components, before: Components, key: Key, earlier: Key) -> list[str]:
    """Say in lines why the digest of a task is another one than that of an earlier task.

    Parameters
    ----------
    now, before : Components
        Of the plan with the one task, and of that with the other.
    key, earlier : Key
        The two tasks.
    """
    lines = [*_changed("", now.environment, before.environment)]
    lines += _changed("", now.packages, before.packages)
    lines += [
        f"the file {name} was changed"
        for name, mark in now.files.items()
        if before.files.get(name, mark) != mark
    ]
    lines += _causes(now, before, key, earlier)
    return [*dict.fromkeys(lines)]


def is_called_otherwise(now: Components, before: Components, key: Key, earlier: Key) -> bool:
    """Tell whether a task has other arguments of its own, or reads more or fewer, than another.

    Then it is more likely another work of that kind than the same one after an edit.
    """
    ours, theirs = now.tasks.get(key, (0, 0)), before.tasks.get(earlier, (0, 0))
    counts = len(now.reads.get(key, ())), len(before.reads.get(earlier, ()))
    return ours[1] != theirs[1] or counts[0] != counts[1]


def _changed(what: str, now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*now, *before}):
        if now.get(name) != before.get(name):
            yield f"{what}{name} {before.get(name) or 'none'} -> {now.get(name) or 'none'}"


def _causes(now: Components, before: Components, key: Key, earlier: Key) -> list[str]:
    """Follow what two tasks read to where they begin to differ."""
    found: list[str] = []
    sums = _deep_sums(now), _deep_sums(before)
    left, seen = [(key, earlier)], {(key, earlier)}
    while left and len(found) < MOST_CAUSES:
        one, other = left.pop()
        found += _own_causes(now, before, one, other)
        reads = now.reads.get(one, ()), before.reads.get(other, ())
        for new, old in _pairs(reads, sums):
            if new is None:
                found.append(f"{key_split(one)} no longer reads {old}")
            elif old is None:
                found.append(f"{key_split(one)} now reads {new}")
            elif (new, old) not in seen:
                seen.add((new, old))
                left.append((new, old))
    return found[:MOST_CAUSES]


def _deep_sums(components: Components) -> dict[Key, int]:
    """Give checksums of arguments, with those of all that is read, whatever is called."""
    found: dict[Key, int] = {}
    for first in components.tasks:
        left = [first]
        while left:
            key = left[-1]
            reads = components.reads.get(key, ())
            below = [read for read in reads if read not in found]
            if below and key not in found:
                left += below
                continue
            left.pop()
            sums = sorted(found[read] for read in reads)
            found[key] = zlib.crc32(array("I", [components.tasks[key][1], *sums]).tobytes())
    return found


def _own_causes(now: Components, before: Components, one: Key, other: Key) -> Iterator[str]:
    if one not in now.tasks or other not in before.tasks:
        return
    (code, own), (old_code, old_own) = now.tasks[one], before.tasks[other]
    parts, old_parts = now.codes[code], before.codes[old_code]
    prefix = key_split(one)
    if parts != old_parts:
        yield from (f"code of {prefix}: {line}" for line in _part_lines(parts, old_parts))
    elif own != old_own:
        yield f"an argument of the task {one}"


def _part_lines(now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[str]:
    new, gone = _whole(now.keys() - before.keys()), _whole(before.keys() - now.keys())
    for name in now:
        if name in new:
            yield f"{name} is new"
        elif now[name] != before.get(name, now[name]):
            yield f"{name} was changed"
    yield from (f"{name} is gone" for name in before if name in gone)


def _whole(names: Set[str]) -> set[str]:
    """Leave out the parts ("constants of f") of what is named itself."""
    return {name for name in names if names.isdisjoint(_wholes(name))}


def _wholes(name: str) -> Iterator[str]:
    while name := name.partition(" of ")[2]:
        yield name


def _pairs(
    reads: tuple[Collection[Key], Collection[Key]], sums: tuple[Mapping[Key, int], ...]
) -> Iterator[tuple[Key | None, Key | None]]:
    """Pair what two tasks read: by key, else by prefix, those first that are alike."""
    common = {*reads[0]} & {*reads[1]}
    yield from ((key, key) for key in common)
    rest, past = (_by_prefix(key for key in keys if key not in common) for keys in reads)
    for prefix in {**rest, **past}:
        # Keys may be others in each session.
        alike: dict[int, list[Key]] = {}
        for key in past.get(prefix, []):
            alike.setdefault(sums[1][key], []).append(key)
        unpaired = []
        for key in rest.get(prefix, []):
            known = alike.get(sums[0][key])
            if known:
                yield key, known.pop(0)
            else:
                unpaired.append(key)
        yield from zip_longest(unpaired, (key for keys in alike.values() for key in keys))


def _by_prefix(keys: Iterable[Key]) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = {}
    for key in keys:
        found.setdefault(key_split(key), []).append(key)
    return found
