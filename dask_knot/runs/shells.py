"""A shell in a job that runs: which program to become for it, on each engine."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dask_knot.errors import ConfigurationError, EngineError, StoreError
from dask_knot.run.asks import Answer, Wanted
from dask_knot.run.names import ShardId, parse_shard
from dask_knot.run.spelling import Fit, fit_of
from dask_knot.run.trace import TracedJob
from dask_knot.runs.inquiry import Crew, ask, fits_of
from dask_knot.runs.keys import find_key
from dask_knot.runs.lines import making
from dask_knot.runs.overview import read_record
from dask_knot.runs.stacks import nobody, silent_jobs

#: What Docker's containers of jobs are labeled with: the child's id, and its attempt.
LABEL = "dask-knot"
#: A shell in a container: the better one, if it is there.
CONTAINER_SHELL = ("/bin/sh", "-c", "if [ -x /bin/bash ]; then exec /bin/bash; fi; exec /bin/sh")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Entrance:
    """What to become to be in a job.

    Attributes
    ----------
    words : tuple of str
        The program and its arguments.
    said : str
        What people read before.
    folder : str
        Where to start it; empty: here.
    environment : mapping of str to str or None
        Its variables; None: those that there are.
    """

    words: tuple[str, ...]
    said: str
    folder: str = ""
    environment: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Addressee:
    """A job that somebody means: what it says of itself, or what its process shows."""

    crew: Crew
    job: str
    attempt: str = ""
    host: str = ""
    pid: int = 0
    folder: str = ""
    private: str = ""
    key: str = ""


def enter(crews: Sequence[Crew], text: str, command: Sequence[str], has_terminal: bool) -> Entrance:
    """Find a job, and the way into it.

    Parameters
    ----------
    crews : sequence of Crew
        The runs in which it may be.
    text : str
        A key that it runs, its id, or its shard.
    command : sequence of str
        What is run there; a shell if it is empty.
    has_terminal : bool
        Whether somebody sits before this.

    Raises
    ------
    ConfigurationError
        If no job is meant, or several are.
    EngineError
        If there is no way into it; the message says what to do.
    AwsError
        If AWS refuses, or can't be reached.
    StoreError
        If the store can't be read or written.
    """
    found = _find(crews, text)
    if found.crew.engine == "aws":
        from dask_knot.aws.shell import shell_words  # boto3 takes a part of a second

        access = found.crew.depot.jobs
        if access is None or access.session is None:
            raise EngineError(f"AWS can't be asked about the job: {found.crew.depot.why}")
        words = shell_words(access.session, access.client, found.job, command)
        return Entrance(tuple(words), f"job {found.job}, through ECS Exec")
    if found.crew.engine == "docker":
        return _into_container(found, command, has_terminal)
    return _into_process(found, command)


def _find(crews: Sequence[Crew], text: str) -> Addressee:
    told: list[str] = []
    found: list[tuple[Fit, Addressee]] = []
    for crew in crews:
        there = [*_by_id(crew, text)] or [*_by_answers(crew, text, told)]
        found += there
        if any(fit is Fit.WHOLE for fit, _ in there):
            break
    best = max((fit for fit, _ in found), default=Fit.NONE)
    meant = [one for fit, one in found if fit is best]
    if not meant:
        raise nobody(text, crews, told)
    if len(meant) > 1:
        some = ", ".join(map(_named, meant[:5])) + (", …" if len(meant) > 5 else "")
        raise ConfigurationError(f"{text!r} fits several jobs, say which one: {some}")
    return meant[0]


def _named(one: Addressee) -> str:
    return f"{one.job} ({one.key})" if one.key else one.job


def _by_answers(crew: Crew, text: str, told: list[str]) -> Iterator[tuple[Fit, Addressee]]:
    """Find jobs by what they answer, or those that don't by what else is known of them."""
    answers = ask(crew, text, Wanted.PLACE)
    told += [task.key for answer in answers.values() for task in answer.tasks]
    fits = fits_of(text, answers)
    if any(fits.values()):
        for shard, fit in fits.items():
            if fit is not Fit.NONE:
                yield fit, _answered(crew, answers[shard], text)
        return
    there = [*_silent(crew, text, answers)]
    for id in () if there else _recorded(crew, text):
        there = [*_by_id(crew, id), *_silent(crew, id, answers)]
    yield from there


def _by_id(crew: Crew, text: str) -> Iterator[tuple[Fit, Addressee]]:
    """Find a job by its id, even if it doesn't answer."""
    if crew.engine == "docker" and shutil.which("docker"):
        for child in _containers():
            if child.partition("/")[0] == text:
                yield Fit.WHOLE, Addressee(crew, text, child.partition("/")[2])
    if crew.engine == "aws" and crew.depot.jobs is not None and _is_job_id(text):
        yield Fit.WHOLE, Addressee(crew, text)


