"""Which permissions IAM was asked for, by whom: what a policy needs is what was asked."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from moto.iam.access_control import IAMRequestBase

PATH = "/rig/asked/"
RESET = "/moto-api/reset"

_asked: dict[str, set[str]] = defaultdict(set)


def install() -> None:
    """Note each permission, before it is looked for in policies."""
    check = IAMRequestBase.check_action_permitted

    def check_action_permitted(self: Any, resource: str) -> None:
        user = getattr(self._access_key, "_owner_user_name", None)
        if user is not None:
            _asked[user].add(self._action.lower())
        check(self, resource)

    IAMRequestBase.check_action_permitted = check_action_permitted  # type: ignore[method-assign]


def serve(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Answer for `/rig/asked/USER`, and forget when all is forgotten; the rest is passed on."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == RESET:
            _asked.clear()
        if not path.startswith(PATH):
            return application(environ, start)
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(sorted(_asked[path.removeprefix(PATH)])).encode()]

    return answer
