"""The way of each package into an image, and all that stands in the way of it, at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dask_knot.environment.requirements import Requirements, resolve_requirements
from dask_knot.environment.target import Target, this_platform
from dask_knot.errors import PackagesError
from tests.environment.conftest import Install

HERE = Target(this_platform(), system="linux")
#: A client that is no Linux, and wants an image of Linux.
MAC = Target("linux/amd64", system="darwin", machine="linux/arm64")
COMPILED = {"fast/__init__.py": "", "fast/_x.cpython-311-x86_64-linux-gnu.so": "ELF"}
FEEDSTOCK = {"url": "file:///home/conda/feedstock_root/build_artifacts/x_1/work", "dir_info": {}}
MODEL = {"url": "https://host/en-3.7-py3-none-any.whl", "archive_info": {"hash": "sha256=12"}}
SAID: list[str] = []


def resolve(*packages: str, target: Target = HERE) -> Requirements:
    SAID.clear()
    return resolve_requirements(packages, None, SAID.append, target)


def names(found: Requirements) -> set[str]:
    return {wheel.name.partition("-")[0] for wheel in found.wheels}


def repository(url: str = "https://host/o/n.git", **more: str) -> dict[str, Any]:
    return {"url": url, "vcs_info": {"vcs": "git", "commit_id": "ab12", **more}}


class TestConda:
    """Metadata as conda writes them, over packages that are made up."""

    @pytest.fixture
    def conda(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Give a function that writes records of conda, and let conda's Python run."""
        prefix = site.parents[2]
        records = prefix / "conda-meta"
        records.mkdir()
        monkeypatch.setattr("sys.prefix", str(prefix))

        def note(name: str, version: str = "1.0", **told: Any) -> None:
            channel = told.pop("channel", "conda-forge")
            url = f"https://me:secret@conda.example/t/TOKEN-1/{channel}/linux-64/{name}-{version}-0.conda"
            text = {"name": name, "version": version, "url": url, "md5": "0a", "subdir": "linux-64"}
            (records / f"{name}-{version}-0.json").write_text(json.dumps({**text, **told}))

        return note

    def install(self, install: Install, name: str, version: str = "1.0", **more: Any) -> None:
        install(name, version, direct_url=FEEDSTOCK, INSTALLER="conda\n", **more)

    def test_its_packages_go_by_their_versions(self, install: Install, conda: Any) -> None:
        for name in ("one", "two"):
            self.install(install, name, files=COMPILED, needs=["two"] if name == "one" else [])
            conda(name)
        found = resolve("one")
        assert (found.lines["one"], found.lines["two"]) == ("one==1.0", "two==1.0")
        assert names(found) == {"dask_knot"}

    def test_what_no_index_has_is_named_with_both_cures(self, install: Install, conda: Any) -> None:
        self.install(install, "GDAL", "3.9.2")
        self.install(install, "esmpy", "8.6")
        with pytest.raises(PackagesError) as caught:
            resolve("gdal", "esmpy")
        said = str(caught.value)
        assert "2 problems" in said
        assert "gdal 3.9.2 is conda's, and no index has a wheel" in said
        assert "`--debian libgdal-dev --debian g++`" in said
        assert said.count("--conda here") == 2

    @pytest.mark.parametrize(
        "target",
        [
            Target(HERE.platform, debian=("libgdal-dev", "g++"), system="linux"),
            Target(HERE.platform, has_own_base=True, system="linux"),
        ],
        ids=["debian", "base"],
    )
    def test_the_cure_cures(self, target: Target, install: Install) -> None:
        self.install(install, "GDAL", "3.9.2")
        assert resolve("gdal", target=target).lines["gdal"] == "gdal==3.9.2"

    def test_what_is_no_python_package_is_said(self, install: Install, conda: Any) -> None:
        self.install(install, "one")
        conda("one", depends=["python >=3.11", "mkl >=2024", "libblas", "numpy"], files=["one.py"])
        conda("mkl", files=["lib/libmkl.so"])
        resolve("one")
        (said,) = SAID
        assert said.startswith("these packages use mkl from conda, which no package index has")
        assert "--debian" in said
        assert "--conda here" in said
        with pytest.raises(PackagesError, match="mkl exists only as a conda package"):
            resolve("mkl")

    def test_a_channel_of_ones_own_is_no_index(self, install: Install, conda: Any) -> None:
        self.install(install, "ours")
        conda("ours", channel="lab")
        assert names(resolve("ours")) == {"dask_knot", "ours"}

    def test_a_package_that_forgot_its_version(self, install: Install, conda: Any) -> None:
        self.install(install, "late", "0.0.0")
        conda("late", "2.1")
        assert resolve("late").lines["late"] == "late==2.1"

    def test_a_name_of_condas_is_understood(self, install: Install, conda: Any) -> None:
        """An index has another package by that name, or none."""
        self.install(install, "torch", "2.5.0", files=COMPILED)
        info = "lib/python3.11/site-packages/torch-2.5.0.dist-info/METADATA"
        conda("pytorch", "2.5.0", files=[info], depends=["cudatoolkit 11"])
        conda("cudatoolkit", files=["lib/libcuda.so"])
        found = resolve("pytorch")
        assert (found.lines["torch"], found.own) == ("torch==2.5.0", {})
        assert SAID[0] == "conda's pytorch is torch on Python's index"
        assert SAID[1].startswith("these packages use cudatoolkit from conda")

    def test_its_list_is_taken_without_credentials(self, install: Install, conda: Any) -> None:
        self.install(install, "GDAL", "3.9.2")
        install("pipped", "2.0", INSTALLER="pip\n")
        conda("gdal", "3.9.2")
        conda("python", "3.11.7")
        found = resolve("gdal", "pipped", target=Target("linux/amd64", conda="here"))
        place = "https://conda.example/conda-forge/linux-64"
        assert found.conda == (
            "@EXPLICIT",
            f"{place}/gdal-3.9.2-0.conda#0a",
            f"{place}/python-3.11.7-0.conda#0a",
        )
        assert "gdal" not in found.lines
        assert found.lines["pipped"] == "pipped==2.0"

    def test_its_list_is_for_one_platform(self, conda: Any) -> None:
        conda("python", "3.11.7")
        with pytest.raises(
            PackagesError, match=r"is for linux-64, but the image is for linux/arm64"
        ):
            resolve(target=Target("linux/arm64", conda="here"))

    def test_a_file_for_conda_is_taken_as_it_is(self, install: Install, tmp_path: Path) -> None:
        self.install(install, "GDAL", "3.9.2")
        self.install(install, "other", "1.0")
        file = tmp_path / "environment.yml"
        file.write_text("dependencies:\n- python=3.11\n- gdal=3.9\n")
        found = resolve("gdal", "other", target=Target("linux/amd64", conda=str(file)))
        assert found.conda == ("dependencies:", "- python=3.11", "- gdal=3.9")
        assert "gdal" not in found.lines
        assert found.lines["other"] == "other==1.0"

    def test_but_for_the_credentials_of_its_channels(self, tmp_path: Path) -> None:
        file = tmp_path / "environment.yml"
        file.write_text(
            "channels:\n  - https://me:s3cret@conda.example/t/TO-1/lab\n  - https://a/b?token=s3cret\n"
            "dependencies:\n  - pip:\n    - git+https://s3cret@git.example/ours@v1\n"
        )
        said: list[str] = []
        target = Target("linux/amd64", conda=str(file))
        found = resolve_requirements((), None, said.append, target)
        assert any("contains credentials, which are left out of the image" in line for line in said)
        assert found.conda == (
            *("channels:", "  - https://conda.example/lab", "  - https://a/b"),
            *("dependencies:", "  - pip:", "    - git+https://git.example/ours@v1"),
        )

    def test_without_conda_there_is_no_list(self) -> None:
        with pytest.raises(PackagesError, match="no conda environment is active here"):
            resolve(target=Target("linux/amd64", conda="here"))


