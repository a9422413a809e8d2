"""Wheels of what is installed here."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import dask_knot
from dask_knot.environment.distributions import find
from dask_knot.environment.target import Target, this_platform
from dask_knot.environment.wheel import Wheel, make_wheel, pack, why_no_wheel
from tests.environment.conftest import Install

HERE = Target(this_platform(), system="linux")
ELSEWHERE = Target("linux/amd64", system="linux", machine="linux/arm64")


def of(name: str, target: Target = HERE) -> Wheel:
    package = find(name)
    assert package is not None
    return make_wheel(package, target)


def opened(wheel: Wheel) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_has_all_of_the_package() -> None:
    folder = Path(dask_knot.__file__).parent
    files = {
        f"dask_knot/{file.relative_to(folder).as_posix()}": file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    found = opened(of("dask_knot"))
    assert {name: data for name, data in found.items() if ".dist-info/" not in name} == files
    assert {name.partition("/")[2] for name in found if ".dist-info/" in name} >= {
        "METADATA",
        "WHEEL",
        "RECORD",
        "entry_points.txt",
    }


def test_the_same_files_give_the_same_bytes() -> None:
    assert of("dask_knot") == of("dask_knot")
    other = pack("a", "1", {"a.py": b"x"})
    assert other != pack("a", "1", {"a.py": b"y"})


def test_pip_installs_it(tmp_path: Path) -> None:
    metadata = b"Metadata-Version: 2.1\nName: some-name\nVersion: 1.0\n"
    files = {
        "mod.py": b"x = 1\n",
        "data/__init__.py": b"",  # a package of this name is no data of a wheel
        "a, b.txt": b"",
        ".data/data/share/some/file": b"shared",
        "dist-info/METADATA": metadata,
    }
    wheel = pack("some-name", "1.0", files)
    path = tmp_path / wheel.name
    path.write_bytes(wheel.content)
    command = ["pip", "install", "--no-deps", "--no-index", "--target", str(tmp_path / "t")]
    subprocess.run([sys.executable, "-m", *command, str(path)], check=True, capture_output=True)
    assert (tmp_path / "t" / "mod.py").read_text() == "x = 1\n"
    assert (tmp_path / "t" / "data" / "__init__.py").exists()
    assert (tmp_path / "t" / "share" / "some" / "file").read_text() == "shared"


def test_compiled_parts_keep_their_tag_and_their_platform() -> None:
    numpy = find("numpy")
    assert numpy is not None
    assert why_no_wheel(numpy, HERE) == ""
    assert "compiled for this machine (numpy" in why_no_wheel(numpy, ELSEWHERE)


TAGS = "Tag: cp311-cp311-manylinux_2_17_x86_64\nTag: cp311-cp311-manylinux2014_x86_64\n"


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (TAGS, "quick-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
        ("Tag: py3-none-any\n", f"quick-1.0-{HERE.tag}.whl"),  # a working copy says so
    ],
)
def test_a_wheel_of_compiled_parts(told: str, name: str, install: Install) -> None:
    files = {"quick/__init__.py": "", "quick/fast.cpython-311-x86_64-linux-gnu.so": "ELF"}
    install("quick", files=files, WHEEL=told)
    wheel = of("quick")
    assert wheel.name == name
    assert b"Root-Is-Purelib: false" in opened(wheel)["quick-1.0.dist-info/WHEEL"]


def test_programs_and_shared_files_go_along(install: Install) -> None:
    files = {
        "tool/__init__.py": "",
        "../../../bin/made": "#!/here/python\n",
        "../../../bin/given": "#!/here/python3.11 -E\nprint()\n",
        "../../../share/tool/table.csv": "1,2\n",
    }
    install("tool", files=files, **{"entry_points.txt": "[console_scripts]\nmade = tool:main\n"})
    found = opened(of("tool"))
    assert found["tool-1.0.data/scripts/given"] == b"#!python\nprint()\n"
    assert found["tool-1.0.data/data/share/tool/table.csv"] == b"1,2\n"
    assert not [name for name in found if name.endswith("scripts/made")]  # pip makes it


def test_what_has_no_files_is_refused_before(install: Install) -> None:
    assert "not found" in why_no_wheel(install("gone", files={}), HERE)
    assert "pip doesn't accept its version" in why_no_wheel(install("odd", "1.0-what-is-it"), HERE)
