"""How often each call was made, by the client and by jobs: read from the requests themselves."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

PATH = "/rig/counts"
#: The key and the service that a request is signed for.
SIGNED = re.compile(r"Credential=(?P<key>[^/]+)/\d+/[^/]+/(?P<service>[^/]+)/")
#: Keys of roles, which jobs have.
ROLE_KEYS = ("ASIA", "LSIA")

_counts: Counter[str] = Counter()
_lock = threading.Lock()


def serve(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Count the requests to an application, and answer for `/rig/counts`."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == PATH:
            start("200 OK", [("Content-Type", "application/json")])
            with _lock:
                return [json.dumps(_counts).encode()]
        if signed := SIGNED.search(environ.get("HTTP_AUTHORIZATION", "")):
            who = "jobs" if signed["key"].startswith(ROLE_KEYS) else "client"
            with _lock:
                _counts[f"{who} {signed['service']} {_call(signed['service'], environ)}"] += 1
        return application(environ, start)

    return answer


def _call(service: str, environ: dict[str, Any]) -> str:
    if service == "batch":
        return str(environ["PATH_INFO"]).rpartition("/")[2]
    if service != "s3":
        return "any"
    query, method = environ.get("QUERY_STRING", ""), str(environ["REQUEST_METHOD"]).lower()
    if "list-type" in query:
        return "list"
    return "delete" if method == "post" and "delete" in query else method