class TestAddresses:
    def test_a_model_goes_in_as_it_is_here(self, install: Install) -> None:
        install("en-core", "3.7", direct_url=MODEL)
        found = resolve("en-core")
        assert "en_core" in names(found)
        assert "en-core" not in found.lines

    def test_a_large_one_is_fetched_again(self, install: Install, site: Path) -> None:
        install("en-core", "3.7", files={"en_core/big.bin": "x"}, direct_url=MODEL)
        with (site / "en_core" / "big.bin").open("wb") as file:
            file.truncate(2**26 + 1)
        assert resolve("en-core").lines["en-core"] == f"en-core @ {MODEL['url']}#sha256=12"

    @pytest.mark.parametrize("url", ["ssh://git@host/o/n.git", "https://host/o/n.git"])
    def test_a_repository_goes_in_as_it_is_here(self, url: str, install: Install) -> None:
        install("fast", files=COMPILED, direct_url=repository(url))
        found = resolve("fast")
        assert not found.needs_git
        assert any(wheel.name == f"fast-1.0-{HERE.tag}.whl" for wheel in found.wheels)
        assert any("as it was compiled here" in line for line in SAID)

    def test_what_was_compiled_for_another_one_is_fetched_again(self, install: Install) -> None:
        install("fast", files=COMPILED, direct_url=repository())
        found = resolve("fast", target=MAC)
        assert found.lines["fast"] == "fast @ git+https://host/o/n.git@ab12"
        assert found.needs_git
        install("fast", files=COMPILED, direct_url=repository("ssh://git@host/o/n.git"))
        with pytest.raises(
            PackagesError, match=r"a build has no key for.*parts of it were compiled"
        ):
            resolve("fast", target=MAC)

    @pytest.mark.parametrize(
        "text",
        [
            "git+https://token:x@host/o/n.git@main",
            "git+https://host/o/n@ab12",
            "mine @ git+https://host/o/n.git",
        ],
    )
    def test_a_reference_to_what_is_here_means_that(self, text: str, install: Install) -> None:
        install("mine", direct_url=repository(requested_revision="main"))
        found = resolve(text)
        assert "mine" in names(found)
        assert not found.own

    def test_another_commit_is_fetched(self, install: Install) -> None:
        install("mine", direct_url=repository(requested_revision="main"))
        assert resolve("mine @ git+https://host/o/n.git@v2").own

    @pytest.mark.parametrize("text", ["git+ssh://git@h/o/n", "mine @ git+ssh://git@h/o/n.git@main"])
    def test_a_build_has_no_key(self, text: str) -> None:
        with pytest.raises(PackagesError, match=r"has no key\.\n  Fix: Install it here first"):
            resolve(text)


