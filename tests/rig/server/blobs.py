"""ECR hands out single blobs of images, such as their labels: moto doesn't, the registry does."""

from __future__ import annotations

import base64
import urllib.request
from typing import Any

from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

from tests.rig.server.images import LOGIN


def install(registry: str) -> None:
    """Let `GetDownloadUrlForLayer` answer with the blob itself, in a ``data:`` address."""

    def get_download_url_for_layer(self: Any) -> ActionResult:
        repository, digest = self._get_param("repositoryName"), self._get_param("layerDigest")
        login = base64.b64encode(LOGIN.encode()).decode()
        request = urllib.request.Request(
            f"{registry}/v2/{repository}/blobs/{digest}",
            headers={"Authorization": f"Basic {login}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            blob = base64.b64encode(answer.read()).decode()
        return ActionResult({"downloadUrl": f"data:;base64,{blob}", "layerDigest": digest})

    ECRResponse.get_download_url_for_layer = get_download_url_for_layer
