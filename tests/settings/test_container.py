"""What containers may have, in plain words: each becomes Batch's spelling, or is answered."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import dask
import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.settings.container import container, merged
from dask_knot.settings.defaults import DEFAULTS
from dask_knot.settings.settings import resolve

EFS, POINT = "fs-0123456789abcdef0", "fsap-0123456789abcdef0"
FILES = f"arn:aws:s3files:eu-west-1:123456789012:file-system/{EFS}"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:registry"


@pytest.fixture(autouse=True)
def _own_configuration() -> Iterator[None]:
    with dask.config.set({"knot": deepcopy(DEFAULTS)}):
        yield


def linux(**parameters: Any) -> dict[str, Any]:
    return {"linuxParameters": parameters}


def mounted(**volume: Any) -> dict[str, Any]:
    point = {"sourceVolume": "knot-0", "containerPath": "/data", "readOnly": False}
    return {"volumes": [{"name": "knot-0", **volume}], "mountPoints": [point]}


def efs(**more: Any) -> dict[str, Any]:
    access = {"iam": "ENABLED", **more.pop("access", {})}
    return {
        "fileSystemId": EFS,
        "transitEncryption": "ENABLED",
        "authorizationConfig": access,
        **more,
    }


def limit(name: str, soft: int, hard: int) -> dict[str, Any]:
    return {"ulimits": [{"name": name, "softLimit": soft, "hardLimit": hard}]}


WORDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"shared-memory": "8 GiB"}, linux(sharedMemorySize=8192)),
    ({"shared_memory": 2**30}, linux(sharedMemorySize=1024)),
    ({"shared-memory": "1.5 MiB"}, linux(sharedMemorySize=2)),
    ({"ulimits": {"nofile": 65536}}, limit("nofile", 65536, 65536)),
    ({"ulimits": {"nofile": "1024:65536"}}, limit("nofile", 1024, 65536)),
    ({"ulimits": {"memlock": "unlimited"}}, limit("memlock", -1, -1)),
    ({"ulimits": {"core": "0:unlimited"}}, limit("core", 0, -1)),
    ({"ulimits": {"stack": "64 MiB"}}, limit("stack", 2**26, 2**26)),
    ({"tmpfs": {"/a": "2 GiB"}}, linux(tmpfs=[{"containerPath": "/a", "size": 2048}])),
    (
        {"tmpfs": {"/a": {"size": "1 MiB", "options": ["noexec"]}}},
        linux(tmpfs=[{"containerPath": "/a", "size": 1, "mountOptions": ["noexec"]}]),
    ),
    (
        {"devices": ["/dev/fuse:/dev/other:rw"]},
        linux(
            devices=[
                {
                    "hostPath": "/dev/fuse",
                    "containerPath": "/dev/other",
                    "permissions": ["READ", "WRITE"],
                }
            ]
        ),
    ),
    ({"swap": "4 GiB", "swappiness": 10}, linux(maxSwap=4096, swappiness=10)),
    ({"swap": 0}, linux(maxSwap=0)),
    ({"init": False}, linux(initProcessEnabled=False)),
    ({"read-only": True}, {"readonlyRootFilesystem": True}),
    ({"privileged": True}, {"privileged": True}),
    ({"user": 1000}, {"user": "1000"}),
    ({"user": "ada:staff"}, {"user": "ada:staff"}),
    ({"ephemeral-storage": "100 GiB"}, {"ephemeralStorage": {"sizeInGiB": 100}}),
    ({"ephemeral-storage": "20 GiB"}, {}),
    ({"ephemeral-storage": "200 GB"}, {"ephemeralStorage": {"sizeInGiB": 187}}),
    ({"platform-version": "1.4.0"}, {"fargatePlatformConfiguration": {"platformVersion": "1.4.0"}}),
    ({"public-ip": False}, {"networkConfiguration": {"assignPublicIp": "DISABLED"}}),
    ({"registry-secret": SECRET}, {"repositoryCredentials": {"credentialsParameter": SECRET}}),
    ({"volumes": {"/data": EFS}}, mounted(efsVolumeConfiguration=efs())),
    (
        {"volumes": {"/data": f"{EFS}/{POINT}"}},
        mounted(efsVolumeConfiguration=efs(access={"accessPointId": POINT})),
    ),
    (
        {"volumes": {"/data": f"{EFS}:/models"}},
        mounted(efsVolumeConfiguration=efs(rootDirectory="/models")),
    ),
    ({"volumes": {"/data": FILES}}, mounted(s3filesVolumeConfiguration={"fileSystemArn": FILES})),
    (
        {"volumes": {"/data": f"{FILES}/access-point/{POINT}"}},
        mounted(
            s3filesVolumeConfiguration={
                "fileSystemArn": FILES,
                "accessPointArn": f"{FILES}/access-point/{POINT}",
            }
        ),
    ),
    ({"volumes": {"/data": "/fsx"}}, mounted(host={"sourcePath": "/fsx"})),
    ({"logConfiguration": {"logDriver": "splunk"}}, {"logConfiguration": {"logDriver": "splunk"}}),
    (
        {"logConfiguration": {"options": {"mode": "non-blocking"}}},
        {"logConfiguration": {"logDriver": "awslogs", "options": {"mode": "non-blocking"}}},
    ),
    ({"volumes": [{"name": "a"}]}, {"volumes": [{"name": "a"}]}),
    (
        {"shared-memory": "1 GiB", "linuxParameters": {"maxSwap": 5}},
        linux(sharedMemorySize=1024, maxSwap=5),
    ),
    ({"tmpfs": None}, {}),
]


@pytest.mark.parametrize(("said", "batchs"), WORDS, ids=[str(said)[:50] for said, _ in WORDS])
def test_plain_words_become_batchs_spelling(said: dict[str, Any], batchs: dict[str, Any]) -> None:
    assert container("container", said) == batchs


WRONG: list[tuple[Any, str]] = [
    ("8 GiB", "container='8 GiB' is wrong: it should be a mapping"),
    ({"shared-memory": "8"}, "container.shared-memory='8' is wrong.*4 GiB"),
    ({"shared-memory": "8 gigs"}, "container.shared-memory"),
    ({"shared-memory": "-8 GiB"}, "container.shared-memory='-8 GiB' is wrong"),
    ({"shared-memory": {"size": 1}}, "container.shared-memory"),
    ({"shm": "8 GiB"}, "no setting 'shm'.* There are: .*shared-memory"),
    ({"sharedmemory": "8 GiB"}, "Did you mean 'shared-memory'"),
    ({"ulimits": 5}, "limits by their names"),
    ({"ulimits": {"files": 5}}, "no limit 'files'.* There are: .*nofile"),
    ({"ulimits": {"nofile": "many"}}, "container.ulimits.nofile='many' is wrong"),
    ({"ulimits": {"nofile": -5}}, "ulimits.nofile=-5 is wrong"),
    ({"ulimits": {"nofile": "64 KiB"}}, "ulimits.nofile"),
    ({"ulimits": {"nofile": "9:5"}}, "a hard one that isn't lower"),
    ({"ulimits": {"nofile": True}}, "ulimits.nofile=True is wrong"),
    ({"ulimits": {"nofile": "5:"}}, "soft and hard"),
    ({"tmpfs": "2 GiB"}, "folders and their sizes"),
    ({"tmpfs": {"scratch": "2 GiB"}}, "absolute folders"),
    ({"tmpfs": {"/": "2 GiB"}}, "absolute folders"),
    ({"tmpfs": {"/a": {"mode": 5}}}, "no setting 'mode'"),
    ({"tmpfs": {"/a": {"options": ["noexec"]}}}, "amount of memory"),
    ({"devices": "/dev/fuse"}, "a list of devices"),
    ({"devices": ["fuse"]}, "paths such as /dev/fuse"),
    ({"swappiness": 10}, "swappiness has no effect without swap"),
    ({"swap": "1 GiB", "swappiness": 101}, "from 0 to 100"),
    ({"swap": "1 GiB", "swappiness": "²"}, "swappiness='²' is wrong"),
    ({"swap": False}, "swap=False is wrong"),
    ({"linuxParameters": {1: 2}}, "container.linuxParameters=.* with strings as names"),
    ({"mountPoints": [{1: 2}]}, "with strings as names"),
    ({"user": -1}, "container.user=-1 is wrong.*a user of the image"),
    ({"user": "ada lovelace"}, "a user of the image"),
    ({"tmpfs": {"/a": "1 GiB"}, "volumes": {"/a/": "/b"}}, "container: /a is given twice"),
    ({"tmpfs": {"/a": "1 GiB", "//a/.": "1 GiB"}}, "is given twice"),
    ({"read-only": "yes"}, "True or False"),
    ({"ephemeral-storage": "10 GiB"}, r"from 20 to 200 GiB \(Fargate's limits\)"),
    ({"ephemeral-storage": "1 TiB"}, r"from 20 to 200 GiB \(Fargate's limits\)"),
    ({"platform-version": 1.4}, "a version of Fargate"),
    ({"registry-secret": "arn:aws:secretsmanager:x"}, "the ARN of a secret of Secrets Manager"),
    ({"volumes": {"/data": "~/data"}}, "a folder of the instance, from the root on"),
    ({"volumes": {"/data": "./data"}}, "a folder of the instance, from the root on"),
    ({"registry-secret": "hunter2"}, "the ARN of a secret of Secrets Manager"),
    ({"volumes": "/data"}, "folders and what is there"),
    ({"volumes": {"/data": "bucket"}}, "a file system of EFS .*S3 Files, or a folder"),
    ({"volumes": {"/data": 5}}, "a file system of EFS"),
    ({"volumes": {"/data": f"{EFS}/{POINT}:/a"}}, "an access point has its own folder"),
    ({"volumes": {"/data": {"path": EFS}}}, "no setting 'path'"),
    ({"volumes": {"/data": {"source": EFS, "read-only": 1}}}, "True or False"),
    ({"image": "x"}, "image can't be set here; it is decided by image="),
    ({"memory": 5}, "memory can't be set here; it is decided by memory="),
    ({"jobRoleArn": "x"}, "by job_role="),
    (
        {"shared-memory": "1 GiB", "linuxParameters": {"sharedMemorySize": 5}},
        "linuxParameters.sharedMemorySize is given twice",
    ),
    ({"linuxParameters": "x", "swap": "1 GiB"}, "linuxParameters.maxSwap is given twice"),
    ({"tmpfs": {"/a": None}}, "amount of memory"),
    ({5: "x"}, "a mapping"),
]


@pytest.mark.parametrize(("said", "answer"), WRONG, ids=[str(said)[:50] for said, _ in WRONG])
def test_what_is_wrong_is_answered_with_what_is_right(said: Any, answer: str) -> None:
    with pytest.raises(ConfigurationError, match=answer):
        container("container", said)


def test_lists_grow_and_else_the_second_wins() -> None:
    first = {"a": {"b": 1, "c": [1]}, "d": 1}
    assert merged(first, {"a": {"b": 2, "c": [2]}, "e": 3}) == {
        "a": {"b": 2, "c": [1, 2]},
        "d": 1,
        "e": 3,
    }
    assert first == {"a": {"b": 1, "c": [1]}, "d": 1}


@pytest.mark.parametrize("engine", ["aws", "docker"])
def test_it_is_a_keyword_and_a_setting_of_engines_with_containers(engine: str) -> None:
    with dask.config.set({f"knot.{engine}.container": {"shared_memory": "1 GiB"}}):
        found = getattr(resolve({"engine": engine}), engine)
        assert found.container == linux(sharedMemorySize=1024)
        given = {"engine": engine, "container": {"privileged": True}}
        assert getattr(resolve(given), engine).container == {"privileged": True}


def test_an_error_says_where_the_word_stands() -> None:
    with (
        dask.config.set({"knot.aws.container": {"shared-memory": "much"}}),
        pytest.raises(ConfigurationError, match=r"knot\.aws\.container\.shared-memory='much'"),
    ):
        resolve({"engine": "aws"})


def test_the_engine_local_says_that_it_has_no_containers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    resolve({"container": {"shared-memory": "1 GiB"}})
    (record,) = caplog.records
    assert "container has no effect with engine='local'" in record.getMessage()
    caplog.clear()
    resolve({})
    assert not caplog.records


def test_what_is_wrong_is_wrong_with_the_engine_local_too() -> None:
    with pytest.raises(ConfigurationError, match="no setting 'shm'"):
        resolve({"container": {"shm": "1 GiB"}})
