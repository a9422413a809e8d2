"""CRC-32, by the quickest library that is here: all give the same sums."""

from __future__ import annotations

from zlib import crc32 as _crc32_of_zlib

try:
    from zlib_ng.zlib_ng import crc32
except ImportError:  # a platform that it isn't built for
    crc32 = _crc32_of_zlib

__all__ = ["crc32"]
