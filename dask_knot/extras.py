"""What a plain installation leaves out, and what is said where it is needed.

Who computes on this machine only needs neither AWS's library nor Docker's. A module that imports
one of them does it in `extra`, so that who lacks it is told what to install.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dask_knot.errors import MissingExtraError

#: What uses an extra, by its name; and the modules that it brings.
USES = {
    "aws": "what speaks to AWS (engine 'aws', `dask knot up`, stores in S3)",
    "docker": "what speaks to Docker (engine 'docker', images that are built here)",
}
MODULES = {"boto3": "aws", "botocore": "aws", "s3transfer": "aws", "docker": "docker"}


@contextmanager
def extra() -> Iterator[None]:
    """Import what a plain installation doesn't have.

    Raises
    ------
    MissingExtraError
        If it isn't installed; the message says how it will be.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        name = MODULES.get(module)
        if name is None:
            raise
        raise MissingExtraError(
            f"{USES[name]} needs the package {module}, which is not installed here: "
            f"pip install 'dask_knot[{name}]'"
        ) from error
