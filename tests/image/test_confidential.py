"""What pip knows here reaches a build, and stays in nothing that an image is made of."""

from __future__ import annotations

import base64
import logging
import os
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from dask_knot.environment.problems import Notice
from dask_knot.errors import ImageError
from dask_knot.image import builder
from dask_knot.image.dockerfile import Recipe, dockerfile
from dask_knot.image.image import ensure_local_image, make_recipe
from dask_knot.image.install import MARK, VARIABLE, opened
from dask_knot.image.spec import ImageSpec
from tests.aws.engines import FakeDocker

TOKEN = "s3cr3t-t0k3n"
INDEX = f"https://me:{TOKEN}@index.example.com/simple"
GIT = f"git+https://{TOKEN}@git.example.com/owner/name@v1"
SPEC = ImageSpec(packages=(GIT,))


@pytest.fixture(autouse=True)
def nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no pip.conf, proxy or netrc of this machine count."""
    for name in os.environ:
        if name.startswith(("PIP_", "UV_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")  # no command of Docker's: the engine alone


def say_nothing(line: str) -> None:
    pass


def told(recipe: Recipe) -> dict[str, str]:
    """Give what pip finds in its environment."""
    found: dict[str, str] = opened({VARIABLE: recipe.secrets.document()})["environment"]
    return found


def test_an_index_is_told_to_pip_and_to_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", INDEX)
    docker, said = FakeDocker(), list[str]()
    name = ensure_local_image(SPEC, said.append, lambda: docker)
    (built,) = docker.built
    document = built["buildargs"].pop(VARIABLE)
    kept = repr([built, name, said])
    assert TOKEN not in kept
    assert document not in kept
    assert opened({VARIABLE: document})["environment"]["PIP_EXTRA_INDEX_URL"] == INDEX
    listed = built["files"]["dask-knot/requirements.txt"].decode()
    assert listed.startswith("# from https://index.example.com/simple\n")
    assert "git+https://${KNOT_SECRET_" in listed


def test_a_new_token_makes_no_new_image_but_another_index_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tags = []
    for index in (INDEX, INDEX.replace(TOKEN, "n3w-t0k3n"), INDEX.replace("simple", "other")):
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index)
        token = index.partition("@")[0].rpartition(":")[2]
        spec = ImageSpec(packages=(GIT.replace(TOKEN, token),))
        recipe = make_recipe(spec, say_nothing)
        assert f"{token}@git" not in repr(recipe)
        assert token in " ".join(told(recipe).values())
        tags.append(recipe.tag)
    assert tags[0] == tags[1] != tags[2]


def test_options_of_a_file_of_requirements_count(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"--extra-index-url {INDEX}\n--trusted-host index.example.com\n{GIT}\n")
    recipe = make_recipe(ImageSpec(packages=(str(file),)), say_nothing)
    assert told(recipe)["PIP_EXTRA_INDEX_URL"] == INDEX
    assert told(recipe)["PIP_TRUSTED_HOST"] == "index.example.com"
    assert TOKEN not in "".join(map(str, builder.context(recipe).values()))


def test_a_users_own_variable_stays_in_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ImageSpec(packages=("git+https://${GIT_TOKEN}@git.example.com/owner/name",))
    with pytest.raises(ImageError, match=r"\$\{GIT_TOKEN\}.*isn't set here: set it"):
        make_recipe(spec, say_nothing)
    monkeypatch.setenv("GIT_TOKEN", TOKEN)
    recipe = make_recipe(spec, say_nothing)
    assert spec.packages[0] in recipe.requirements
    assert told(recipe)["GIT_TOKEN"] == TOKEN
    assert recipe.secrets.redact(f"fatal: {TOKEN}") == "fatal: ****"


def test_proxies_go_to_every_step_and_into_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{TOKEN}@proxy:3128")
    monkeypatch.setenv("ALL_PROXY", f"socks5://me:{TOKEN}@proxy:1080")
    docker, said = FakeDocker(), list[str]()
    ensure_local_image(ImageSpec(packages=()), said.append, lambda: docker)
    arguments = docker.built[0]["buildargs"]
    assert arguments["HTTPS_PROXY"] == arguments["https_proxy"] == os.environ["HTTPS_PROXY"]
    assert opened(arguments)["environment"]["ALL_PROXY"] == os.environ["ALL_PROXY"]
    assert TOKEN not in repr([docker.built[0]["files"], said])


def test_proxies_of_this_machine_are_none_of_a_build_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://me:{TOKEN}@proxy:1080")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example.com/simple")
    secrets = make_recipe(ImageSpec(packages=()), say_nothing).secrets
    assert secrets
    elsewhere = b"".join(map(unpacked, secrets.mounted().values()))
    assert b"index.example.com" in elsewhere
    assert b"ALL_PROXY" not in elsewhere
    assert TOKEN.encode() not in elsewhere
    assert b"ALL_PROXY" in unpacked(secrets.arguments()[VARIABLE].encode())


def test_a_credential_that_stays_in_the_image_is_said() -> None:
    said: list[str] = []
    line = f"RUN pip install --index-url {INDEX} ours"
    recipe = make_recipe(ImageSpec(packages=(), lines=(line,)), said.append)
    assert [text for text in said if "has a credential in a URL" in text]
    assert TOKEN not in recipe.secrets.redact(line) + "".join(said)


def unpacked(document: bytes) -> bytes:
    return zlib.decompress(base64.b64decode(document.removeprefix(MARK.encode())))


def test_notices_stay_notices(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import nothing_that_is_here\n")
    said: list[str] = []
    make_recipe(ImageSpec(packages=("auto",), source=str(script)), said.append)
    assert any(isinstance(line, Notice) for line in said)


def test_what_a_build_cant_reach_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/opt/wheels")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:{TOKEN}@localhost:3141/root/pypi")
    said, docker = list[str](), FakeDocker()
    recipe = make_recipe(ImageSpec(packages=()), said.append)
    ensure_local_image(ImageSpec(packages=()), said.append, lambda: docker)
    assert [line for line in said if "/opt/wheels, a folder on this machine" in line]
    assert [line for line in said if "localhost:3141" in line and "--network host" in line]
    assert TOKEN not in "".join(said)
    assert "PIP_INDEX_URL" not in opened({VARIABLE: recipe.secrets.document()}).get(
        "environment", {}
    )
    here = ImageSpec(packages=(), network="host")
    assert "localhost" in told(make_recipe(here, said.append))["PIP_INDEX_URL"]
    said.clear()
    ensure_local_image(ImageSpec(packages=()), said.append, lambda: docker)
    assert len(said) == 1, "an image that is there needs nothing of it"
    remote = make_recipe(replace(here, remote=True), said.append).unreachable
    assert [
        line for line in remote if "localhost:3141" in line and "build with Docker here" in line
    ]


def test_a_netrc_goes_along_for_its_hosts(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(
        f"machine git.example.com login me password {TOKEN}\nmachine b login c password {TOKEN}2\n"
    )
    spec = ImageSpec(packages=("git+https://git.example.com/owner/name@v1",))
    recipe = make_recipe(spec, say_nothing)
    files = opened({VARIABLE: recipe.secrets.document()})["files"]
    assert files == {"NETRC": f"machine git.example.com login me password {TOKEN}\n"}
    assert recipe.secrets.redact(f"said {TOKEN}") == "said ****"


class Chatty(FakeDocker):
    """An engine that says again all that it was told."""

    def build(self, *, fileobj: Any, **arguments: Any) -> Any:
        logging.getLogger("urllib3.connectionpool").debug("POST /build?buildargs=%s", arguments)
        super().build(fileobj=fileobj, **arguments)
        raise APIError(f"500 for http+docker://localhost/build?buildargs={arguments}")


class TestWhatIsSaid:
    def test_progress_and_failures_name_no_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PIP_INDEX_URL", INDEX)
        answers = [
            {"stream": "Step 1/2 : RUN python /opt/dask-knot/install.py\n"},
            {"stream": f"Looking in indexes: https://me:{TOKEN[:6]}"},  # a line in two pieces
            {"stream": f"{TOKEN[6:]}@index.example.com/simple\n{'x' * 90}{TOKEN}\n"},
            {"error": f"fatal: could not read {GIT}"},
        ]
        said: list[str] = []
        docker = FakeDocker(build_answers=answers)
        with pytest.raises(ImageError, match="could not read") as caught:
            ensure_local_image(SPEC, said.append, lambda: docker)
        assert TOKEN[:6] not in "".join([*said, str(caught.value)])

    def test_nor_does_a_request_that_fails(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("PIP_INDEX_URL", INDEX)
        caplog.set_level(logging.DEBUG)
        with pytest.raises(ImageError) as caught:
            ensure_local_image(SPEC, say_nothing, Chatty)
        document = make_recipe(SPEC, say_nothing).secrets.document()
        told = "".join([str(caught.value), repr(caught.value.__cause__), caplog.text])
        assert document not in told
        assert TOKEN not in told


def test_buildkit_gets_a_mount_and_the_tag_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", INDEX)
    recipe = make_recipe(SPEC, say_nothing)
    steps = [line for line in dockerfile(recipe, mount=True).splitlines() if "install.py -" in line]
    assert len(steps) > 1
    assert all(line.startswith("RUN --mount=type=secret,id=dask-knot python ") for line in steps)
    assert [*recipe.secrets.mounted()] == ["dask-knot"]
    assert TOKEN not in repr([recipe, recipe.secrets])
    assert b"--mount" not in builder.context(recipe)["dask-knot/Dockerfile"]


def test_what_no_argument_can_hold_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = base64.b64encode(os.urandom(200_000)).decode()
    (tmp_path / "ca.pem").write_text(
        f"-----BEGIN CERTIFICATE-----\n{noise}\n-----END CERTIFICATE-----\n"
    )
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.pem"))
    with pytest.raises(ImageError, match=r"buildx, or set PIP_CERT"):
        ensure_local_image(ImageSpec(packages=()), say_nothing, FakeDocker)


def test_the_document_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", INDEX)
    document = make_recipe(ImageSpec(packages=()), say_nothing).secrets.document()
    assert INDEX.encode() in zlib.decompress(base64.b64decode(document.removeprefix(MARK)))
