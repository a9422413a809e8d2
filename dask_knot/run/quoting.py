"""Any text as the last part of the name of an object, and back again."""

from __future__ import annotations

from hashlib import sha256

#: What needs no quotes in the name of an object: case counts in some folders only.
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
#: Instead of a text in the name of an object; no quoted byte looks like it.
_NO_TEXT, LONG_TEXT = "=", "=long-"
#: Longer ones don't fit into the names of files everywhere.
_LONGEST_QUOTED = 180


def quoted(text: str) -> str:
    """Make a text the last part of an object's name, as every kind of store takes it."""
    data = text.encode("utf-8", "surrogatepass")
    name = "".join(chr(byte) if byte in _PLAIN else f"={byte:02x}" for byte in data)
    if len(name) > _LONGEST_QUOTED:
        return f"{LONG_TEXT}{sha256(data).hexdigest()}"
    return name or _NO_TEXT


def unquoted(name: str) -> str | None:
    """Undo `quoted`; None if it isn't what that gives of a text that isn't long."""
    first, *rest = name.split("=")
    try:
        data = first.encode() + b"".join(bytes.fromhex(r[:2]) + r[2:].encode() for r in rest)
        text = "" if name == _NO_TEXT else data.decode("utf-8", "surrogatepass")
    except ValueError:
        return None
    return text if quoted(text) == name else None