def test_pip_freeze_of_a_conda_environment(install: Install, tmp_path: Path) -> None:
    install("psutil", "5.9.8", direct_url=FEEDSTOCK, INSTALLER="conda\n")
    lines = ["psutil", "away"]
    file = tmp_path / "r.txt"
    file.write_text("".join(f"{name} @ {FEEDSTOCK['url']}\n" for name in lines) + "numpy==99\n")
    found = resolve(str(file))
    assert found.lines["psutil"] == "psutil==5.9.8"
    assert found.own == {"away": "away", "numpy": "numpy==99"}
    assert any(line.startswith("away isn't installed here") for line in SAID)


MADE = "Wheel-Version: 1.0\nTag: cp311-cp311-{}_x86_64\n"


@pytest.mark.parametrize(
    ("system", "version", "target", "is_copied"),
    [
        ("linux", "1.0", HERE, True),
        ("linux", "1.0+cu121", HERE, False),
        ("manylinux_2_28", "1.0", HERE, False),
        ("linux", "1.0", MAC, False),
    ],
    ids=["here", "label", "index", "mac"],
)
def test_what_was_compiled_while_it_was_installed_is_copied(
    system: str, version: str, target: Target, is_copied: bool, install: Install
) -> None:
    """An image has no compiler."""
    install("fast", version, files=COMPILED, WHEEL=MADE.format(system), INSTALLER="uv\n")
    install("of-debian", files=COMPILED, WHEEL=MADE.format(system), INSTALLER="debian\n")
    found = resolve("fast", "of-debian", target=target)
    assert found.lines["of-debian"] == "of-debian==1.0"
    assert ("fast" in names(found)) is is_copied
    assert found.lines.get("fast") == (None if is_copied else "fast==1.0")


