"""A build with an index that demands a password, for real: the package comes, no trace stays."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from dask_knot.environment.target import this_platform
from dask_knot.errors import ImageError
from dask_knot.image import buildkit
from dask_knot.image.builder import build, connect_to_builder
from dask_knot.image.confidential import with_secrets
from dask_knot.image.dockerfile import Recipe
from dask_knot.image.image import ensure_local_image
from dask_knot.image.install import MARK
from dask_knot.image.spec import ImageSpec
from tests.image.index import made_up_wheel, serving
from tests.rig.machine import Rig

TOKEN = "s3cr3t-t0k3n-0123456789"
#: The name of a package, and what says that it is there.
NAMES = ("madeup", "direct")


def contents(engine: Any, name: str) -> Iterator[tuple[str, bytes]]:
    """Give all that an image is made of: its layers, which are not packed, and what it says."""
    yield "history", json.dumps(engine.api.history(name)).encode()
    yield "configuration", json.dumps(engine.api.inspect_image(name)).encode()
    saved = io.BytesIO(b"".join(engine.images.get(name).save()))
    with tarfile.open(fileobj=saved) as image:
        for entry in image:
            yield entry.name, (image.extractfile(entry) or io.BytesIO()).read()


def traces(engine: Any, name: str) -> list[str]:
    """Name what of an image has the token, or the secrets as they travel."""
    words = (TOKEN.encode(), MARK.encode() + b"eJ")
    return [what for what, data in contents(engine, name) if any(word in data for word in words)]


def is_buildkit_here() -> bool:
    """Tell whether a command of Docker's builds with BuildKit at the rig's engine."""
    with closing(connect_to_builder()) as client:
        return buildkit.find(client, os.environ) is not None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", ["plain", "buildkit"])
def test_a_package_behind_a_password_leaves_no_trace(
    way: str, in_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "plain":
        monkeypatch.setenv("PATH", "/nowhere")
    elif not is_buildkit_here():
        pytest.skip("no command of Docker's has BuildKit here")
    login, said = f"me:{TOKEN}", list[str]()
    wheel = made_up_wheel("own")
    with serving({name: made_up_wheel(name) for name in NAMES}, login) as host:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://{login}@{host}/simple")
        url = f"direct @ http://{login}@{host}/direct-1.0-py3-none-any.whl?token={TOKEN}"
        recipe = Recipe(
            python=f"{sys.version_info[0]}.{sys.version_info[1]}",
            platform=this_platform(),
            layers=(("madeup==1.0", url),),
            wheels={wheel.name: wheel.content},
        )
        recipe = with_secrets(recipe, (), "host", said.append)
        with closing(connect_to_builder()) as client:
            build(client, recipe, f"{way}:1", "host", said.append)
    assert TOKEN not in "".join(said)
    assert [line for line in said if "Successfully installed " in line and "madeup" in line]
    with closing(in_rig.docker()) as engine:
        assert traces(engine, f"{way}:1") == []
        # Nor of any image that a build leaves behind, to be used again.
        for image in engine.api.images(all=True):
            known = [engine.api.history(image["Id"]), engine.api.inspect_image(image["Id"])]
            assert TOKEN not in json.dumps(known)
            assert MARK + "eJ" not in json.dumps(known)
        program = "import madeup, direct, own; print(madeup.ANSWER)"
        options = {"network_mode": "host", "remove": True}
        assert engine.containers.run(f"{way}:1", ["python", "-c", program], **options) == b"42\n"


@pytest.mark.timeout(600)
def test_a_trace_would_be_noticed(in_rig: Rig) -> None:
    text = f"FROM {base()}\nARG A\nRUN echo $A > /token\n"
    told: dict[str, Any] = {"buildargs": {"A": TOKEN}, "network_mode": "host"}
    with closing(in_rig.docker()) as engine:
        engine.images.build(fileobj=io.BytesIO(text.encode()), tag="leaky:1", **told)
        found = traces(engine, "leaky:1")
        assert found[0] == "history"
        assert [name for name in found if name not in ("history", "configuration")], "a layer"
        engine.images.remove("leaky:1")


@pytest.mark.timeout(600)
def test_a_mount_in_a_dockerfile_of_ones_own(in_rig: Rig, tmp_path: Any) -> None:
    if not is_buildkit_here():
        pytest.skip("no command of Docker's has BuildKit here")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {base()}\nRUN --mount=type=tmpfs,target=/in-memory echo on-the-way && false\n"
    )
    spec = ImageSpec(packages=(), dockerfile=str(tmp_path / "Dockerfile"), network="host")
    with pytest.raises(ImageError, match=r"RUN --mount.*&& false\n +on-the-way"):
        ensure_local_image(spec, lambda line: None)


def base() -> str:
    return f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"
