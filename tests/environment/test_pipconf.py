"""What pip is told here, compared with what pip itself says."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dask_knot.environment.pipconf import config_files, pip_options
from dask_knot.errors import ImageError


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def merged(text: str) -> dict[str, str]:
    """Read the answer of `pip config list` as `pip install` takes it."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        if (told := ast.literal_eval(value)).strip():  # to `pip install`, nothing is nothing
            found.setdefault(section, {})[option] = told
    return {**found["global"], **found["install"], **found[":env:"]}


@pytest.mark.parametrize("named", [None, "other.conf", os.devnull])
def test_the_same_as_pip_says_of_files_of_all_levels(tmp_path: Path, named: str | None) -> None:
    write(tmp_path / "xdg/pip/pip.conf", "[global]\nindex-url = https://a/\nretries = 3\n")
    write(
        tmp_path / ".pip/pip.conf",
        "[global]\nindex_url = https://old/\ntrusted-host = a b\n[list]\nformat = json\n",
    )
    write(
        tmp_path / ".config/pip/pip.conf",
        "[global]\nindex-url = https://b/\nproxy =\n"
        "[install]\nextra-index-url =\n    https://c/\n    https://d/\n",
    )
    write(
        tmp_path / "other.conf", "[global]\nindex-url = https://e/\nextra-index-url = https://f/\n"
    )
    environ = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        "PIP_TIMEOUT": "7",
        "PIP_CERT": "",
    }
    if named:
        environ["PIP_CONFIG_FILE"] = named if named == os.devnull else str(tmp_path / named)
    made = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    says = merged(made.stdout)
    says.pop("config-file", None)
    found = pip_options(environ, tmp_path, Path(sys.prefix))
    found.pop("config-file", None)
    assert found == says
    assert "timeout" in found


def test_a_variable_is_stronger_than_files_and_uvs_are_weaker(tmp_path: Path) -> None:
    write(tmp_path / ".config/pip/pip.conf", "[global]\nextra-index-url = https://file/\n")
    environ = {
        "XDG_CONFIG_DIRS": str(tmp_path),
        "PIP_INDEX_URL": "https://pip/",
        "UV_INDEX_URL": "https://uv/",
        "UV_EXTRA_INDEX_URL": "https://uv-extra/",
        "UV_FIND_LINKS": "https://links/",
    }
    found = pip_options(environ, tmp_path, tmp_path)
    assert found["index-url"] == "https://pip/"
    assert found["extra-index-url"] == "https://file/"
    assert found["find-links"] == "https://links/"


@pytest.mark.parametrize(
    ("variables", "index", "extra"),
    [
        ({"UV_INDEX_URL": "https://a/"}, "https://a/", None),
        ({"UV_DEFAULT_INDEX": "https://a/", "UV_INDEX_URL": "https://b/"}, "https://a/", None),
        ({"UV_DEFAULT_INDEX": "mine=https://a/?b=c"}, "https://a/?b=c", None),
        (
            {"UV_INDEX": "torch=https://a/ https://b/?c=d", "UV_EXTRA_INDEX_URL": "https://e/"},
            None,
            "https://a/ https://b/?c=d https://e/",
        ),
        (
            {
                "UV_INDEX": "our-own=https://a/simple open=https://b/",
                "UV_INDEX_OUR_OWN_USERNAME": "me",
                "UV_INDEX_OUR_OWN_PASSWORD": "p@ss",
            },
            None,
            "https://me:p%40ss@a/simple https://b/",
        ),
    ],
)
def test_what_uv_is_told(
    variables: dict[str, str], index: str | None, extra: str | None, tmp_path: Path
) -> None:
    environ = {"XDG_CONFIG_DIRS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, **variables}
    found = pip_options(environ, tmp_path, tmp_path)
    assert (found.get("index-url"), found.get("extra-index-url")) == (index, extra)


@pytest.mark.parametrize("content", [b"index-url = x\n", b"[global]\n\xff\xfe\n", b"[global\n"])
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_bytes(content)
    with pytest.raises(ImageError, match=r"pip\.conf, which tells pip.*fix it.*PIP_CONFIG_FILE"):
        pip_options({"PIP_CONFIG_FILE": str(file)}, tmp_path, tmp_path)


def test_on_windows_and_on_a_mac_files_are_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    environ = {"APPDATA": "C:/me", "PROGRAMDATA": "C:/all"}
    names = [file.as_posix() for file in config_files(environ, tmp_path, Path("env"))]
    assert names[0] == "C:/all/pip/pip.ini"
    assert names[2:] == ["C:/me/pip/pip.ini", "env/pip.ini"]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert tmp_path / ".config/pip/pip.conf" in config_files({}, tmp_path, Path("env"))
    library = tmp_path / "Library/Application Support/pip"
    library.mkdir(parents=True)
    assert library / "pip.conf" in config_files({}, tmp_path, Path("env"))
