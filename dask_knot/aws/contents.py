"""What is written on an image in the repository: the versions of what is in it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from dask_knot.aws.outputs import StackOutputs

#: The labels that job images have begin so.
LABEL = "dask-knot."
#: One image for one platform; an index of several has no labels.
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
#: Seconds until a small download is given up.
PATIENCE = 10


def image_versions(ecr: Any, outputs: StackOutputs, digest: str) -> dict[str, str]:
    """Read the versions from the labels of an image, without pulling it.

    Parameters
    ----------
    ecr : Any
        boto3's ECR client.
    outputs : StackOutputs
        The stack whose repository has the image.
    digest : str
        The image's.

    Returns
    -------
    dict
        By package, and for ``python``; empty if the image doesn't say.
    """
    repository = outputs.repository.partition("/")[2]
    images = ecr.batch_get_image(
        repositoryName=repository,
        imageIds=[{"imageDigest": digest}],
        acceptedMediaTypes=list(MANIFESTS),
    )["images"]
    manifest = json.loads(images[0]["imageManifest"]) if images else {}
    if "config" not in manifest:
        return {}
    url = ecr.get_download_url_for_layer(
        repositoryName=repository, layerDigest=manifest["config"]["digest"]
    )["downloadUrl"]
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            labels = json.load(answer).get("config", {}).get("Labels") or {}
    except OSError:  # S3 doesn't answer
        return {}
    return {
        name.removeprefix(LABEL): str(version)
        for name, version in labels.items()
        if name.startswith(LABEL)
    }
