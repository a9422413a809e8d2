"""Files of requirements as people have them."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

import pytest

from dask_knot.environment.files import (
    RequirementsFile,
    cure_of_other,
    decoded,
    is_file_of_requirements,
    is_place,
    read_file,
)
from dask_knot.environment.problems import Problems

TEXT = "# für später\r\npandas\r\n"


def read(path: Path, text: str | bytes) -> RequirementsFile:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    problems = Problems()
    found = read_file(path, problems)
    problems.raise_if_any()
    return found


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),  # PowerShell's `>`
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.encode("latin-1"),
        b"# -*- coding: cp1252 -*-\n" + TEXT.encode("cp1252"),
        b"# -*- coding: no-such -*-\n" + TEXT.encode(),
    ],
    ids=range(10),
)
def test_any_encoding(data: bytes, tmp_path: Path) -> None:
    assert "# für später" in decoded(data)
    assert read(tmp_path / "r.txt", data).requirements == ["pandas"]


def test_an_empty_file_is_one() -> None:
    assert decoded(b"") == ""


def test_files_are_read_with_those_they_name_each_once(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("scipy  # for stats\n-r r.txt\n")
    (tmp_path / "held.txt").write_text("numpy==2.0\n")
    text = (
        "# comment\n\n-r more.txt\n--requirement=more.txt\n-c held.txt\n"
        "numpy>=1 ; python_version > '3' \\\n  --hash=sha256:ab \\\n  --hash=sha256:cd\n"
    )
    found = read(tmp_path / "r.txt", text)
    assert found.requirements == ["scipy", "numpy>=1 ; python_version > '3'"]
    assert found.constraints == ["numpy==2.0"]


def test_options_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    text = (
        "--index-url https://a/simple\n--extra-index-url=https://b/simple\n-f ./wheels\n"
        "--trusted-host a\n--pre\n--no-binary :all:\npandas\n"
    )
    found = read(tmp_path / "r.txt", text)
    assert found.requirements == ["pandas"]
    assert found.options == [
        "--index-url https://a/simple",
        "--extra-index-url=https://b/simple",
        f"--find-links {tmp_path / 'wheels'}",
        "--trusted-host a",
    ]


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("-e git+https://h/o/n.git@abc#egg=name", "name @ git+https://h/o/n.git@abc"),
        ("-e .", "-e {}"),
        ("-e ./sub[b,a]", "-e {}/sub[a,b]"),
        ("-e './my sub' ; python_version > '3'", "-e {}/my sub"),
        ("./sub", "-e {}/sub"),
        ("sub/one-1.0-py3-none-any.whl --hash=sha256:ab", "-e {}/sub/one-1.0-py3-none-any.whl"),
        (
            "-e git+https://h/o/n.git#egg=name[a]&subdirectory=py",
            "name[a] @ git+https://h/o/n.git#subdirectory=py",
        ),
        ('name==1 --config-settings="a=b" --global-option="c d"', "name==1"),
        ("psutil @ file:///home/conda/work", "psutil @ file:///home/conda/work"),
    ],
)
def test_what_pip_freeze_writes(line: str, becomes: str, tmp_path: Path) -> None:
    found = read(tmp_path / "r.txt", line)
    assert found.requirements == [becomes.format(tmp_path.resolve())]


@pytest.mark.parametrize("line", ["-r 'my dir/a.txt'", '-r "my dir/a.txt"', r"-r my\ dir/a.txt"])
def test_names_of_files_may_have_spaces(line: str, tmp_path: Path) -> None:
    (tmp_path / "my dir").mkdir()
    (tmp_path / "my dir" / "a.txt").write_text("pandas")
    assert read(tmp_path / "r.txt", line).requirements == ["pandas"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("./a", is_place),
        (".", is_place),
        (".[b]", is_place),
        ("a/b", is_place),
        ("a-1.whl", is_place),
        ("file:///a", is_place),
        ("C:\\a", is_place),
        ("a.in", is_file_of_requirements),
        ("sub/pyproject.toml", cure_of_other),
        ("conda-lock.yml", cure_of_other),
        ("environment-gpu.yaml", cure_of_other),
        ("pixi.lock", cure_of_other),
        ("pylock.dev.toml", cure_of_other),
        ("setup.py", cure_of_other),
        ("a.ipynb", cure_of_other),
        ("a", None),
        ("ruamel.yaml", None),
        ("a.lock", None),
        ("a ; platform_version == 'b/c'", None),
        ("a @ https://h/b.whl", None),
        ("a[b]>=1", None),
        ("-i ./a", None),
    ],
    ids=range(22),
)
def test_what_is_given_is_told_by_its_looks(text: str, what: Callable[[str], object]) -> None:
    found = [one for one in (is_place, is_file_of_requirements, cure_of_other) if one(text)]
    assert found[-1:] == ([what] if what else [])


def test_all_that_is_wrong_is_noted(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("-r gone.txt\n--strange\npandas\n-c https://h/c.txt\n")
    problems = Problems()
    assert read_file(tmp_path / "r.txt", problems).requirements == ["pandas"]
    assert [what.partition(str(tmp_path))[2] for what, _ in problems] == [
        "/gone.txt can't be read: No such file or directory",
        "/r.txt has the line '--strange', which means nothing inside an image",
        "/r.txt refers to https://h/c.txt, but images are prepared without using the network",
    ]
