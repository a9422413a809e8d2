"""Volumes of containers: file systems of EFS and S3 Files, and folders of the machine. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dask_knot.errors import ConfigurationError
from dask_knot.settings.checks import check_names, flag, wrong
from dask_knot.settings.linux import folder

_ID, _POINT, _ROOT = r"fs-[0-9a-f]{8,40}", r"fsap-[0-9a-f]{8,40}", r"(?P<root>:/.*)?"
_EFS = re.compile(
    rf"(?:arn:aws[a-z-]*:elasticfilesystem:[a-z0-9-]+:\d{{12}}:file-system/)?(?P<id>{_ID})"
    rf"(?:/(?P<point>{_POINT}))?{_ROOT}"
)
_S3_FILES = re.compile(
    rf"(?P<arn>arn:aws[a-z-]*:s3files:[a-z0-9-]+:\d{{12}}:file-system/{_ID})"
    rf"(?P<point>/access-point/{_POINT})?{_ROOT}"
)
_EXPECTED = (
    "a file system of EFS (fs-0123456789abcdef0, with /fsap-... for an access point, or :/folder), "
    "the ARN of one of S3 Files, or a folder of the instance, from the root on (/mnt/data)"
)


def volumes(name: str, value: Any) -> dict[str, list[dict[str, Any]]]:
    """Take volumes by the folder of the container where they are.

    Parameters
    ----------
    name : str
        What errors call it.
    value : mapping of str to str or mapping
        What is there, or a mapping of ``source`` and ``read-only``.

    Raises
    ------
    ConfigurationError
        If something is none of them.
    """
    if not isinstance(value, Mapping):
        raise wrong(name, value, 'folders and what is there, such as {"/data": "fs-..."}')
    found: dict[str, list[dict[str, Any]]] = {"volumes": [], "mountPoints": []}
    for number, (path, said) in enumerate(value.items()):
        given = said if isinstance(said, Mapping) else {"source": said}
        given = {str(word).replace("_", "-"): one for word, one in given.items()}
        check_names(given, ("source", "read-only"), f"{name}.{path} has no setting")
        volume = f"knot-{number}"
        source = _source(f"{name}.{path}", given.get("source"))
        found["volumes"].append({"name": volume, **source})
        found["mountPoints"].append(
            {
                "sourceVolume": volume,
                "containerPath": folder(name, path),
                "readOnly": flag(f"{name}.{path}.read-only", given.get("read-only", False)),
            }
        )
    return found


def _source(name: str, source: Any) -> dict[str, Any]:
    text = source if isinstance(source, str) else ""
    if written := _EFS.fullmatch(text):
        return {"efsVolumeConfiguration": _efs(name, written)}
    if written := _S3_FILES.fullmatch(text):
        return {"s3filesVolumeConfiguration": _s3_files(name, written)}
    if text.startswith("/") and ":" not in text:
        return {"host": {"sourcePath": text}}
    raise wrong(name, source, _EXPECTED)


def _efs(name: str, written: re.Match[str]) -> dict[str, Any]:
    # Encrypted on the way, and as the role of the job: a file system without a policy of its own
    # asks for neither, one with a policy usually for both.
    access = {"iam": "ENABLED"}
    if written["point"]:
        access["accessPointId"] = written["point"]
    found = {
        "fileSystemId": written["id"],
        "transitEncryption": "ENABLED",
        "authorizationConfig": access,
    }
    return found | _root(name, written)


def _s3_files(name: str, written: re.Match[str]) -> dict[str, Any]:
    found = {"fileSystemArn": written["arn"]}
    if written["point"]:
        found["accessPointArn"] = written["arn"] + written["point"]
    return found | _root(name, written)


def _root(name: str, written: re.Match[str]) -> dict[str, str]:
    if not written["root"]:
        return {}
    if written["point"]:
        raise ConfigurationError(f"{name}: an access point has its own folder: give one of them")
    return {"rootDirectory": written["root"][1:]}
