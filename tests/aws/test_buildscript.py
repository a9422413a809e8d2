"""The commands of a build in the account."""

from __future__ import annotations

import re
import subprocess

import pytest

from dask_knot.aws.buildscript import script

NAME = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/jobs:tag"


@pytest.mark.parametrize("has_secrets", [False, True])
@pytest.mark.parametrize("network", [None, "host"])
def test_a_shell_understands_it(has_secrets: bool, network: str | None) -> None:
    text = script(NAME, "FROM python:3.12-slim\n", network, has_secrets)
    subprocess.run(["sh", "-n"], input=text.encode(), check=True)
    assert ("--network host" in text) == (network is not None)
    assert ("$source.secrets" in text) == has_secrets


def test_it_signs_in_where_the_image_goes_and_comes_from() -> None:
    bases = (
        "FROM --platform=linux/amd64 210987654321.dkr.ecr.us-east-1.amazonaws.com/base:1 AS a\n"
        "FROM python:3.12-slim\n"
    )
    text = script(NAME, bases, None, False)
    for account, region in (("123456789012", "eu-west-1"), ("210987654321", "us-east-1")):
        assert f"get-login-password --region {region} " in text
        assert f"{account}.dkr.ecr.{region}.amazonaws.com > /dev/null" in text
    assert text.count("docker login") == 2


@pytest.mark.parametrize(
    "registry",
    [
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
        "123456789012.dkr-ecr.eu-west-1.on.aws",
    ],
)
def test_registries_of_every_partition(registry: str) -> None:
    text = script(f"{registry}/jobs:tag", "FROM a/b\n", None, False)
    assert f"--password-stdin {registry} > /dev/null" in text


def test_dockers_own_images_are_pulled_where_nobody_counts() -> None:
    lines = (
        "FROM --platform=linux/amd64 python:3.12-slim AS made\nFROM scratch\n"
        "from ghcr.io/a/b:1\nFROM $BASE\nFROM made\nRUN echo FROM here\n"
    )
    text = script(NAME, lines, None, False)
    pulled = re.findall(r"docker pull --quiet (\S+)", text)
    assert pulled == ["public.ecr.aws/docker/library/python:3.12-slim"]
    assert text.index("docker tag") < text.index("docker build")
    subprocess.run(["sh", "-n"], input=text.encode(), check=True)


def test_secrets_are_gone_from_the_bucket_before_anything_is_built() -> None:
    text = script(NAME, "FROM a\n", None, True)
    assert text.index('rm --quiet "$source.secrets"') < text.index("docker build")
    assert "/dev/shm/" in text
