"""Whatever is read from the store was checked before it is unpickled: one flipped byte anywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask._task_spec import DataNode

import dask_knot
from dask_knot.errors import CorruptObjectError, StoreError
from dask_knot.graphs.constants import Constants
from dask_knot.run import codec, work
from dask_knot.run.bundle import Bundle, BundledFile, PathEntry, Precedence
from dask_knot.run.failure import Failure, fail
from dask_knot.run.manifest import Kind, Place
from dask_knot.run.names import ManifestId, ShardId
from dask_knot.run.plugins import Plugin
from dask_knot.run.store import Store
from dask_knot.session.constants import StoredConstants
from dask_knot.session.encoded import decode_values
from dask_knot.session.values import ValueReader
from dask_knot.session.virtual import AtOnce

from .runs import FIRST, Rehearsal, shard, task

ID = ShardId(FIRST, 0)
LAST = ManifestId(ID, None)
ARRAY = np.arange(10_000)

#: Puts an object into the store of a run; gives its name, and a way to read it as it is read.
Kept = tuple[str, Callable[[], Any]]


def a_pack(run: Rehearsal) -> Kept:
    run.write(shard([task("first", int, 1)]), shard([task("second", int, 2)]))
    name = run.names.pack(FIRST)

    def read() -> Any:
        opened = run.read_shard(ShardId(FIRST, 1))
        return [node.key for node in work.decode(opened.frames).tasks], opened.plugins

    return name, read


def a_manifest(run: Rehearsal) -> Kept:
    run.outcomes(shard([task("small", str, "text"), task("large", np.arange, 10_000)]))
    name = run.names.manifest(ID)

    def read() -> Any:
        _, content, data = run.read_manifest(LAST)
        places = {output.ordinal: output.place for output in content.outputs}
        values = ValueReader(run, AtOnce())
        values.remember(name, data)
        found, lost = values.read_values(places)
        values.close()
        if lost:
            raise lost[min(lost)]
        decoded = decode_values([0], [found[0].nbytes], bytes(found[0]))
        return decoded, content.types, content.final, found[1].nbytes

    return name, read


def a_failure(run: Rehearsal) -> Kept:
    run.outcomes(shard([task("bad", int, "no number")]))
    name = run.names.manifest(ID)

    def read() -> Any:
        commit = run.read_manifest(LAST)
        (output,) = commit.manifest.outputs
        assert output.kind is Kind.ERRED
        return str(Failure.decode(commit.inside(output.place) or b"").load())

    return name, read


def _placed(run: Rehearsal, place: Place) -> Kept:
    def read() -> Any:
        return codec.decode(run.read_value(place)).tolist()

    return place.name, read


def data(run: Rehearsal) -> Kept:
    run.outcomes(shard([task("large", np.arange, 10_000)]))
    return _placed(run, run.manifest(ID).outputs[0].place)


def a_constant(run: Rehearsal) -> Kept:
    constant = Constants().take(ARRAY)
    assert constant is not None
    (place,) = StoredConstants(run).put(FIRST, {"c": constant}).values()
    return _placed(run, place)


def scattered(run: Rehearsal) -> Kept:
    places = run.write_scattered(0, {"x": codec.pickled(ARRAY)})
    return _placed(run, places["x"])


def a_plugin(run: Rehearsal) -> Kept:
    digest = run.supplies.publish_plugins([Plugin("mine", b"pickled")])
    return run.names.plugins(digest), lambda: run.supplies.read_plugins(digest)


def a_bundle(run: Rehearsal) -> Kept:
    files = [BundledFile("0/mine.py", b"X = 1"), BundledFile("0/b.bin", b"\0" * 100, True)]
    digest = run.supplies.publish_bundle(Bundle([PathEntry("0", Precedence.PYTHON)], files))
    return run.names.bundle(digest), lambda: run.supplies.read_bundle(digest)


KINDS = [a_pack, a_manifest, a_failure, data, a_constant, scattered, a_plugin, a_bundle]


def flipped(store: Store, name: str) -> Iterator[int]:
    """Flip one byte after another of an object: each of a small one, some of a large one."""
    good = bytes(store.get(name))
    for position in {*range(0, len(good), max(1, len(good) // 1500)), *range(min(400, len(good)))}:
        bad = bytearray(good)
        bad[position] ^= 0x20
        store.put(name, [bad])
        yield position


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_is_never_taken_for_good(
    run: Rehearsal, kind: Callable[[Rehearsal], Kept]
) -> None:
    name, read = kind(run)
    right, refused, count = read(), 0, 0
    for position in flipped(run.store, name):
        count += 1
        try:
            assert read() == right, f"byte {position} was flipped, and the value is another one"
        except CorruptObjectError:
            refused += 1
    # What isn't read at all (another shard of the pack, padding, times) may be anything.
    assert refused > count // 4


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_off_is_never_taken_for_good(
    run: Rehearsal, kind: Callable[[Rehearsal], Kept]
) -> None:
    name, read = kind(run)
    read()
    good = bytes(run.store.get(name))
    for length in {*range(0, len(good), max(1, len(good) // 50)), len(good) - 1}:
        run.store.put(name, [good[:length]])
        with pytest.raises(StoreError):
            read()


#: Every file in which bytes become objects, and who has checked them before.
ACCOUNTED = {
    "run/codec.py": "decode() checks what its callers haven't",
    "run/manifest.py": "msgpack, behind the checksum of the index",
    "run/note.py": "msgpack, behind a checksum of all",
    "run/record.py": "msgpack, behind a checksum of all",
    "cluster/published.py": "run/archive.py has checked the note in which a dataset is",
    "run/keys.py": "keys of an entry or a manifest, which was checked as a whole",
    "digests/components.py": "msgpack, behind a checksum of all",
    "session/encoded.py": "whoever reads has checked each value, or has it checked here",
    "cluster/scattering.py": "from a client over Dask's own connection: TCP and TLS have checksums",
    "task/copies.py": "of this process, or inside of a shard or value that was checked",
    "graphs/opening.py": "from a client over Dask's own connection: TCP and TLS have checksums",
    "run/failure.py": "msgpack behind a checksum; exceptions are in there",
    "job/inputs.py": "codec.decode() and Failure.decode() check",
    "job/plugins.py": "run/plugins.py has checked the object in which they are",
    "run/bundle.py": "codec.decode() checks the object before anything of it is unpacked",
    "run/plugins.py": "codec.decode() checks the object in which pickles of plugins are",
    "job/tasks.py": "through a pipe from and to a process of the same job",
    "run/work.py": "codec.decode() checks the shard; the seal behind it has its own checksum",
    "job/tryout.py": "of this process, in which it was pickled a moment before",
    "knot/function.py": "run/archive.py has checked the note in which the function of a map is",
    "cluster/plugins.py": "from a client over Dask's own connection",
}
_READS = re.compile(r"pickle\.loads?\(|pickle\.loads,|codec\.decode\(|unpackb\(|[^_]deserialize\(")


def test_every_place_that_unpickles_is_accounted_for() -> None:
    root = Path(dask_knot.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if _READS.search(path.read_text(encoding="utf-8"))
    }
    assert found == ACCOUNTED.keys()


def test_an_entry_of_a_pack_stands_for_its_own_shard_only(run: Rehearsal) -> None:
    run.write(shard([task("first", int, 1)]), shard([task("second", int, 2)]))
    name = run.names.pack(FIRST)
    data = bytearray(run.store.get(name))
    size = (data.index(b"KV") - 8) // 2
    data[8 : 8 + size], data[8 + size : 8 + 2 * size] = (
        data[8 + size : 8 + 2 * size],
        data[8 : 8 + size],
    )
    run.store.put(name, [data])
    for index in range(2):
        with pytest.raises(CorruptObjectError, match="table"):
            run.read_shard(ShardId(FIRST, index))


def test_a_failure_that_stands_for_an_input_is_checked_with_its_shard(run: Rehearsal) -> None:
    content = shard(
        [task("reads", int, 1)],
        inputs={"failed": fail(LookupError("gone"), "failed")},
        literals=[DataNode("literal", 41)],
    )
    run.write(content)
    data = bytearray(run.store.get(run.names.pack(FIRST)))
    data[data.index(b"gone")] ^= 1
    run.store.put(run.names.pack(FIRST), [data])
    opened = run.read_shard(ID)
    with pytest.raises(CorruptObjectError):
        work.decode(opened.frames)
