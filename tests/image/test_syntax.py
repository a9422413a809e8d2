"""What of a Dockerfile needs BuildKit, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_knot.errors import ImageError
from dask_knot.image.image import ensure_local_image
from dask_knot.image.spec import ImageSpec
from dask_knot.image.syntax import demands, platform_arguments
from tests.aws.engines import FakeDocker

NEEDS = {
    "RUN --mount=type=cache,target=/root/.cache pip install a": "RUN --mount",
    "run --network=none true": "RUN --network",
    "RUN --security=insecure true": "RUN --security",
    "COPY --link a b": "COPY --link",
    "COPY --chown=1:1 --chmod=755 a b": "COPY --chmod",
    "COPY --from=one --link a b": "COPY --link",
    "ADD --checksum=sha256:1 https://a /b": "ADD --checksum",
    "RUN <<EOF\necho --mount\nFROM nothing\nEOF": "RUN <<",
    "RUN cat <<-'END' > /a\nx\nEND": "RUN <<",
    "COPY <<a.txt /b\nx\na.txt": "COPY <<",
    "RUN apt-get update && \\\n  # a note\n  apt-get install -y a": None,
    "RUN echo --mount": None,
    "RUN echo $((1<<2))": None,
    "COPY --from=one --chown=1 a b": None,
    "# RUN --mount=type=cache true": None,
    "LABEL a='RUN --mount'": None,
}


@pytest.mark.parametrize(("text", "what"), NEEDS.items())
def test_lines_that_only_buildkit_can_build(text: str, what: str | None) -> None:
    found = demands(f"FROM a\n{text}\nRUN true\n")
    assert [one.what for one in found] == ([what] if what else [])
    assert [one.number for one in found] == ([2] if what else [])


@pytest.mark.parametrize(
    ("first", "needs"),
    [
        ("# syntax=docker/dockerfile:1", False),
        ("#syntax = docker/dockerfile:1.7", False),
        ("# syntax=docker.io/docker/dockerfile:1", False),
        ("# syntax=docker/dockerfile:1-labs", True),
        ("# syntax=example.com/mine", True),
        ("\n# syntax=example.com/mine", False),  # a comment, by then
    ],
)
def test_a_front_end_of_ones_own(first: str, needs: bool) -> None:
    assert bool(demands(f"{first}\nFROM a\n")) == needs


def test_continued_lines_have_the_number_of_their_first() -> None:
    text = "FROM a\nRUN \\\n  --mount=type=cache,target=/a \\\n  true\n"
    assert [(one.number, one.what) for one in demands(text)] == [(2, "RUN --mount")]


def test_platforms_are_given_where_they_are_asked_for() -> None:
    text = "ARG TARGETARCH\nFROM a\nARG TARGETPLATFORM\nARG OTHER=1\n"
    assert platform_arguments(text, "linux/arm64") == {
        "TARGETARCH": "arm64",
        "TARGETPLATFORM": "linux/arm64",
    }


class Podman(FakeDocker):
    """An engine that mounts by itself, and knows no heredocs."""

    def version(self) -> dict[str, Any]:
        return {"Components": [{"Name": "Podman Engine"}]}


def build(folder: Path, text: str, engine: FakeDocker, **more: Any) -> FakeDocker:
    (folder / "Dockerfile").write_text(text)
    spec = ImageSpec(packages=(), dockerfile=str(folder / "Dockerfile"), **more)
    ensure_local_image(spec, lambda line: None, lambda: engine)
    return engine


class TestWithoutBuildKit:
    @pytest.fixture(autouse=True)
    def no_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")

    def test_it_is_said_before_the_build_with_the_line(self, tmp_path: Path) -> None:
        engine = FakeDocker()
        text = "FROM a\n\nRUN --mount=type=cache,target=/x make\n"
        words = r"line 3 of the Dockerfile.*RUN --mount.*\n  RUN --mount=type=cache.*\n.*buildx"
        with pytest.raises(ImageError, match=words):
            build(tmp_path, text, engine)
        assert engine.built == []

    def test_lines_of_the_configuration_are_looked_at_as_well(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="COPY --link"):
            build(tmp_path, "FROM a\n", FakeDocker(), lines=("COPY --link a b",))

    def test_podman_mounts_by_itself(self, tmp_path: Path) -> None:
        text = "FROM a\nRUN --mount=type=cache,target=/x make\n"
        assert len(build(tmp_path, text, Podman()).built) == 1
        with pytest.raises(ImageError, match="RUN <<"):
            build(tmp_path, "FROM a\nRUN <<EOF\ntrue\nEOF\n", Podman())

    def test_the_usual_front_end_is_a_comment(self, tmp_path: Path) -> None:
        text = "# syntax=docker/dockerfile:1\nFROM a\nARG TARGETARCH\n"
        engine = build(tmp_path, text, FakeDocker(), platform="linux/arm64")
        assert engine.built[0]["buildargs"]["TARGETARCH"] == "arm64"