def _recorded(crew: Crew, text: str) -> Iterator[str]:
    """Name the job that makes a key, as the record of a named run says: it may not answer."""
    with suppress(ConfigurationError, StoreError):
        view = read_record(crew.depot, crew.run.name)
        shard = making(view, find_key(text, (key for plan in view.plans for key in plan.keys)))
        id = view.ids.get(shard.stage)
        if id and shard in crew.shards:
            (plan,) = [plan for plan in view.plans if plan.number == shard.stage.plan]
            is_array = len(plan.stages[shard.stage.stage].outputs) > 1
            yield f"{id}:{shard.index}" if is_array else id


def _is_job_id(text: str) -> bool:
    """Tell whether a text looks as Batch's ids do: a UUID, perhaps with the number of a child."""
    head, _, index = text.partition(":")
    return [len(part) for part in head.split("-")] == [8, 4, 4, 4, 12] and (
        not index or index.isdecimal()
    )


def _answered(crew: Crew, answer: Answer, text: str) -> Addressee:
    keys = sorted((task.key for task in answer.tasks), key=lambda key: -fit_of(text, key))
    return Addressee(
        crew,
        answer.job,
        answer.attempt,
        answer.host,
        answer.pid,
        answer.folder,
        answer.private,
        *keys[:1],
    )


def _silent(
    crew: Crew, text: str, answers: dict[ShardId, Answer]
) -> Iterator[tuple[Fit, Addressee]]:
    for shard, job in silent_jobs(crew, answers):
        if text == job.job or parse_shard(text) == shard:
            host, folder = platform.node(), _folder_of(job)
            yield Fit.WHOLE, Addressee(crew, job.job, host=host, pid=job.pid, folder=folder)


def _folder_of(job: TracedJob) -> str:
    with suppress(OSError):
        return os.readlink(_PROC / str(job.pid) / "cwd")
    return ""


def _containers() -> list[str]:
    form = f'{{{{.Label "{LABEL}"}}}}'
    asked = ["docker", "ps", "--filter", f"label={LABEL}", "--format", form]
    return _told_by_docker(asked)


def _told_by_docker(words: Sequence[str]) -> list[str]:
    if shutil.which(words[0]) is None:
        raise EngineError(
            "a shell in a container needs the `docker` command, which was not found here: "
            "install Docker's command line"
        )
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise EngineError(f"`{shlex.join(words)}` failed: {done.stderr.strip()}")
    return done.stdout.split("\n")


def _into_container(found: Addressee, command: Sequence[str], has_terminal: bool) -> Entrance:
    label = f"label={LABEL}={found.job}/{found.attempt or 1}"
    asked = ["docker", "ps", "--no-trunc", "--filter", label, "--format", "{{.ID}}"]
    ids = [one for one in _told_by_docker(asked) if one]
    if not ids:
        raise EngineError(
            f"Docker here has no container of job {found.job}: it has ended, or runs on another "
            f"machine ({found.host}; set DOCKER_HOST as its client does)"
        )
    mode = "-it" if has_terminal else "-i"
    words = ("docker", "exec", mode, *_workdir(found), ids[0], *(command or CONTAINER_SHELL))
    return Entrance(words, f"job {found.job}, container {ids[0][:12]}")


def _workdir(found: Addressee) -> tuple[str, ...]:
    return ("--workdir", found.folder) if found.folder else ()


def _into_process(found: Addressee, command: Sequence[str]) -> Entrance:
    if found.host != platform.node() or not _runs(found.pid):
        raise EngineError(
            f"job {found.job} is process {found.pid} on {found.host}, which can't be reached from "
            f"{platform.node()}: run this command there"
        )
    environment = _environment_of(found)
    environment |= {"KNOT_JOB": found.job, "KNOT_JOB_PID": str(found.pid)}
    words = tuple(command or (os.environ.get("SHELL") or "/bin/sh",))
    return Entrance(words, f"job {found.job} is process {found.pid}", found.folder, environment)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _environment_of(found: Addressee) -> dict[str, str]:
    """Read the variables that a job has, or that its process began with; none: those here."""
    if found.private:
        path = Path(found.private)
        with suppress(OSError, ValueError):
            text = path.read_text()
            path.unlink()
            return {str(name): str(value) for name, value in json.loads(text).items()}
    with suppress(OSError):
        pairs = (_PROC / str(found.pid) / "environ").read_text(errors="replace").split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    return dict(os.environ)