def test_what_debian_has_or_was_compiled_with_libraries_is_named(install: Install) -> None:
    install("GDAL", "3.6.2", files=COMPILED)
    with pytest.raises(
        PackagesError, match=r"`--debian libgdal-dev --debian g\+\+`\), or use a base"
    ):
        resolve("gdal")
    found = resolve("gdal", target=replace(HERE, debian=("libgdal-dev", "g++")))
    assert found.lines["gdal"] == "gdal==3.6.2"
    install("GDAL", "3.6.2", files=COMPILED, WHEEL=MADE.format("manylinux_2_28"))
    assert resolve("gdal").lines["gdal"] == "gdal==3.6.2"


def test_a_path_that_no_system_takes_is_named() -> None:
    with pytest.raises(PackagesError, match=r"x\.whl doesn't exist"):
        resolve("x" * 300 + ".whl")


@pytest.mark.parametrize("text", ["-r gone\0.txt", "gone\0.in"])
def test_a_name_that_no_file_has_is_named(text: str) -> None:
    with pytest.raises(PackagesError, match=r"gone.* can't be read: No such file"):
        resolve(text)


@pytest.mark.parametrize("text", ["https://[", "file://[", "a @ https://[", "git+https://[x"])
def test_a_url_that_is_none_is_named(text: str, install: Install) -> None:
    install("damaged", direct_url={"url": "https://[", "archive_info": {}})
    with pytest.raises(PackagesError, match=r"Invalid IPv6 URL\.\n  Fix: Check"):
        resolve(text)
    assert resolve("git+https://host/n").own


def test_a_working_copy_whose_folder_is_gone_is_named(install: Install) -> None:
    told = {"url": "file:///tmp/gone/mine", "dir_info": {"editable": True}}
    install("mine", direct_url=told, files={"mine.pth": "/tmp/gone/mine\n"})
    with pytest.raises(PackagesError, match=r"that folder no longer exists\.\n  Fix: Restore"):
        resolve("mine")


@pytest.mark.parametrize(
    ("text", "cure"),
    [("a=1.2=py_0", "a==1.2"), ("conda-forge::a", "a"), ("c/label/x::a=1", "a==1")],
)
def test_a_line_of_condas_is_answered_with_pythons(text: str, cure: str) -> None:
    with pytest.raises(PackagesError, match=f"Write '{cure}': channels"):
        resolve(text)


