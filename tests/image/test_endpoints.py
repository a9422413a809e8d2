"""Engines are found wherever their sockets are, and what each place said is told."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from dask_knot.errors import EngineError, ImageError
from dask_knot.image import endpoints
from dask_knot.image.builder import connect_to_builder
from dask_knot.image.endpoints import Endpoint, candidates, connect
from dask_knot.local import containers


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Be somebody with an empty home, and a short path to it: a socket's name is short."""
    folder = Path(tempfile.mkdtemp(prefix="home-"))
    for name in [*os.environ]:
        if name.startswith(("DOCKER_", "CONTAINER_HOST")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    yield folder
    shutil.rmtree(folder)


@contextmanager
def answering(path: Path) -> Iterator[None]:
    """Answer at a socket as an engine does that is asked whether it is there."""

    class Engine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = json.dumps({"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def address_string(self) -> str:
            return "a socket"

        def log_message(self, format: str, *args: Any) -> None:
            pass

    path.parent.mkdir(parents=True, exist_ok=True)
    with socketserver.ThreadingUnixStreamServer(str(path), Engine) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            path.unlink()


def write_context(folder: Path, name: str, meta: Any) -> None:
    place = hashlib.sha256(name.encode()).hexdigest()
    file = folder / "contexts/meta" / place / "meta.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(meta))


def of_docker(host: str) -> Mapping[str, Any]:
    return {"Name": "x", "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}


class TestOrder:
    def test_who_said_where_gets_that_one_only(self, tmp_path: Path) -> None:
        folder = tmp_path / ".docker"
        write_context(folder, "colima", of_docker("unix:///colima.sock"))
        write_context(folder, "far", of_docker("ssh://me@far"))
        (folder / "config.json").write_text('{"currentContext": "colima"}')
        environ = {"DOCKER_HOST": "tcp://a:1", "DOCKER_CONTEXT": "far"}
        assert [one.url for one in candidates(environ, tmp_path)] == ["tcp://a:1"]
        environ.pop("DOCKER_HOST")
        assert [one.url for one in candidates(environ, tmp_path)] == ["ssh://me@far"]
        assert [one.url for one in candidates({}, tmp_path)] == ["unix:///colima.sock"]
        elsewhere = {"DOCKER_CONFIG": str(tmp_path / "other")}
        assert len(candidates(elsewhere, tmp_path)) > 5

    @pytest.mark.parametrize("environ", [{}, {"DOCKER_CONTEXT": "default"}])
    def test_else_all_usual_places_are_looked_at(
        self, environ: dict[str, str], tmp_path: Path
    ) -> None:
        told = {**environ, "XDG_RUNTIME_DIR": "/run/user/7", "CONTAINER_HOST": "unix:///p.sock"}
        urls = [one.url.removeprefix("unix://") for one in candidates(told, tmp_path)]
        assert urls[:2] == ["/var/run/docker.sock", "/run/user/7/docker.sock"]
        assert urls[-3:] == [
            "/p.sock",
            "/run/user/7/podman/podman.sock",
            "/run/podman/podman.sock",
        ]
        for name in (".colima/default", ".rd", ".orbstack/run", ".docker/run"):
            assert f"{tmp_path}/{name}/docker.sock" in urls

    @pytest.mark.parametrize(
        "meta", [None, [], {}, {"Endpoints": {"docker": {}}}, {"Endpoints": {"docker": 1}}]
    )
    def test_a_context_that_isnt_there_is_named(self, meta: Any, tmp_path: Path) -> None:
        if meta is not None:
            write_context(tmp_path / ".docker", "mine", meta)
        with pytest.raises(EngineError, match=r"context 'mine', named by DOCKER_CONTEXT, .*use"):
            candidates({"DOCKER_CONTEXT": "mine"}, tmp_path)

    def test_certificates_of_a_context_and_of_variables(self, tmp_path: Path) -> None:
        folder = tmp_path / ".docker"
        write_context(folder, "far", of_docker("tcp://far:2376"))
        place = folder / "contexts/tls" / hashlib.sha256(b"far").hexdigest() / "docker"
        place.mkdir(parents=True)
        (one,) = candidates({"DOCKER_CONTEXT": "far"}, tmp_path)
        assert one.variables() == {
            "DOCKER_HOST": "tcp://far:2376",
            "DOCKER_CERT_PATH": str(place),
            "DOCKER_TLS_VERIFY": "1",
        }
        told = {"DOCKER_HOST": "tcp://a:1", "DOCKER_CERT_PATH": "/c", "DOCKER_TLS_VERIFY": "1"}
        assert candidates(told, tmp_path) == [Endpoint("tcp://a:1", "DOCKER_HOST", Path("/c"))]


class TestConnection:
    @pytest.mark.parametrize(
        "place",
        ["run/docker.sock", "run/podman/podman.sock", ".colima/default/docker.sock"],
    )
    def test_the_first_that_answers_is_taken(self, place: str, home: Path) -> None:
        with answering(home / place), closing(connect(timeout=9)) as client:
            assert client.endpoint.url == f"unix://{home / place}"

    def test_a_context_leads_to_its_engine(self, home: Path) -> None:
        place = home / "far.sock"
        write_context(home / ".docker", "rootless", of_docker(f"unix://{place}"))
        (home / ".docker/config.json").write_text('{"currentContext": "rootless"}')
        with answering(place), closing(connect()) as client:
            assert client.endpoint.whose == "the context 'rootless'"
            assert client.version()["ApiVersion"] == "1.41"

    def test_what_each_place_said_is_told(self, home: Path) -> None:
        place = home / "run/docker.sock"
        with answering(place):
            pass
        place.touch()  # a file, where nobody listens
        words = r"rootless Docker \(unix://.*\): connection refused.*No such file: Docker"
        with pytest.raises(ImageError, match=words) as caught:
            connect_to_builder()
        for name in ("Colima", "OrbStack", "Podman", "another machine", "image="):
            assert name in str(caught.value)
        with pytest.raises(EngineError, match=r"none answers: rootless.*engine='local'"):
            containers.connect()

    def test_who_may_not_is_told_of_the_group(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        with pytest.raises(EngineError, match=r"permission denied.*usermod -aG docker"):
            connect()

    def test_one_that_hangs_holds_nobody_up(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(endpoints, "UNTIL_NAMED", 0.05)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{home}/hanging.sock")
        with closing(socket.socket(socket.AF_UNIX)) as hanging:
            hanging.bind(str(home / "hanging.sock"))
            hanging.listen()  # and never answers
            with pytest.raises(EngineError, match=r"DOCKER_HOST .*: no answer: it hangs"):
                connect(timeout=600)

    @pytest.mark.parametrize(
        ("host", "words"),
        [
            ("tcp://127.0.0.1:9", "connection refused"),
            ("tcp://engine.invalid:2375", r"DOCKER_HOST \(tcp://engine.invalid:2375\): "),
            ("tcp://127.0.0.1:99999", "out of range"),
            ("nowhere", "port is required"),
            ("unix:///gone/docker.sock", "No such file: DOCKER_HOST"),
        ],
        ids=["refused", "unknown", "port", "nonsense", "gone"],
    )
    def test_a_wrong_address_is_said(
        self, host: str, words: str, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", host)
        with pytest.raises(EngineError, match=words):
            connect()


class TestLogins:
    def test_a_missing_helper_stops_nobody(self, home: Path) -> None:
        (home / ".docker").mkdir()
        config = {"credsStore": "nowhere-to-be-found", "auths": {"a.example.com": {}}}
        (home / ".docker/config.json").write_text(json.dumps(config))
        with answering(home / "run/docker.sock"), closing(connect()) as client:
            found = client.api.inspect_distribution("name:1")  # asks for a login
            assert found["ApiVersion"] == "1.41"

    def test_a_damaged_configuration_is_named(self, home: Path) -> None:
        (home / ".docker").mkdir()
        (home / ".docker/config.json").write_text('{"auths": {"a": {"auth": "%%%"}}}')
        damaged = pytest.raises(EngineError, match=r"config\.json is damaged.*login of a")
        with answering(home / "run/docker.sock"), damaged:
            connect()
