"""Marks of files: another one after each change, the same one as long as nothing has changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dask_knot.digests import files
from dask_knot.digests.files import FileMarks
from dask_knot.digests.refusal import UndigestibleError

Look = Callable[[object], bytes | None]


def look(text: str | Path) -> bytes | None:
    """Take a mark as the next graph would: in a snapshot of its own."""
    marks = FileMarks()
    with marks.snapshot():
        return marks.mark(text)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def age(path: Path, seconds: float = 60) -> None:
    """Let a file be older, so that its time tells its versions apart."""
    changed = time.time() - seconds
    os.utime(path, (changed, changed))


def write(path: Path, text: str, seconds: float = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    age(path, seconds)
    return path


NO_NAMES = [
    ".",
    "..",
    "/",
    "./",
    "~",
    "x",
    "mean",
    "data.csv",
    "no/such/file.nc",
    "*",
    ".*",
    "a*b",
    "*.nc",
    "data/*.nc",
    "[",
    "[!",
    "**",
    "/*",
    "/**/x",
    "Ünïcode",
    "1.5",
    "%Y-%m-%d",
    "C:",
    "a:b",
    "://",
    "~nobody~/x",
]
NO_NAMES += ["", "x" * 300, "x" * 5000, "a\nb", "\0", "two words", "\udcff", "a://b c"]


@pytest.mark.parametrize("text", NO_NAMES)
def test_most_texts_name_nothing(text: str) -> None:
    (Path() / "some-file").write_text("content")
    assert look(text) is None


@pytest.mark.parametrize(
    "spelling",
    ["{name}", "./{name}", "{folder}/{name}", "file://{folder}/{name}", "{folder}/../here/{name}"],
)
@pytest.mark.parametrize(
    "name", ["data.csv", "data", "Ünïcode", "two words.csv", "a[1].csv", "a*b"]
)
def test_a_file_has_a_mark(
    tmp_path: Path, spelling: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    path = write(here / name, "content")
    monkeypatch.chdir(here)
    text = spelling.format(name=name, folder=here)
    first = look(text)
    assert first is not None
    assert look(text) == first
    write(path, "contents")
    assert look(text) != first


def test_a_path_is_as_good_as_its_text(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "content")
    assert look(path) == look(str(path)) == look("data.csv") == look(Path("data.csv"))


def test_small_letters_may_name_what_has_large_ones(tmp_path: Path) -> None:
    write(tmp_path / "Data.csv", "content")
    assert (look("data.csv") is None) is not Path("data.csv").exists()


def test_the_time_counts_where_the_size_is_the_same(tmp_path: Path) -> None:
    write(tmp_path / "data.csv", "content", 60)
    first = look("data.csv")
    write(tmp_path / "data.csv", "CONTENT", 59)
    assert look("data.csv") != first


@pytest.mark.parametrize(("ticks", "age_ns"), [(1_000_000_000, 1_500_000_000), (1000, 5_000_000)])
def test_two_versions_of_a_young_file_may_have_one_time(
    tmp_path: Path, ticks: int, age_ns: int
) -> None:
    changed = 1_700_000_000_000_000_000 + (0 if ticks > 10**6 else 123_000)
    path = tmp_path / "data.csv"
    seen = []
    for text in ("content", "CONTENT", "content"):
        path.write_text(text)
        os.utime(path, ns=(changed, changed))
        seen.append(FileMarks(now=lambda: changed + age_ns).mark("data.csv"))
    assert seen[0] == seen[2] != seen[1]


def test_a_large_young_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_CONTENT", 5)
    path = write(tmp_path / "data.csv", "content", -60)
    with pytest.raises(UndigestibleError, match=r"data\.csv is changing right now"):
        look("data.csv")
    age(path)
    assert look("data.csv")


def changes(top: Path) -> list[Callable[[], object]]:
    return [
        lambda: write(top / "b" / "2", "other"),
        lambda: write(top / "b" / "3", "new"),
        lambda: (top / "b" / "2").unlink(),
        lambda: (top / "a").rename(top / "c"),
        lambda: write(top / ".zattrs", "{}"),
        lambda: write(top / "b" / "d" / "e" / "f", ""),
    ]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("text", ["top", "top/", "./top", "t*", "t?p/", "**/*", "*/*"])
def test_a_folder_is_all_that_is_in_it(tmp_path: Path, number: int, text: str) -> None:
    top = tmp_path / "top"
    write(top / "a", "1")
    write(top / "b" / "2", "2")
    first = look(text)
    if text == "t*":  # a pattern without an ending is more often none
        assert first is None
        return
    assert first is not None
    assert look(text) == first
    changes(top)[number]()
    if number == 4 and text == "*/*":  # as in a shell, no hidden files are meant
        assert look(text) == first
    else:
        assert look(text) != first


def test_a_folder_may_hold_links(tmp_path: Path) -> None:
    target = write(tmp_path / "elsewhere" / "file", "content")
    top = tmp_path / "top"
    top.mkdir()
    (top / "above").symlink_to(tmp_path)
    (top / "gone").symlink_to(tmp_path / "nowhere")
    (top / "other").symlink_to(target.parent)
    first = look("top")
    write(target, "contents")
    assert look("top") != first


def test_patterns_hold_folders_and_files(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr" / "0.0", "1")
    write(tmp_path / "b.zarr" / "0.0", "1")
    first = look("*.zarr")
    assert first is not None
    write(tmp_path / "b.zarr" / "0.0", "22")
    assert look("*.zarr") != first
    assert look("*.nc") is None


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ENTRIES", 3)
    for number in range(3):
        write(tmp_path / "top" / str(number), "1")
    assert look("top")
    write(tmp_path / "top" / "more" / "one", "1")
    for text in ("top", "top/**"):
        with pytest.raises(UndigestibleError, match="more than 3 files"):
            look(text)


@pytest.mark.parametrize("text", ["/dev/null", "/proc/self/status"])
def test_what_is_no_real_file_is_refused(text: str) -> None:
    with pytest.raises(UndigestibleError, match="not a file whose changes can be seen"):
        look(text)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look at everything")
def test_what_may_not_be_looked_at_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "top" / "file", "content")
    (tmp_path / "top").chmod(0)
    with pytest.raises(UndigestibleError, match="Permission"):
        look("top/file")
    (tmp_path / "top").chmod(0o700)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("https://host.org/data.nc", "https://host.org "),
        ("gs://bucket/data.zarr", "gs://bucket "),
        ("simplecache::https://host.org/data.nc", "::https://host.org "),
        ("simplecache::s3://bucket/data.nc", "::s3://bucket "),
        ("postgresql://me:secret@host/db", "postgresql://host "),
    ],
)
def test_other_places_are_refused(text: str, place: str) -> None:
    with pytest.raises(UndigestibleError) as caught:
        look(text)
    assert place in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_mark_is_taken_once_in_a_snapshot(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "content")
    marks = FileMarks()
    with marks.snapshot():
        first = marks.mark("data.csv")
        write(path, "other")
        assert marks.mark("data.csv") == first
    with marks.snapshot():
        assert marks.mark("data.csv") != first


def test_a_refusal_is_repeated() -> None:
    marks = FileMarks()
    for _ in range(2):
        with pytest.raises(UndigestibleError, match="https://host"):
            marks.mark("https://host/x")


def test_inputs_must_be_there(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "1")
    path = write(tmp_path / "b.csv", "2")
    marks = FileMarks()
    with marks.snapshot():
        first = marks.inputs(["a.csv", "b.csv"])
        assert first == marks.inputs(["b.csv", "a.csv"]) != marks.inputs(["a.csv"])
        with pytest.raises(UndigestibleError, match=r"'c\.csv'.*no such file"):
            marks.inputs(["a.csv", "c.csv"])
    write(path, "22")
    assert marks.inputs(["a.csv", "b.csv"]) != first


def test_texts_of_a_large_graph_cost_next_to_nothing(tmp_path: Path) -> None:
    for number in range(100):
        write(tmp_path / f"file-{number}", "content")
    marks = FileMarks()
    start = time.perf_counter()
    with marks.snapshot():
        for number in range(64_574):
            marks.mark(f"name-{number}")
    assert time.perf_counter() - start < 1  # 0.07 s here
