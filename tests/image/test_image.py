"""When an image is built, and what is said when that fails."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from dask_knot.errors import ImageError
from dask_knot.image.builder import connect_to_builder
from dask_knot.image.image import ensure_local_image, make_recipe, show_dockerfile
from dask_knot.image.spec import ImageSpec
from tests.aws.engines import FakeDocker

SPEC = ImageSpec(packages=())


def say_nothing(line: str) -> None:
    pass


def no_engine() -> NoReturn:
    raise ImageError("no Docker engine")


class TestLocalImage:
    def test_a_ready_one_is_taken_as_it_is(self) -> None:
        spec = replace(SPEC, image="example.com/mine:1")
        assert ensure_local_image(spec, say_nothing, no_engine) == "example.com/mine:1"

    def test_is_built_once_and_not_pushed(self) -> None:
        docker = FakeDocker()
        first = ensure_local_image(SPEC, say_nothing, lambda: docker)
        assert first == ensure_local_image(SPEC, say_nothing, lambda: docker)
        assert first.startswith("dask-knot:py3.")
        assert len(docker.built) == 1
        assert docker.pushed == []

    def test_a_changed_function_needs_no_new_image(self, tmp_path: Path) -> None:
        docker, script = FakeDocker(), tmp_path / "a.py"
        names = []
        for body in ("1", "2", "3\nimport yaml"):
            script.write_text(f"import numpy\ndef f():\n    return {body}\n")
            spec = ImageSpec(source=str(script))
            names.append(ensure_local_image(spec, say_nothing, lambda: docker))
        assert names[0] == names[1] == names[2]
        script.write_text("import pandas")
        assert ensure_local_image(spec, say_nothing, lambda: docker) != names[0]

    def test_the_context_has_all_that_the_dockerfile_copies(self) -> None:
        docker = FakeDocker()
        ensure_local_image(replace(SPEC, network="host"), say_nothing, lambda: docker)
        (built,) = docker.built
        names = set(built["files"])
        assert built["dockerfile"] in names
        assert "dask-knot/requirements-1.txt" in names
        assert [name for name in names if name.endswith(".whl")]
        assert built["network_mode"] == "host"


class TestFailures:
    def test_the_line_that_failed_is_shown_with_what_it_printed(self) -> None:
        answers = [
            {"stream": "Step 1/3 : FROM python:3.11-slim\n"},
            {"stream": "Step 2/3 : RUN pip install nothing\n"},
            {"stream": "ERROR: No matching distribution\n\n"},
            {"error": "The command returned a non-zero code: 1", "errorDetail": {"code": 1}},
        ]
        docker = FakeDocker(build_answers=answers)
        with pytest.raises(ImageError) as caught:
            ensure_local_image(SPEC, say_nothing, lambda: docker)
        said = str(caught.value)
        assert "RUN pip install nothing\n    ERROR: No matching distribution\n" in said
        assert "non-zero code: 1" in said
        assert "FROM" not in said
        assert docker.is_closed
        assert docker.is_read  # a connection in the middle of an answer is never closed

    def test_another_processor_is_named(self) -> None:
        answers = [
            {"stream": "Step 2/3 : RUN true\n"},
            {"error": "exec /bin/sh: exec format error"},
        ]
        docker = FakeDocker(build_answers=answers)
        with pytest.raises(ImageError, match=r"knot image --remote.*QEMU"):
            ensure_local_image(SPEC, say_nothing, lambda: docker)

    def test_what_pip_prints_is_said_while_it_goes_on(self) -> None:
        answers = [
            {"status": "Pulling from library/python", "id": "3.11-slim"},
            *(
                {
                    "id": "a",
                    "status": status,
                    "progressDetail": {"current": n * 10**6, "total": 10**8},
                }
                for status in ("Downloading", "Extracting")
                for n in range(101)
            ),
            {"stream": "Step 1/2 : RUN pip install numpy\n"},
            {"stream": " ---> Running in 123\n"},
            {"stream": "Requirement already satisfied: click\n"},
            {"stream": "Collecting numpy\n  Downloading numpy-2.whl (16 MB)\n"},
            {"stream": f"Installing collected packages: {'x' * 200}\n\n"},
        ]
        said: list[str] = []
        docker = FakeDocker(build_answers=answers)
        ensure_local_image(SPEC, said.append, lambda: docker)
        pulled = [line for line in said if line.startswith("pulling the base image: ")]
        assert len(pulled) == 11
        *_, step, collecting, downloading, installing = said
        assert step == "Step 1/2 : RUN pip install numpy"
        assert (collecting, downloading) == (
            "  Collecting numpy",
            "  Downloading numpy-2.whl (16 MB)",
        )
        assert installing.startswith("  Installing collected packages: xxx")
        assert len(installing) == 100

    def test_a_missing_docker_is_said_with_the_alternatives(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        words = r"refused.*Start Docker.*another machine.*image="
        with pytest.raises(ImageError, match=words) as caught:
            connect_to_builder()
        assert "During handling" not in "".join(traceback.format_exception(caught.value))
        assert "direct cause" not in "".join(traceback.format_exception(caught.value))


class TestOwnDockerfile:
    def test_its_folder_is_the_context(self, tmp_path: Path) -> None:
        (tmp_path / "Dockerfile").write_text("FROM example\nCOPY data /data\n")
        (tmp_path / "data").write_text("x")
        (tmp_path / "secret").write_text("y")
        (tmp_path / ".dockerignore").write_text("# not these\nsecret\n")
        docker, spec = FakeDocker(), replace(SPEC, dockerfile=str(tmp_path / "Dockerfile"))
        first = ensure_local_image(spec, say_nothing, lambda: docker)
        files = docker.built[0]["files"]
        assert files["data"] == b"x"
        assert "secret" not in files
        assert files["dask-knot/Dockerfile"].startswith(b"FROM example\nCOPY data /data\n")
        (tmp_path / "data").write_text("other")
        assert ensure_local_image(spec, say_nothing, lambda: docker) != first


def test_git_references_bring_git() -> None:
    spec = replace(SPEC, packages=("git+https://github.com/o/n@v1",))
    assert make_recipe(spec, say_nothing).debian == ("git",)
    assert "git+https://github.com/o/n@v1" in show_dockerfile(spec, say_nothing)
