"""Memory that a virtual machine really has: its host takes back what is free for some seconds.

The first touch of such a page costs many times what it does otherwise (2.0 s a gigabyte, instead of
0.14, on the machine of the tables), so that a case that needs more memory than the one before is
timed by that.
"""

from __future__ import annotations

import numpy as np
import psutil

#: What is free is also for others; more is given back before a case could take it.
PART, MOST = 2, 4 * 10**9


def bring(size: int) -> None:
    """Touch so many bytes of memory, or as many as may be taken, and give them back at once."""
    np.full(min(size, MOST, psutil.virtual_memory().available // PART), 1, np.uint8)