def test_what_outlived_its_folder_or_wheel_is_copied(
    install: Install, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No index has it, or what another made by that name."""
    install("mine", direct_url={"url": "file:///tmp/gone/mine-1.0.whl", "archive_info": {}})
    install("built", direct_url={"url": "file:///tmp/spack/built", "dir_info": {}}, files=COMPILED)
    found = resolve("mine", "built")
    assert names(found) == {"dask_knot", "mine"}
    assert "mine" not in found.lines
    assert found.lines["built"] == "built==1.0"
    assert any("built from /tmp/spack/built, which isn't here:" in one for one in SAID)
    monkeypatch.setattr("sys.prefix", str(site.parents[2]))
    assert names(resolve("built")) == {"dask_knot", "built"}
    with pytest.raises(PackagesError, match="compiled for this machine"):
        resolve("built", target=MAC)


@pytest.mark.parametrize("text", ["{}[fast]", "-e {}[fast]", "-e{}[fast]", "file://{}[fast]", "{}"])
def test_a_folder_is_what_is_installed_from_there(
    text: str, install: Install, tmp_path: Path
) -> None:
    install("more")
    needs = ["more ; extra == 'fast'"]
    told = {"url": tmp_path.as_uri(), "dir_info": {}}
    install("mine", direct_url=told, needs=needs)
    found = resolve(text.format(tmp_path))
    assert names(found) == {"dask_knot", "mine"}
    assert ("more" in found.lines) is ("fast" in text)


def test_what_isnt_installed_is_told_with_the_command(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1.0-py3-none-any.whl"
    wheel.touch()
    with pytest.raises(PackagesError) as caught:
        resolve(str(wheel), str(tmp_path), "./gone", "-r gone.txt", "conda-lock.yml")
    for said in (
        f"(`pip install {wheel}`)",
        f"(`pip install -e {tmp_path}`)",
        "gone doesn't exist",
        "gone.txt can't be read: No such file",
        "--conda conda-linux-64.lock",
    ):
        assert said in str(caught.value)


def test_a_version_that_is_the_one_here_is_copied(install: Install) -> None:
    install("one", "1.2+here", needs=["two>9"])
    install("two", "3")
    for text in ("one==1.2", "one==1.2+here", "one", "one[extra]==1.2 ; python_version > '3'"):
        found = resolve(text)
        assert (found.lines["one"], found.lines["two"]) == ("one==1.2", "two==3")
        assert not found.own
    assert resolve("one==1.2+other").own == {"one": "one==1.2+other"}
    assert resolve("one>=1").own == {"one": "one>=1"}


def test_an_environment_that_pip_dislikes_is_copied(install: Install) -> None:
    install("one", needs=["two>=5", "absent", "click<1", "numpy<1"])
    install("two", "3")
    found = resolve("one")
    assert found.lines["two"] == "two==3"
    assert not found.own  # nothing is left to a solver
    assert not found.constraints


def test_an_index_of_pytorchs_has_its_labels(install: Install, tmp_path: Path) -> None:
    install("torch", "2.5.0+cpu")
    file = tmp_path / "r.txt"
    file.write_text("--extra-index-url https://download.pytorch.org/whl/cpu\ntorch\n")
    assert resolve(str(file)).lines["torch"] == "torch==2.5.0+cpu"
    assert SAID == []
    assert resolve("torch").lines["torch"] == "torch==2.5.0"
    assert any("to get the 'cpu' build, name its index" in line for line in SAID)


class TestOtherPlatforms:
    def test_what_is_needed_there_is_solved_there(self, install: Install) -> None:
        needs = [
            "cuda-lib==12 ; sys_platform == 'linux'",
            "only-mac ; sys_platform == 'darwin'",
            "arm-only ; platform_machine == 'aarch64'",
        ]
        install("torchy", needs=needs)
        install("only-mac")
        found = resolve("torchy", target=MAC)
        assert found.own == {"cuda-lib": "cuda-lib==12"}
        assert "torchy==1.0" in found.constraints
        assert "only-mac" not in found.lines

    def test_what_is_absent_here_is_not_needed_on_the_same(self, install: Install) -> None:
        install("torchy", needs=["cuda-lib==12 ; sys_platform == 'linux'"])
        assert not resolve("torchy").own

    def test_an_extra_that_is_not_here_is_solved(self, install: Install) -> None:
        install("one", needs=["absent>2 ; extra == 'more'", "here ; extra == 'more'"])
        install("here")
        found = resolve("one[more]")
        assert found.own == {"absent": "absent>2"}
        assert found.lines["here"] == "here==1.0"
        assert "here" not in resolve("one").lines


def test_all_problems_come_at_once(install: Install, tmp_path: Path) -> None:
    told = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    install("built", files={"_built_editable_loader.py": "x = 1"}, direct_url=told)
    install("GDAL", "3.9", INSTALLER="conda")
    file = tmp_path / "r.txt"
    file.write_text("-e /no/such/project\npandas=2.1\n")
    with pytest.raises(PackagesError) as caught:
        resolve("built", "gdal", str(file), "environment.yml", "git+ssh://git@h/o/n", "??")
    said = str(caught.value)
    assert "because of 7 problems" in said
    cures = [line for line in said.splitlines() if line.startswith("  ")]
    assert len(cures) == 7
    assert "Install it without -e" in said
    assert "Write 'pandas==2.1'" in said
    assert "`--conda environment.yml`" in said


def test_a_working_copy_named_by_its_folder_is_the_one_that_is_here(
    install: Install, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    (project / "mine").mkdir(parents=True)
    (project / "mine" / "__init__.py").write_text("")
    told = {"url": project.as_uri(), "dir_info": {"editable": True}}
    install("mine", files={"mine.pth": str(project)}, direct_url=told)
    (project / "requirements.txt").write_text("-e .\n")
    assert "mine" in names(resolve(str(project / "requirements.txt")))


def test_a_strange_version_is_said(install: Install) -> None:
    install("old", "2004d-strange")
    assert resolve("old").lines["old"] == "old===2004d-strange"
    assert any("isn't valid by today's rules" in line for line in SAID)
