"""Where packages came from, by what their metadata say."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_knot.environment.distributions import by_module, find, pin
from dask_knot.environment.origins import OriginKind, name_of, origin_of, path_of
from tests.environment.conftest import Install

COMMIT = "a" * 40


def test_what_says_nothing_is_from_an_index(install: Install) -> None:
    assert origin_of(install("plain")).kind is OriginKind.INDEX
    assert origin_of(install("damaged", **{"direct_url.json": "{no json"})).kind is OriginKind.INDEX


def test_condas_packages_name_a_folder_of_others(install: Install) -> None:
    url = {"url": "file:///home/conda/feedstock_root/build_artifacts/psutil_1/work", "dir_info": {}}
    assert origin_of(install("one", direct_url=url, INSTALLER="conda\n")).kind is OriginKind.CONDA
    # An older conda-build left pip's name there.
    assert origin_of(install("two", direct_url=url, INSTALLER="pip\n")).is_gone


def test_condas_packages_are_known_by_their_record_too(install: Install, site: Path) -> None:
    records = site.parents[2] / "conda-meta"
    records.mkdir()
    (records / "my-pack-1.0-py311_0.json").write_text("{}")
    assert origin_of(install("my_pack")).kind is OriginKind.CONDA
    (records / "renewed-1.0-0.json").write_text("{}")  # pip has installed another over it
    assert origin_of(install("renewed", "1.1", INSTALLER="pip\n")).kind is OriginKind.INDEX


@pytest.mark.parametrize("is_editable", [True, False])
def test_what_came_from_a_folder_may_have_outlived_it(
    is_editable: bool, install: Install, tmp_path: Path
) -> None:
    told = {"url": (tmp_path / "a b").as_uri(), "dir_info": {"editable": is_editable}}
    assert origin_of(install("mine", direct_url=told)).is_gone is not is_editable
    (tmp_path / "a b").mkdir()
    found = origin_of(install("mine", direct_url=told))
    assert found.kind is (OriginKind.EDITABLE if is_editable else OriginKind.FOLDER)
    assert found.folder == tmp_path / "a b"
    assert found.is_local
    assert not found.is_gone


def test_a_url_has_its_hash(install: Install) -> None:
    url = "https://github.com/explosion/spacy-models/releases/en-3.7-py3-none-any.whl"
    old = {"url": url, "archive_info": {"hash": "sha256=12"}}
    new = {"url": url, "archive_info": {"hashes": {"sha256": "12"}, "hash": "sha256=12"}}
    for told in (old, new):
        assert origin_of(install("model", direct_url=told)).url == f"{url}#sha256=12"
    found = origin_of(install("model", direct_url={"url": url, "archive_info": {}}))
    assert (found.kind, found.url) == (OriginKind.URL, url)


def test_a_repository_is_named_at_its_commit(install: Install) -> None:
    told = {
        "url": "ssh://git@host/o/n.git",
        "vcs_info": {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"},
        "subdirectory": "python",
    }
    found = origin_of(install("private", direct_url=told))
    assert found.kind is OriginKind.VERSION_CONTROL
    assert found.url == f"git+ssh://git@host/o/n.git@{COMMIT}#subdirectory=python"
    assert found.revision == "main"


def test_paths_of_urls() -> None:
    assert path_of("file:///C:/my%20project") == Path("C:/my project")
    assert path_of("file:///srv/x") == Path("/srv/x")
    assert path_of("https://host/x") is None


def test_the_first_of_two_with_one_name_counts(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("twice", "1.0")
    (tmp_path / "vendor" / "twice-2.0.dist-info").mkdir(parents=True)
    metadata = tmp_path / "vendor" / "twice-2.0.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "vendor"))
    found = find("twice")
    assert found is not None
    assert found.version == "1.0"  # what lacks name and version is none
    metadata.write_text("Metadata-Version: 2.1\nName: twice\nVersion: 2.0\n")
    found = find("twice")
    assert found is not None
    assert found.version == "2.0"


def test_what_is_half_removed_stops_nobody(site: Path) -> None:
    (site / "~andas-2.0.dist-info").mkdir()
    (site / "broken-1.0.dist-info").mkdir()
    (site / "broken-1.0.dist-info" / "METADATA").write_text("")
    assert find("broken") is None
    assert "dask" in by_module()["dask"]


def test_debians_packages_have_no_list_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "dist-packages"
    (folder / "Deb_Pack-2.0.egg-info").mkdir(parents=True)
    told = "Metadata-Version: 1.2\nName: Deb-Pack\nVersion: 2.0\n"
    (folder / "Deb_Pack-2.0.egg-info" / "PKG-INFO").write_text(told)
    (folder / "Deb_Pack-2.0.egg-info" / "top_level.txt").write_text("debpack\n")
    monkeypatch.syspath_prepend(str(folder))
    found = find("deb-pack")
    assert found is not None
    assert (origin_of(found).kind, pin(found)) == (OriginKind.INDEX, "deb-pack==2.0")
    assert by_module()["debpack"] == {"deb-pack"}


@pytest.mark.parametrize(
    ("version", "labels", "line"),
    [
        ("2.5.0+cpu", (), "one==2.5.0"),
        ("2.5.0+cpu", ("cpu",), "one==2.5.0+cpu"),
        ("1.26.4+computecanada", ("cu121",), "one==1.26.4"),
        ("2004d-strange", (), "one===2004d-strange"),
    ],
)
def test_versions_are_pinned_by_their_public_part(
    version: str, labels: tuple[str, ...], line: str, install: Install
) -> None:
    package = install("one", version)
    assert name_of(package) == "one"
    assert pin(package, labels) == line
