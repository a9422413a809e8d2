"""When an image is built and pushed, and what is said when that fails."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import boto3
import dask
import pytest
from moto import mock_aws

from dask_knot.aws.images import ensure_image
from dask_knot.aws.session import AwsSession
from dask_knot.errors import AwsError, ConfigurationError, ImageError
from dask_knot.image.builder import open_docker
from dask_knot.image.image import ensure_local_image, make_recipe, show_dockerfile
from dask_knot.image.spec import ImageSpec, resolve_spec
from dask_knot.settings.defaults import DEFAULTS
from tests.aws.engines import FakeDocker

SPEC = ImageSpec(packages=())
MANIFEST = '{"schemaVersion": 2, "mediaType": "x", "layers": [{"digest": "sha256:1", "size": 1}]}'


@dataclass(frozen=True)
class Place:
    """A repository, for one architecture."""

    repository: str
    architecture: str = "amd64"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    """Open a session with an AWS inside this process."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield AwsSession(boto3.Session(region_name="us-east-1"))


@pytest.fixture
def place(session: AwsSession) -> Place:
    """Make a repository."""
    made = session.client("ecr").create_repository(repositoryName="jobs")
    return Place(made["repository"]["repositoryUri"])


def say_nothing(line: str) -> None:
    pass


def no_engine() -> NoReturn:
    raise ImageError("no Docker engine")


class TestEnsureImage:
    def test_builds_and_pushes_what_is_not_there(self, session: AwsSession, place: Place) -> None:
        docker, said = FakeDocker(), list[str]()
        image = ensure_image(session, place, SPEC, said.append, lambda: docker)
        (built,), (pushed,) = docker.built, docker.pushed
        assert built["tag"] == image
        assert image.startswith(f"{place.repository}:py3.")
        assert built["platform"] == "linux/amd64"
        assert built["network_mode"] is None
        assert pushed["repository"] == place.repository
        assert f"{pushed['repository']}:{pushed['tag']}" == image
        assert pushed["auth_config"] == {"username": "AWS", "password": "123456789012-auth-token"}
        assert docker.is_closed
        assert any("Step 1/1" in line for line in said)

    def test_needs_no_docker_for_what_is_there(self, session: AwsSession, place: Place) -> None:
        tag = make_recipe(replace(SPEC, platform="linux/amd64"), say_nothing).tag
        session.client("ecr").put_image(repositoryName="jobs", imageManifest=MANIFEST, imageTag=tag)
        image = ensure_image(session, place, SPEC, say_nothing, no_engine)
        assert image == f"{place.repository}:{tag}"

    def test_pushes_what_is_built_already(self, session: AwsSession, place: Place) -> None:
        docker = FakeDocker()
        first = ensure_image(session, place, SPEC, say_nothing, lambda: docker)
        assert ensure_image(session, place, SPEC, say_nothing, lambda: docker) == first
        assert len(docker.built) == 1
        assert len(docker.pushed) == 2

    def test_follows_the_architecture_of_the_stack(self, session: AwsSession, place: Place) -> None:
        docker, spec = FakeDocker(), replace(SPEC, platform="linux/amd64")
        image = ensure_image(
            session, replace(place, architecture="arm64"), spec, say_nothing, lambda: docker
        )
        assert docker.built[0]["platform"] == "linux/arm64"
        assert "-arm64-" in image

    def test_takes_a_ready_image_as_it_is(self, session: AwsSession, place: Place) -> None:
        spec = replace(SPEC, image="example.com/mine:1")
        assert ensure_image(session, place, spec, say_nothing, no_engine) == "example.com/mine:1"
        assert ensure_local_image(spec, say_nothing, no_engine) == "example.com/mine:1"

    def test_names_the_cure_for_a_missing_repository(self, session: AwsSession) -> None:
        place = Place("123456789012.dkr.ecr.us-east-1.amazonaws.com/gone")
        with pytest.raises(ImageError, match="dask knot up"):
            ensure_image(session, place, SPEC, say_nothing, no_engine)

    def test_other_registries_are_reached_with_dockers_own_login(self, session: AwsSession) -> None:
        place, docker = Place("ghcr.io/me/jobs"), FakeDocker()
        image = ensure_image(session, place, SPEC, say_nothing, lambda: docker)
        assert docker.pushed[0]["auth_config"] is None
        docker.elsewhere.add(image)
        assert ensure_image(session, place, SPEC, say_nothing, lambda: docker) == image
        assert len(docker.pushed) == 1

    def test_what_aws_refuses_is_ours(self, place: Place) -> None:
        class Refusing:
            def describe_images(self, **_: Any) -> NoReturn:
                from botocore.exceptions import ClientError

                answer = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}
                raise ClientError(answer, "DescribeImages")  # type: ignore[arg-type]

        class RefusedSession:
            def client(self, _: str) -> Refusing:
                return Refusing()

        with pytest.raises(AwsError):
            ensure_image(RefusedSession(), place, SPEC, say_nothing, no_engine)  # type: ignore[arg-type]


