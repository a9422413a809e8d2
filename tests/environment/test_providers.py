"""Which package provides a module: from made-up metadata."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_knot.environment import distributions
from dask_knot.environment.providers import providers_of

PACKAGES = {
    "ns-storage": ["ns/cloud/storage/__init__.py", "ns/cloud/storage/client.py"],
    "ns-query": ["ns/cloud/query.py"],
    "ns-core": ["ns/core/__init__.py", "ns/core/fast.abi3.so"],
    "plain": ["plain/__init__.py", "plain/part.py"],
    "plain-extras": ["plain/extras/__init__.py"],
    "one-file": ["one_file.py"],
    "says-nothing": [],
}


@pytest.fixture
def tops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Install packages that are only metadata."""
    for name, files in PACKAGES.items():
        folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        top = files[0].split("/")[0].removesuffix(".py") if files else "old_egg"
        (folder / "top_level.txt").write_text(top)
        for file in files:  # what isn't there is left out by Python
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        if files:
            (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    monkeypatch.syspath_prepend(str(tmp_path))
    return distributions.by_module()


@pytest.mark.parametrize(
    ("dotted", "names"),
    [
        ("ns.cloud.storage", {"ns-storage"}),
        ("ns.cloud.storage.Client", {"ns-storage"}),
        ("ns.cloud.query.Query.run", {"ns-query"}),
        ("ns.core.fast", {"ns-core"}),
        ("ns.cloud", {"ns-storage", "ns-query"}),
        ("ns.cloud.tables", set()),
        ("plain", {"plain"}),
        ("plain.function", {"plain"}),
        ("plain.extras.thing", {"plain-extras"}),
        ("one_file.x", {"one-file"}),
        ("old_egg.anything", {"says-nothing"}),
        ("unknown", set()),
    ],
)
def test_the_package_that_has_the_module_is_named(
    dotted: str, names: set[str], tops: dict[str, set[str]]
) -> None:
    assert providers_of(dotted, tops) == names


def test_packages_that_are_here_are_found() -> None:
    tops = distributions.by_module()
    for dotted, name in {
        "numpy.linalg.norm": "numpy",
        "yaml": "pyyaml",
        "mpl_toolkits.mplot3d": "matplotlib",
        "dateutil.parser": "python-dateutil",
        "sklearn.svm.SVC": "scikit-learn",
    }.items():
        assert providers_of(dotted, tops) == {name}
