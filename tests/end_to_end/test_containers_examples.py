"""The paper's two pipelines in containers of an emulated AWS, as a user starts them there.

Their image has a real Debian: Java and ImageJ come from its mirror.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from dask_knot.aws.session import AwsSession
from dask_knot.image.image import ensure_local_image, resolve_spec
from tests.end_to_end.containers import account, machine
from tests.examples import check_anisotropy, check_motions, example, printed
from tests.rig.debian import make_debian_image
from tests.rig.machine import Rig

__all__ = ["account", "example", "machine"]

pytestmark = pytest.mark.timeout(600)

#: What the example says that it needs, too.
DEBIAN = ["libij-java", "default-jdk-headless"]


@pytest.fixture(scope="module")
def configured(machine: Rig, account: AwsSession) -> Iterator[None]:
    """Build an image for both examples, and say in the environment what their jobs are.

    It stays in the Docker engine, where Batch finds it: to push it would take a minute.
    """
    build = {
        "base": make_debian_image(machine),
        "packages": ["dipy", "numpy", "scipy"],
        "network": "host",
    }
    image = ensure_local_image(resolve_spec({**build, "debian": DEBIAN}), print)
    said = {"BUILD": build, "AWS__IMAGE": image, "JOBS": 2, "MEMORY": "1 GiB"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in said.items():
            patch.setenv(f"DASK_KNOT__{name}", str(value))
        yield


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("example", ["microscopy"], indirect=True)
@pytest.mark.parametrize("engine", ["docker", "aws"])
def test_a_foreign_java_program(
    example: ModuleType, project: Path, machine: Rig, engine: str
) -> None:
    before = images(machine)
    options = ["--engine", engine, "--films", "2", "--frames", "20"]
    said = printed(project, "microscopy", *options).splitlines()
    check_motions(example, said[1:3], 20)
    assert re.fullmatch(r"ImageJ 1\.\d+\w: \d+ spots in 20 frames", said[3])
    # The example itself says which Debian packages it needs: else it had built another image.
    assert images(machine) == before


def images(machine: Rig) -> set[str]:
    """List the images that the Docker engine has."""
    with closing(machine.docker()) as client:
        return {tag for image in client.images.list() for tag in image.tags}


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("example", ["dmri"], indirect=True)
def test_diffusion_mri(example: ModuleType, project: Path) -> None:
    said = printed(project, "dmri", "--engine", "aws", "--subjects", "2")
    check_anisotropy(example, said, 2)
