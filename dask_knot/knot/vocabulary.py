"""Arguments of Cloudknot's that have another name here, or another place: each is named at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dask_knot.errors import ConfigurationError

_IMAGE = "the image is made from your environment automatically"
_UP = "the stack has one"

#: Those of `Knot`: what says the same.
KNOT: Mapping[str, str] = {
    "pars": f"stack='NAME', which `dask knot up --name NAME` made: {_UP}",
    "pars_policies": "job_role='ARN': a role for jobs that has your policies",
    "docker_image": "image='NAME:TAG' (engines 'docker' and 'aws')",
    "base_image": f"`dask knot image --base NAME:TAG`: {_IMAGE}",
    "image_script_path": "func: import the function of that file",
    "image_work_dir": f"nothing: {_IMAGE}",
    "image_github_installs": "`dask knot image --package auto --package git+https://github.com/...`",
    "username": "`dask knot image --line 'USER name'`",
    "repo_name": "`dask knot up --repository NAME`",
    "image_tags": f"nothing: the tag is made from the image's content, and {_IMAGE}",
    "no_image_cache": f"nothing: {_IMAGE}, and again when that changes",
    "job_definition_name": "name: all names at AWS begin with it",
    "job_def_vcpus": "cores",
    "n_gpus": "gpus",
    "retries": "attempts",
    "compute_environment_name": f"stack='NAME': {_UP}",
    "instance_types": f"`dask knot up --instance-types c6i.xlarge,m6i`: {_UP}",
    "min_vcpus": f"`dask knot up --min-vcpus N`: {_UP}",
    "max_vcpus": f"`dask knot up --max-vcpus N` for all, and jobs=N for this one: {_UP}",
    "desired_vcpus": f"`dask knot up --desired-vcpus N`: {_UP}",
    "volume_size": f"`dask knot up --volume-size GIB`: {_UP}",
    "image_id": f"`dask knot up --ami AMI`: {_UP}",
    "ec2_key_pair": f"`dask knot up --key-pair NAME`: {_UP}",
    "bid_percentage": f"`dask knot up --platform spot --spot-percentage N`: {_UP}",
    "job_queue_name": "queue",
    "priority": "`dask knot up --priority N` for a queue, scheduling_priority=N within one",
    "aws_resource_tags": "tags={'key': 'value'}, and `dask knot up --tag KEY=VALUE`",
}
#: Those of `Knot.map`.
MAP: Mapping[str, str] = {
    "env_vars": "environment={'NAME': 'value'}",
    "max_threads": "nothing: results are read in few requests",
    "job_type": "nothing: items are packed into array jobs; `future.as_completed()` and iteration "
    "give the results one by one",
}
#: Those of `Knot.clobber`: what is deleted otherwise.
CLOBBER: Mapping[str, str] = {
    "clobber_pars": "`dask knot down`, as others may use the stack",
    "clobber_repo": "`dask knot down`, as others may use the repository",
    "clobber_image": "`dask knot up --images N`: the newest N are kept",
}
#: Cloudknot's memory is a number of MiB.
_MIB = 2**20


def refuse(given: Iterable[str], words: Mapping[str, str], whose: str) -> None:
    """Refuse the first argument that is Cloudknot's alone.

    Raises
    ------
    ConfigurationError
        With what says the same here.
    """
    for name in given:
        if name in words:
            raise ConfigurationError(f"{whose} has no argument {name!r}: here it is {words[name]}")


def refuse_mebibytes(memory: Any) -> None:
    """Refuse a number of MiB, as Cloudknot has it, where bytes are meant.

    Raises
    ------
    ConfigurationError
        With what to write instead.
    """
    if isinstance(memory, int) and 0 < memory < _MIB:
        raise ConfigurationError(
            f"memory={memory!r} would be {memory} bytes: Cloudknot's number of MiB is "
            f"memory='{memory} MiB' here"
        )
