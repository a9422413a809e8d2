"""A Docker engine that only notes what is asked of it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from docker.errors import APIError, ImageNotFound

Answers = Sequence[Mapping[str, Any]]


@dataclass
class FakeDocker:
    """What the code uses of `docker.DockerClient`: `images`, `api`, `close`.

    Attributes
    ----------
    here, elsewhere : set of str
        Images of the engine, and of a registry.
    build_answers, push_answers : sequence of mapping
        What the engine says.
    built, pushed : list
        What was asked for.
    is_closed, is_read : bool
        Whether the client was closed, and the last answer read to its end.
    """

    here: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    build_answers: Answers = ({"stream": "Step 1/1 : FROM x\n"},)
    push_answers: Answers = ()
    built: list[dict[str, Any]] = field(default_factory=list)
    pushed: list[dict[str, Any]] = field(default_factory=list)
    is_closed: bool = False
    is_read: bool = False

    @property
    def images(self) -> FakeDocker:
        """The same object, to keep it short."""
        return self

    @property
    def api(self) -> FakeDocker:
        """The same object, to keep it short."""
        return self

    def version(self) -> dict[str, Any]:
        """Say what it is: Docker."""
        return {"Components": [{"Name": "Engine"}]}

    def get(self, name: str) -> str:
        """Find an image of the engine."""
        if name not in self.here:
            raise ImageNotFound(name)
        return name

    def get_registry_data(self, name: str) -> str:
        """Find an image of a registry."""
        if name not in self.elsewhere:
            raise APIError("manifest unknown")
        return name

    def build(self, *, fileobj: Any, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        """Note the request, with the files of its context."""
        with tarfile.open(fileobj=fileobj) as tar:
            members = [(entry.name, tar.extractfile(entry)) for entry in tar]
            files = {name: data.read() for name, data in members if data}
        self.built.append(arguments | {"files": files})
        self.here.add(arguments["tag"])
        return self._answer(self.build_answers)

    def push(self, repository: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        """Note the request."""
        self.pushed.append(arguments | {"repository": repository})
        return self._answer(self.push_answers)

    def _answer(self, answers: Answers) -> Iterator[Mapping[str, Any]]:
        yield from answers
        self.is_read = True

    def close(self) -> None:
        """Note the end."""
        self.is_closed = True
