"""AWS refuses some requests: it is busy, or credentials have expired."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from tests.rig.server.counted import SIGNED

PATH = "/rig/refuse/"
STATUS = {"SlowDown": "503 Slow Down", "TooManyRequestsException": "429 Too Many Requests"}

#: How many more requests to a service are refused, and with which code.
_left: dict[str, tuple[str, int]] = {}
_lock = threading.Lock()


def serve(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Refuse what `/rig/refuse/SERVICE/CODE/TIMES` asks for; the rest is the application's."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith(PATH):
            service, code, times = path.removeprefix(PATH).split("/")
            with _lock:
                _left[service] = (code, int(times))
            start("200 OK", [("Content-Length", "0")])
            return [b""]
        signed = SIGNED.search(environ.get("HTTP_AUTHORIZATION", ""))
        code = _take(signed["service"]) if signed else None
        if signed is None or code is None:
            return application(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        return _refuse(start, signed["service"], code)

    return answer


def _take(service: str) -> str | None:
    with _lock:
        code, times = _left.get(service, ("", 0))
        _left[service] = (code, max(0, times - 1))
    return code if times else None


def _refuse(start: Callable[..., Any], service: str, code: str) -> Iterable[bytes]:
    error = f"<Error><Code>{code}</Code><Message>the tests want it so</Message></Error>"
    xml = error if service == "s3" else f"<ErrorResponse>{error}</ErrorResponse>"
    body = json.dumps({"message": "the tests want it so"}) if service == "batch" else xml
    headers = [("Content-Length", str(len(body))), ("x-amzn-ErrorType", code)]
    start(STATUS.get(code, "403 Forbidden"), headers)
    return [body.encode()]
