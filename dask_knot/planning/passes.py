"""The passes in which Dask moves all to all: few of many pieces, or many of few.

Where tasks are expensive, Dask rechunks and shuffles in several passes, so that fewer tasks do it.
Here a pass is expensive: all values go through the store once more, and a stage waits for a stage.
"""

from __future__ import annotations

from dataclasses import dataclass

# Bytes of a value that is no larger than need be: a smaller one is soon through the store once
# more, and Dask joins small ones before it cuts them, in the job that has them.
_BLOCK = 2**23
# Bytes of a chunk as Dask makes it where nobody says how large (`array.chunk-size`).
_CHUNK = 2**27
# What a piece costs that is cut, written, found, read and joined, in client and jobs together: from
# 16,384 pieces of a rechunk, which took 200 us each on the machine; planned and fetched, twice it.
_PIECE_SECONDS = 0.0005
# Dask's own numbers, which are never too many: it has them for tasks of a millisecond each.
_DASK_PIECES, _DASK_BRANCH, _DASK_JOINED = 4, 32, 4
# 1,000 chunks that all read 1,000 others would be a million pieces in one pass; so they are two
# passes of some 40,000 pieces each.
_MOST_PIECES = 64
# Wider trees of joins have no fewer levels that matter: 16 jobs of 16 values are one level already.
_MOST_JOINED = 16


@dataclass(frozen=True, slots=True)
class Passes:
    """How finely Dask may cut what moves from all to all, and how much it joins at once.

    Attributes
    ----------
    pieces : int
        For each block that there is before or after a rechunk, so many pieces are made in one pass
        (``array.rechunk.threshold``).
    branch : int
        Partitions that are shuffled in one pass.
    joined : int
        Values that a reduction of an array joins at once (``split_every``).
    """

    pieces: int
    branch: int
    joined: int


def affordable_passes(bandwidth: float, memory: int | None = None) -> Passes:
    """Choose the passes by what values and pieces cost.

    Parameters
    ----------
    bandwidth : float
        Bytes a second that a job reads of the store, or writes to it.
    memory : int, optional
        Bytes that a job has: what it joins at once must fit twice.
    """
    saved = 2 * _BLOCK / bandwidth
    pieces = int(min(max(_DASK_PIECES, saved / (2 * _PIECE_SECONDS)), _MOST_PIECES))
    fitting = _MOST_JOINED if memory is None else memory // (2 * _CHUNK)
    joined = min(max(_DASK_JOINED, fitting), _MOST_JOINED)
    # Each of n partitions has n pieces, and there are n before and n after it.
    return Passes(pieces, max(_DASK_BRANCH, 2 * pieces), joined)
