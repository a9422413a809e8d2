"""Manifests come back as they were written, or are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.errors import CorruptObjectError
from dask_knot.run import manifest
from dask_knot.run.machine import Machine
from dask_knot.run.manifest import INSIDE, Handed, Kind, Manifest, Output, Place, Work

NAME = "run/manifests/0000000001-000/00000.end"
TIMES = st.floats(0, 1e10)
PLACES = st.builds(
    Place,
    st.sampled_from(["run/data/00/a", "run/data/00/b", "run/manifests/0000000001-000/00000.p000"]),
    st.integers(0, 2**62),
    st.integers(0, 2**62),
)
OUTPUTS = st.builds(
    Output,
    st.integers(0, 2**31),
    st.sampled_from(Kind),
    PLACES,
    st.integers(0, 2**62),
    st.integers(0, 100),
    TIMES,
    TIMES,
)
COUNTS = st.integers(0, 2**62)
MANIFESTS = st.builds(
    Manifest,
    st.booleans(),
    st.integers(1, 10),
    st.lists(OUTPUTS),
    st.lists(st.tuples(st.binary(), st.text())),
    st.dictionaries(
        st.text(),
        st.builds(Work, *[COUNTS, TIMES, COUNTS, COUNTS, COUNTS, TIMES, TIMES]),
    ),
    st.binary(),
    st.binary(),
    st.dictionaries(st.sampled_from(["get", "put"]), COUNTS),
    st.dictionaries(st.sampled_from(["read", "written"]), COUNTS),
    st.just({}),
    COUNTS,
    st.builds(Machine, *[st.text(max_size=30)] * 5),
    TIMES,
    st.none()
    | st.builds(
        Handed,
        st.lists(COUNTS).map(tuple),
        st.dictionaries(st.text(), COUNTS),
        st.lists(st.text() | st.tuples(st.text(), st.integers(0, 9)) | st.integers(0, 9)),
    ),
)


def written(content: Manifest, *inline: bytes) -> bytes:
    return b"".join(manifest.encode(content, inline))


def example() -> tuple[Manifest, bytes]:
    outputs = [
        Output(0, Kind.FINISHED, Place(INSIDE, 0, 5), 28, 0, 1.0, 2.0),
        Output(1, Kind.ERRED, Place(INSIDE, 5, 3), 0, 0, 2.0, 3.0),
        Output(2, Kind.FINISHED, Place("run/data/00/a", 64, 100_000), 99_000, 1, 3.0, 4.0),
    ]
    content = Manifest(True, 2, outputs, [(b"t", "int"), (b"u", "list")], {"add": Work(3, 3.0, 9)})
    return content, written(content, b"first", b"two")


@given(MANIFESTS)
def test_manifests_come_back(content: Manifest) -> None:
    back = manifest.decode(NAME, written(content))
    assert list(back.outputs) == list(content.outputs)
    assert all(isinstance(output.kind, Kind) for output in back.outputs)
    assert list(back.types) == list(content.types)
    for name in (
        "final",
        "attempt",
        "work",
        "times",
        "kinds",
        "requests",
        "moved",
        "peak",
        "machine",
        "started",
    ):
        assert getattr(back, name) == getattr(content, name)
    assert (back.handed is None) == (content.handed is None)
    if back.handed and content.handed:
        assert replace(back.handed, extra=()) == replace(content.handed, extra=())
        assert list(back.handed.extra) == content.handed.extra
    assert list(back.work) == list(content.work), "kinds count places in it"


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_inline_values_are_where_the_manifest_says(values: list[bytes]) -> None:
    outputs, position = [], 0
    for ordinal, value in enumerate(values):
        outputs.append(
            Output(ordinal, Kind.FINISHED, Place(INSIDE, position, len(value)), 1, 0, 0.0, 0.0)
        )
        position += len(value)
    content = Manifest(True, 1, outputs)
    data = written(content, *values)
    found = manifest.decode(NAME, data).outputs
    assert found == manifest.placed(NAME, outputs, manifest.encode(content, values))
    places = [output.place for output in found]
    assert {place.name for place in places} <= {NAME}
    assert [data[place.offset :][: place.length] for place in places] == values


def test_the_names_of_objects_are_written_once() -> None:
    outputs = [
        Output(n, Kind.FINISHED, Place("run/data/00/long-name", n, 1), 1, 0, 0.0, 0.0)
        for n in range(100)
    ]
    assert written(Manifest(True, 1, outputs)).count(b"long-name") == 1


def test_every_changed_byte_of_the_index_is_noticed() -> None:
    content, good = example()
    # Byte 3 is padding, and what is inline has checksums of its own.
    for position in [0, 1, 2, *range(4, len(good) - len(b"firsttwo"))]:
        bad = bytearray(good)
        bad[position] ^= 0x41
        with pytest.raises(CorruptObjectError, match=NAME):
            manifest.decode(NAME, bad)
    assert list(manifest.decode(NAME, good).outputs[2:]) == list(content.outputs[2:])


def test_every_truncation_of_the_index_is_noticed() -> None:
    _, good = example()
    for length in range(len(good) - len(b"firsttwo")):
        with pytest.raises(CorruptObjectError, match=NAME):
            manifest.decode(NAME, good[:length])


def test_another_version_is_named() -> None:
    bad = bytearray(example()[1])
    bad[2] = 9
    with pytest.raises(CorruptObjectError, match="format 9; this one reads 5"):
        manifest.decode(NAME, bad)
