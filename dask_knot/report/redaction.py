"""Takes out of a text what nobody but its owner should read. Pure.

What is replaced keeps its kind, and different things stay different: two accounts are ``<account>``
and ``<account 2>``, so that whoever reads a report sees that they are two.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from dask_knot.environment.credentials import MASK, redact

#: Kinds of things, and where they stand: in the first group, or as a whole. Earlier ones win.
KINDS: dict[str, re.Pattern[str]] = {
    "key id": re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"),
    "bucket": re.compile(r"(?:\bs3://|\barn:[\w-]+:s3:::)([^/\s'\"<>,;]+)"),
    "name": re.compile(
        r"\barn:[\w-]+:(?:iam|sts)::[^:\s]*:(?:user|role|assumed-role|federated-user)/"
        r"([^\s'\",;<>]+)"
    ),
    "e-mail": re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"),
    "account": re.compile(r"(?<!\d)\d{12}(?!\d)"),
    "address": re.compile(
        r"(?<![\d.])(?!127\.0\.0\.1|0\.0\.0\.0)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}"
        r"(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.]*\d)"
        r"|(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}:?[0-9a-f]{1,4}(?![\w:])"
        r"|(?<![\w:])(?:[0-9a-f]{1,4}:)+(?::[0-9a-f]{1,4})+(?![\w:])"
    ),
    "host": re.compile(
        r"\b(?:https?|tcp|ssh)://(?:[^@/\s]+@)?"
        r"(?!localhost\b|127\.0\.0\.1|0\.0\.0\.0|<|[\w.-]+\.amazonaws\.com|[\w.-]*(?:pypi|python|dask)"
        r"\.org|github\.com)([\w.-]+)"
    ),
    "id": re.compile(
        r"\b(?:vpc|subnet|sg|i|eni|rtb|lt|fs|igw|nat|vpce|ami)-([0-9a-f]{8,17})\b", re.ASCII
    ),
}
#: Folders of people, up to the name of one.
_HOMES = re.compile(r"(?P<above>/(?:home|Users)/)(?!<)[^/\s'\"]+")


def redacted(text: str, secrets: Collection[str] = (), home: str = "") -> str:
    """Replace accounts, addresses, names, keys, buckets, ids and folders of people.

    Parameters
    ----------
    text : str
        Of any kind.
    secrets : collection of str
        Texts that go wherever they stand.
    home : str
        The user's home folder, which becomes ``~``.
    """
    text = redact(text, secrets)
    for kind, pattern in KINDS.items():
        found = dict.fromkeys(match[match.lastindex or 0] for match in pattern.finditer(text))
        for number, value in enumerate(one for one in found if one != MASK):
            name = f"<{kind}>" if number == 0 else f"<{kind} {number + 1}>"
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", name, text)
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home.rstrip('/'))}(?=/|\s|$)", "~", text, flags=re.MULTILINE)
    return _HOMES.sub(r"\g<above><user>", text)
