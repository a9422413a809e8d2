"""What a Docker engine says of an image that is built for real."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from dask_knot.errors import ImageError
from dask_knot.image.image import ensure_local_image
from dask_knot.image.spec import ImageSpec
from tests.rig.machine import Rig

#: A container of the rig has the network of the machine, or none.
SPEC = ImageSpec(packages=(), network="host")


@pytest.mark.timeout(600)
def test_a_line_that_fails_is_shown(in_rig: Rig, job_image: str) -> None:
    # The packages are there: only that line is new.
    spec = replace(SPEC, base=job_image, lines=("RUN echo something-printed && false",))
    with pytest.raises(ImageError, match=r"RUN echo something-printed && false\n +something-pr"):
        ensure_local_image(spec, _say_nothing)


@pytest.mark.timeout(600)
def test_a_base_with_another_python_is_refused(in_rig: Rig, tmp_path: Any) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {_base()}\nRUN mkdir /other && echo 'echo 3.1' > /other/python\n"
        "RUN python -c \"import os; os.chmod('/other/python', 0o755)\"\n"
        "RUN python -c \"print('import sys; sys.version_info = (3, 1, 0)', "
        "file=open('/other/sitecustomize.py', 'w'))\"\nENV PYTHONPATH=/other\n"
    )
    spec = replace(SPEC, dockerfile=str(tmp_path / "Dockerfile"))
    with pytest.raises(ImageError, match=r"the image has Python 3\.1, this machine has"):
        ensure_local_image(spec, _say_nothing)


def _base() -> str:
    return f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"


def _say_nothing(line: str) -> None:
    pass
