"""ECR knows what was pushed: moto's repositories follow the registry that holds their images."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any

from moto.ecr.models import ECRBackend

#: The password that moto's ECR hands out.
LOGIN = "AWS:123456789012-auth-token"
#: The same, for the Docker SDK.
AS_CONFIG = dict(zip(("username", "password"), LOGIN.split(":"), strict=True))
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def install(registry: str) -> None:
    """Let every call that tells of images ask the registry first, or tell it afterwards.

    Parameters
    ----------
    registry : str
        The address of the registry, such as ``http://127.0.0.1:80``.
    """
    contents = Contents(registry)
    for name in ("describe_images", "list_images", "batch_get_image"):
        setattr(ECRBackend, name, _after_reading(getattr(ECRBackend, name), contents))
    for name in ("batch_delete_image", "delete_repository"):
        setattr(ECRBackend, name, _before_removing(getattr(ECRBackend, name), contents))


class Contents:
    """What the registry holds."""

    def __init__(self, address: str) -> None:
        self._address = address

    def tags(self, repository: str) -> dict[str, str]:
        """Give the digest of each tag."""
        answer = self._ask("GET", f"{repository}/tags/list")
        names = json.loads(answer[0]).get("tags") or [] if answer else []
        found = {name: self._ask("HEAD", f"{repository}/manifests/{name}") for name in names}
        return {name: answer[1] for name, answer in found.items() if answer}

    def manifest(self, repository: str, digest: str) -> str:
        """Read the manifest of an image."""
        answer = self._ask("GET", f"{repository}/manifests/{digest}")
        return answer[0].decode() if answer else "{}"

    def remove(self, repository: str, digest: str) -> None:
        """Remove an image with all its tags."""
        self._ask("DELETE", f"{repository}/manifests/{digest}")

    def _ask(self, method: str, path: str) -> tuple[bytes, str] | None:
        login = base64.b64encode(LOGIN.encode()).decode()
        request = urllib.request.Request(
            f"{self._address}/v2/{path}",
            method=method,
            headers={"Authorization": f"Basic {login}", "Accept": MANIFEST},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read(), answer.headers.get("Docker-Content-Digest", "")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


def _after_reading(call: Any, contents: Contents) -> Any:
    def read(self: Any, repository_name: str, *arguments: Any, **named: Any) -> Any:
        if repository_name in self.repositories:
            _learn(self, repository_name, contents)
        return call(self, repository_name, *arguments, **named)

    return read


def _before_removing(call: Any, contents: Contents) -> Any:
    def remove(self: Any, repository_name: str, *arguments: Any, **named: Any) -> Any:
        if repository_name in self.repositories:
            _learn(self, repository_name, contents)
        answer = call(self, repository_name, *arguments, **named)
        left = self.repositories.get(repository_name)
        kept = {image.get_image_digest() for image in left.images} if left else set()
        for digest in set(contents.tags(repository_name).values()) - kept:
            contents.remove(repository_name, digest)
        return answer

    return remove


def _learn(backend: Any, repository: str, contents: Contents) -> None:
    images = backend.repositories[repository].images
    known = {tag: image.get_image_digest() for image in images for tag in image.image_tags}
    for tag, digest in contents.tags(repository).items():
        if known.get(tag) != digest:
            manifest = contents.manifest(repository, digest)
            backend.put_image(repository, manifest, tag, MANIFEST, digest)