class TestLocalImage:
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
        assert {"dask-knot/requirements.txt", "dask-knot/constraints.txt"} < names
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
        with pytest.raises(ImageError, match="QEMU"):
            ensure_local_image(SPEC, say_nothing, lambda: docker)

    def test_a_refused_push_is_an_error(self, session: AwsSession, place: Place) -> None:
        docker = FakeDocker(push_answers=[{"error": "denied: not you"}])
        with pytest.raises(ImageError, match=r"denied: not you.*policy --user"):
            ensure_image(session, place, SPEC, say_nothing, lambda: docker)
        assert docker.is_read

    def test_progress_of_a_push_is_said_in_tenths(self, session: AwsSession, place: Place) -> None:
        steps = [
            {"id": "a", "progressDetail": {"current": done * 10**4, "total": 10**7}}
            for done in range(1001)
        ]
        docker, said = FakeDocker(push_answers=steps), list[str]()
        ensure_image(session, place, SPEC, said.append, lambda: docker)
        assert len([line for line in said if line.startswith("pushing:")]) == 11

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
            open_docker()
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

    def test_it_says_where_to_start(self, tmp_path: Path) -> None:
        (tmp_path / "Dockerfile").write_text("FROM example\n")
        with pytest.raises(ConfigurationError, match="base"):
            ImageSpec(dockerfile=str(tmp_path / "Dockerfile"), base="other")
        with pytest.raises(ConfigurationError, match="a file that exists"):
            ImageSpec(dockerfile=str(tmp_path / "none"))


def test_git_references_bring_git() -> None:
    spec = replace(SPEC, packages=("git+https://github.com/o/n@v1",))
    assert make_recipe(spec, say_nothing).debian == ("git",)
    assert "git+https://github.com/o/n@v1" in show_dockerfile(spec, say_nothing)


def test_the_packaged_defaults_are_those_of_the_code() -> None:
    packaged = DEFAULTS["build"]
    assert list(packaged) == [field.name for field in fields(ImageSpec)]
    with dask.config.set({"knot.build": packaged}):
        assert resolve_spec({}) == ImageSpec()


def test_settings_come_from_keywords_then_configuration() -> None:
    configured = {"packages": ["pandas", "scipy"], "debian": "git,libgomp1", "base": None}
    with dask.config.set({"knot.build": configured}):
        spec = resolve_spec({"packages": ("zarr",), "lines": [], "source": Path("a.py")})
    assert spec == ImageSpec(packages=("zarr",), debian=("git", "libgomp1"), source="a.py")
    with dask.config.set({"knot.build": {"lines": "RUN a, b\nRUN c"}}):
        assert resolve_spec({}).lines == ("RUN a, b", "RUN c")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"package": ("a",)}, "packages"),
        ({"platform": "linux/386"}, "linux/arm64"),
        ({"network": "bridge"}, "host"),
        ({"packages": 3}, "a list of texts"),
    ],
)
def test_wrong_settings_are_answered_with_the_valid_ones(given: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        resolve_spec(given)
    with dask.config.set({"knot.build": given}), pytest.raises(ConfigurationError, match=says):
        resolve_spec({})
