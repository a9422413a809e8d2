"""Versions are compared before a pickle is touched, and a difference names both sides."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import pytest

from dask_knot.errors import CorruptObjectError, VersionsError
from dask_knot.run import codec, versions, work

CLIENT = {"python": "3.12", "dask": "2026.8.0", "numpy": "2.4.6"}


def joined(frames: list[codec.Bytes]) -> memoryview:
    """Give frames as a job reads them."""
    return memoryview(b"".join(frames))


def test_what_is_here_is_known() -> None:
    here = versions.installed()
    assert here["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {"dask", "distributed", "cloudpickle", "numpy", "msgpack"} <= set(here)
    assert here["dask"].startswith("20")
    assert versions.installed(["no-such-package"])["no-such-package"] == ""


def test_the_same_versions_open_the_seal() -> None:
    frames = codec.encode({"a": 1})
    assert versions.unseal(joined(versions.seal(list(frames)))) == (
        b"".join(frames),
        "",
        sys.argv,
        "",
    )


def test_what_sets_jobs_up_is_named_beside_the_versions() -> None:
    sealed = joined(versions.seal([b"pickle"], CLIENT, "a1b2", "c3d4"))
    assert versions.unseal(sealed, CLIENT) == (b"pickle", "a1b2", sys.argv, "c3d4")
    with pytest.raises(VersionsError, match=r"has numpy 1, but the client has numpy 2\.4\.6\. "):
        versions.unseal(sealed, CLIENT | {"numpy": "1"})


def test_a_command_line_may_be_long_and_have_anything_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"in/{number:06}.nc" for number in range(10_000)]  # a shell writes out in/*.nc
    line = ["a script", "two\nlines", "\udcff", "", *names]
    monkeypatch.setattr(sys, "argv", [Path(line[0]), *line[1:]])
    assert versions.unseal(joined(versions.seal([b"pickle"]))).argv == line


@pytest.mark.parametrize(
    ("here", "says", "silent"),
    [
        (CLIENT | {"python": "3.11"}, ["job has python 3.11", "client has python 3.12"], "numpy"),
        (CLIENT | {"numpy": "2.1.0"}, ["numpy 2.1.0", "numpy 2.4.6", "dask knot image"], "python"),
        (CLIENT | {"numpy": ""}, ["numpy (none)", "numpy 2.4.6"], "python"),
        (
            {"python": "3.11", "dask": "2025.1", "numpy": "2.4.6"},
            ["python 3.11, dask 2025.1", "python 3.12, dask 2026.8.0"],
            "numpy",
        ),
    ],
)
def test_a_difference_names_both(here: dict[str, str], says: list[str], silent: str) -> None:
    sealed = joined(versions.seal([b"pickle"], CLIENT))
    with pytest.raises(VersionsError) as caught:
        versions.unseal(sealed, here)
    assert all(part in str(caught.value) for part in says)
    assert silent not in str(caught.value)


def test_what_only_a_job_has_is_no_difference() -> None:
    versions.check(CLIENT | {"numpy": ""}, CLIENT)
    versions.check({"python": "3.12"}, CLIENT)


@pytest.mark.parametrize(
    ("client", "job"),
    [("1.26.4+computecanada", "1.26.4"), ("2.5.0+cpu", "2.5.0+cu121"), ("1.0", "1.0+local.3")],
)
def test_who_built_a_version_is_no_difference(client: str, job: str) -> None:
    versions.check({"numpy": client}, {"numpy": job})
    with pytest.raises(VersionsError):
        versions.check({"numpy": client}, {"numpy": f"9{job}"})


def test_versions_are_named_without_who_built_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "built-1.2+here.dist-info").mkdir()
    (tmp_path / "built-1.2+here.dist-info" / "METADATA").write_text(
        "Name: built\nVersion: 1.2+here\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert versions.installed(["built"])["built"] == "1.2"


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 100, b"\xff\xffKN"])
def test_bytes_without_a_seal_are_damaged(data: bytes) -> None:
    with pytest.raises(CorruptObjectError):
        versions.unseal(memoryview(data))


class Bomb:
    """Can't be unpickled without a bang."""

    def __reduce__(self) -> tuple[object, ...]:
        return explode, ()


def explode() -> NoReturn:
    raise AssertionError("the pickle was loaded")


def test_nothing_is_unpickled_with_other_versions() -> None:
    frames = codec.encode(Bomb())
    with pytest.raises(VersionsError):
        _decode(versions.seal(frames, CLIENT | {"python": "2.7"}))
    with pytest.raises(Exception, match="the pickle was loaded"):
        _decode(versions.seal(frames))


def _decode(sealed: list[codec.Bytes]) -> work.ShardWork:
    return work.decode(versions.unseal(joined(sealed)).frames)
