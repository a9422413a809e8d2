"""What pip is told, from what is installed here."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from dask_knot.environment import distributions as installed
from dask_knot.environment.requirements import resolve_requirements
from dask_knot.errors import ImageError

SAID: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    SAID.clear()


def resolve(*packages: str, source: Path | None = None) -> dict[str, str]:
    found = resolve_requirements(packages, source, SAID.append)
    return {**found.lines, **found.own}


def test_jobs_have_the_versions_that_are_here() -> None:
    found = resolve()
    for name in ("dask", "distributed", "cloudpickle", "msgpack", "obstore", "numpy", "zlib-ng"):
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
    packages = {line.partition("=")[0] for line in found.lines.values()} | {"dask-knot"}
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


def test_a_package_without_version_is_taken_as_it_is_here() -> None:
    found = resolve("pandas", "botocore>=1.40", "zarr[remote]", "no-such-package")
    assert found["pandas"] == f"pandas=={version('pandas')}"
    assert found["botocore"] == "botocore>=1.40"
    assert found["zarr"] == f"zarr=={version('zarr')}"
    assert found["no-such-package"] == "no-such-package"


def test_what_packages_need_is_copied_in_the_versions_here() -> None:
    found = resolve_requirements(["pandas"], None, SAID.append)
    assert found.lines["toolz"] == f"toolz=={version('toolz')}"
    assert "python-dateutil" in found.lines
    assert not found.own
    assert not found.constraints


def test_another_version_brings_its_own_needs_and_keeps_to_the_rest() -> None:
    found = resolve_requirements(["moto>=5"], None, SAID.append)
    assert found.own == {"moto": "moto>=5"}
    assert not [line for line in found.constraints if line.startswith("responses")]
    assert f"numpy=={version('numpy')}" in found.constraints


@pytest.mark.parametrize(
    "text", ["git+https://github.com/o/n@v1", "name @ git+https://host/o/n.git@main"]
)
def test_git_references_go_as_they_are(text: str) -> None:
    found = resolve_requirements([text], None, SAID.append)
    assert text in found.own.values()
    assert found.needs_git
    assert not resolve_requirements([], None, SAID.append).needs_git


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-e .", "isn't installed here"),
        ("./here", "here doesn't exist"),
        ("--no-such-option", "means nothing inside an image"),
    ],
)
def test_what_an_image_cannot_have_is_refused(line: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"{line}\n")
    with pytest.raises(ImageError, match=words):
        resolve(str(file))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="can't be read"):
        resolve(str(tmp_path / "no.txt"))


@pytest.mark.parametrize("text", ["two words", "==1", "pandas=="])
def test_nonsense_is_answered_with_what_is_right(text: str) -> None:
    with pytest.raises(ImageError, match=r"scipy>=1\.14.*git\+https"):
        resolve(text)
