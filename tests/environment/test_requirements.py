"""What pip is told, from what is installed here."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import dask_knot
from dask_knot.environment import distributions as installed
from dask_knot.environment.requirements import read_file, resolve_requirements
from dask_knot.environment.wheel import make_wheel, pack
from dask_knot.errors import ImageError

SAID: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    SAID.clear()


def resolve(*packages: str, source: Path | None = None) -> dict[str, str]:
    return resolve_requirements(packages, source, SAID.append).lines


def test_jobs_have_the_versions_that_are_here() -> None:
    found = resolve()
    for name in ("dask", "distributed", "cloudpickle", "msgpack", "obstore", "numpy"):
        assert found[name] == f"{name}=={version(name)}"
    assert "boto3" not in found


def test_a_job_imports_nothing_that_the_image_lacks() -> None:
    """Whoever adds an import to the job's program must add the package to the image."""
    program = (
        "import sys; before = set(sys.modules); import dask_knot.job, dask_knot.job.shard\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = resolve_requirements((), None, SAID.append)
    lines = [*found.lines.values(), *found.constraints]
    packages = {line.partition("=")[0] for line in lines} | {"dask-knot"}
    by_module = installed.by_module()
    foreign = {name for name in done.stdout.split() if name in by_module}
    assert {name for name in foreign if not by_module[name] & packages} == set()


def test_auto_takes_what_a_script_imports(tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    script.write_text("import xarray, yaml, no_such_module\n")
    found = resolve("auto", source=script)
    assert found["xarray"] == f"xarray=={version('xarray')}"
    assert found["pyyaml"] == f"pyyaml=={version('PyYAML')}"
    assert any("no_such_module" in line and "left out" in line for line in SAID)


def test_auto_says_what_jobs_will_not_have(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "a.py").write_text("import mine")
    resolve("auto", source=tmp_path / "a.py")
    assert any("mine stands beside a.py" in line for line in SAID)


def test_a_package_without_version_is_taken_as_it_is_here() -> None:
    found = resolve("pandas", "botocore>=1.40", "zarr[remote]", "no-such-package")
    assert found["pandas"] == f"pandas=={version('pandas')}"
    assert found["botocore"] == "botocore>=1.40"
    assert found["zarr"] == f"zarr[remote]=={version('zarr')}"
    assert found["no-such-package"] == "no-such-package"


def test_what_packages_need_is_held_to_the_versions_here() -> None:
    found = resolve_requirements(["pandas"], None, SAID.append)
    held = {line.partition("==")[0]: line for line in found.constraints}
    assert held["toolz"] == f"toolz=={version('toolz')}"
    assert "python-dateutil" in held
    assert not held.keys() & found.lines.keys()


def test_another_version_brings_its_own_needs() -> None:
    found = resolve_requirements(["moto>=5"], None, SAID.append)
    assert not [line for line in found.constraints if line.startswith("responses")]


@pytest.mark.parametrize(
    "text", ["git+https://github.com/o/n@v1", "name @ git+ssh://git@host/o/n.git@main"]
)
def test_git_references_go_as_they_are(text: str) -> None:
    found = resolve_requirements([text], None, SAID.append)
    assert text in found.lines.values()
    assert found.needs_git
    assert not resolve_requirements([], None, SAID.append).needs_git


def test_files_of_requirements_are_read_with_those_they_name(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("scipy  # for stats\n")
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# comment\n\n-r more.txt\nnumpy>=1 ; python_version > '3' \\\n  --hash=sha256:ab\n"
    )
    assert list(read_file(file)) == ["scipy", "numpy>=1 ; python_version > '3'"]
    assert "scipy" in resolve(str(file))


@pytest.mark.parametrize("line", ["-e .", "./here", "--index-url https://example.com"])
def test_what_an_image_cannot_have_is_refused(line: str, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"{line}\n")
    with pytest.raises(ImageError, match="can't be followed in an image") as caught:
        resolve(str(file))
    assert line in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="can't be read"):
        resolve(str(tmp_path / "no.txt"))


@pytest.mark.parametrize("text", ["two words", "==1", "pandas=1"])
def test_nonsense_is_answered_with_what_is_right(text: str) -> None:
    with pytest.raises(ImageError, match=r"scipy>=1\.14.*git\+https"):
        resolve(text)


class TestWheel:
    def test_it_has_all_of_the_package(self) -> None:
        wheel = make_wheel("dask_knot")
        folder = Path(dask_knot.__file__).parent
        files = {
            f"dask_knot/{file.relative_to(folder).as_posix()}": file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
        with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
        own = {name: data for name, data in found.items() if ".dist-info/" not in name}
        assert own == files
        assert {name.partition("/")[2] for name in found if ".dist-info/" in name} >= {
            "METADATA",
            "WHEEL",
            "RECORD",
        }

    def test_the_same_files_give_the_same_bytes(self) -> None:
        assert make_wheel("dask_knot") == make_wheel("dask_knot")
        other = pack("a", "1", {"a.py": b"x"})
        assert other != pack("a", "1", {"a.py": b"y"})

    def test_pip_installs_it(self, tmp_path: Path) -> None:
        metadata = b"Metadata-Version: 2.1\nName: some-name\nVersion: 1.0\n"
        wheel = pack("some-name", "1.0", {"mod.py": b"x = 1\n", "dist-info/METADATA": metadata})
        path = tmp_path / wheel.name
        path.write_bytes(wheel.content)
        command = ["pip", "install", "--no-deps", "--no-index", "--target", str(tmp_path / "t")]
        subprocess.run([sys.executable, "-m", *command, str(path)], check=True, capture_output=True)
        assert (tmp_path / "t" / "mod.py").read_text() == "x = 1\n"

    def test_compiled_parts_are_refused(self) -> None:
        with pytest.raises(ImageError, match=r"compiled parts .*git\+https"):
            make_wheel("numpy")

    def test_what_is_not_installed_is_refused(self) -> None:
        with pytest.raises(ImageError, match="not installed here"):
            make_wheel("no-such-package")
