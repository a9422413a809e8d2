"""Rules for lost children: whom to blame, and how finely to plan again."""

from __future__ import annotations

from enum import Enum, auto

from dask_knot.tracking.events import Ending

#: Endings that a task of the shard may have caused.
SUSPICIOUS = frozenset({Ending.KILLED, Ending.MEMORY, Ending.TIMEOUT, Ending.NOT_LOADED})
#: Endings after which a shard is cut finer: a job that ends without a manifest may have been ended
#: by one of its tasks (`os._exit(0)`).
NARROWING = SUSPICIOUS | {Ending.UNREADABLE}
#: Endings that planning again can't mend.
HOPELESS = frozenset(
    {
        Ending.NOT_STARTED,
        Ending.OTHER_VERSIONS,
        Ending.NOT_SET_UP,
        Ending.TERMINATED,
    }
)
#: Into how many shards a suspicious one is cut: two rounds find one task among 256.
PIECES = 16
#: How often a key is planned again; Dask's own `allowed-failures` is 3, and the search for a task
#: among thousands needs as many rounds again.
ATTEMPTS = 8
#: How often a task that was alone may end with its process before it is blamed: whoever looks after
#: a machine may have killed it, as the kernel does when others fill the memory.
KILLED_ALONE = 2
#: How often a key may lose its machine, or its manifest; beyond that it isn't bad luck.
HOSTS_LOST = 3


class Consequence(Enum):
    """The lot of the keys that a lost child should have made."""

    PLAN_AGAIN = auto()
    FAIL = auto()


def judge(ending: Ending, size: int, attempts: int) -> Consequence:
    """Decide about the keys of a lost child.

    Parameters
    ----------
    ending : Ending
        How it ended.
    size : int
        How many tasks its shard had: a task that was alone is to blame, unless it may have been
        killed by somebody else.
    attempts : int
        How often the keys were planned again already.
    """
    if not is_own_fault(ending):
        return Consequence.PLAN_AGAIN
    if ending in HOPELESS or attempts >= ATTEMPTS:
        return Consequence.FAIL
    if ending in SUSPICIOUS and size <= 1:
        is_excused = ending is Ending.KILLED and attempts < KILLED_ALONE
        return Consequence.PLAN_AGAIN if is_excused else Consequence.FAIL
    if ending is Ending.HOST_LOST and attempts >= HOSTS_LOST:
        return Consequence.FAIL
    if ending is Ending.UNREADABLE and attempts >= HOSTS_LOST and size <= 1:
        return Consequence.FAIL
    return Consequence.PLAN_AGAIN


def is_own_fault(ending: Ending) -> bool:
    """Tell whether an ending counts against the keys of the shard.

    What left with its client, or never came, says nothing of the tasks. A shard that others have
    failed has done nothing yet, and they are planned or err themselves: so
    it comes to an end, however many stages before it fail one after another.
    """
    return ending not in (Ending.DEPENDENCY_FAILED, Ending.LEFT)


def narrowed(size: int) -> int:
    """Give the number of tasks per shard with which a suspicious shard is planned again."""
    return max(1, -(-size // PIECES))
