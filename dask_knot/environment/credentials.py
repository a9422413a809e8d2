"""Credentials in what pip is told: out of the text, into variables that pip fills in itself. Pure.

pip fills in ``${NAME}`` while it reads a file of requirements. So a file can be kept in an image,
and a credential be there only while pip runs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

#: Variables that are made here begin so.
PREFIX = "KNOT_SECRET_"
MASK = "****"
#: A user's own variable in a file of requirements: as pip writes them.
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
#: A URL's scheme, who asks, and the rest up to a query; then the query, up to a fragment.
URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<who>[^/\s]+)@)?(?P<rest>[^\s?#;]*)"
    r"(?:\?(?P<query>[^\s#;]*))?"
)
#: A query with such a name is a credential as a whole: the rest of it, dates say, goes with it.
TELLING = re.compile(
    r"(?i)(^|[&_-])\w*(token|key|sig|signature|secret|pass|passwd|password|auth|credential)="
)
#: Conda's channels have their token in front of their path.
OF_CONDA = re.compile(r"^([^/]*/t/)[^/]+(?=/|$)")
#: Shorter texts are in many words: they are hidden only where a URL has them.
SHORTEST = 5


class Hidden(NamedTuple):
    """Lines without credentials, and those by the names that stand in the lines instead."""

    lines: tuple[str, ...]
    values: dict[str, str]


def hide(lines: Iterable[str]) -> Hidden:
    """Put names into lines instead of the credentials of their URLs.

    A name comes from the URL, not from the credential: a new token gives the same line. But for one
    that is a part of the path: what looks like a token there may be the version of a file.
    """
    values: dict[str, str] = {}

    def replaced(match: re.Match[str]) -> str:
        scheme, who, rest, query = match.group("scheme", "who", "rest", "query")
        bare = f"{scheme}://{rest}"
        if who and is_secret(scheme, who):
            who = _named(f"{bare}@", who, values)
        if query and TELLING.search(query) and not VARIABLE.search(query):
            query = _named(f"{bare}?", query, values)
        host, *path = rest.split("/")
        parts = (_named(part, part, values) if _is_hidden(part) else part for part in path[:-1])
        rest = "/".join([host, *parts, *path[-1:]])
        return f"{scheme}://{who + '@' if who else ''}{rest}{'?' + query if query else ''}"

    return Hidden(tuple(URL.sub(replaced, line) for line in lines), values)


def _named(place: str, value: str, values: dict[str, str]) -> str:
    digest = hashlib.sha256(place.encode()).hexdigest()[:12].upper()
    name = f"{PREFIX}{digest}"
    while values.setdefault(name, value) != value:  # two credentials for one place
        name += "X"
    return f"${{{name}}}"


def is_secret(scheme: str, who: str) -> bool:
    """Tell whether what stands before the ``@`` of a URL must be hidden: ``git`` is no secret."""
    is_name = who in ("git", "hg", "svn") or ("ssh" in scheme and ":" not in who)
    return not is_name and not VARIABLE.search(who)


def variables(lines: Iterable[str]) -> set[str]:
    """Name the variables that stand in lines."""
    return {name for line in lines for name in VARIABLE.findall(line)}


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """Fill variables in, as pip does: those that aren't set stay."""
    return VARIABLE.sub(lambda match: environ.get(match[1]) or match[0], text)


def masked(url: str) -> str:
    """Give a URL that may be shown and kept: the same one for a new token, wherever that stands."""

    def replaced(match: re.Match[str]) -> str:
        path = "/".join(MASK if _is_token(part) else part for part in match["rest"].split("/"))
        return f"{match['scheme']}://{path}"

    return URL.sub(replaced, url)


def _is_token(part: str) -> bool:
    """Tell whether a part of a path looks like a token: long, of letters and digits, no words.

    ``wheels-for-gpus-2025`` is made of words and numbers: another year is another index.
    """
    if not re.fullmatch(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_~-]{16,}", part):
        return False
    return not all(re.fullmatch(r"[A-Za-z]*[0-9]{0,4}", word) for word in re.split("[_~-]", part))


def _is_hidden(part: str) -> bool:
    """Tell whether a part of a file's path must be hidden: digests are in many, and say nothing."""
    return _is_token(part) and not re.fullmatch(r"[0-9a-f]+", part)


def secrets_of(urls: Iterable[str]) -> set[str]:
    """Give the texts of URLs that must never be shown."""
    found: set[str] = set()
    for match in (match for url in urls for match in URL.finditer(url)):
        if match["who"] and is_secret(match["scheme"], match["who"]):
            name, colon, password = match["who"].partition(":")
            found |= {match["who"], password if colon and password else name}
        if match["query"] and TELLING.search(match["query"]):
            found.add(match["query"])
            found |= {pair.partition("=")[2] for pair in match["query"].split("&")}
        found |= {part for part in match["rest"].split("/") if _is_token(part)}
    return {*found, *map(unquote, found)}


def redact(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a text that somebody will see: those, and what URLs have of them."""
    for secret in sorted({*secrets}, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, MASK)
    return URL.sub(_without_credentials, text)


def _without_credentials(match: re.Match[str]) -> str:
    scheme, who, rest, query = match.group("scheme", "who", "rest", "query")
    if who and is_secret(scheme, who):
        who = MASK
    if query and TELLING.search(query) and not VARIABLE.search(query):
        query = MASK
    rest = OF_CONDA.sub(rf"\1{MASK}", rest)
    return f"{scheme}://{who + '@' if who else ''}{rest}{'' if query is None else '?' + query}"
