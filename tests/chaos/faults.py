"""Every fault by its name.

Those that ``heals`` says so of can be healed by computing again, or by waiting: values must be
right. After the others an error of ours may come, but never a wrong value.
"""

from __future__ import annotations

import errno
import signal

from tests.chaos.fault import Fault
from tests.chaos.processes import (
    ClientStops,
    ClosedEarly,
    DieAtRequest,
    LoopBlocked,
    Server,
    Signals,
)
from tests.chaos.storing import Disk, Harm, HarmHeld, SlowStore, StoreTrouble

HOW = ("flip", "cut", "delete")
WRITES, ALL = ("put", "delete"), ("put", "get", "list", "delete")
WRITTEN = ("packs", "manifests", "parts", "data", "constants", "scattered", "plugins")
HELD = ("manifests", "data", "constants", "scattered")

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in [
        Fault("none"),
        *(Harm(how, objects) for objects in WRITTEN for how in HOW),
        *(HarmHeld(how, objects) for objects in HELD for how in HOW),
        *(StoreTrouble("full", errno.ENOSPC, ("put",), is_long) for is_long in (False, True)),
        *(StoreTrouble("read-only", errno.EROFS, WRITES, is_long) for is_long in (False, True)),
        *(StoreTrouble("away", errno.EIO, ALL, is_long) for is_long in (False, True)),
        SlowStore("slow"),
        Disk("disk full", is_filled=True),
        Disk("disk read-only", is_filled=False),
        Signals("kill", signal.SIGKILL),
        Signals("stop", signal.SIGSTOP, signal.SIGCONT),
        Signals("stop, then kill", signal.SIGSTOP, signal.SIGKILL),
        DieAtRequest("kill at a request", "job"),
        Server("server killed", signal.SIGKILL),
        Server("server stops", signal.SIGSTOP, signal.SIGCONT),
        DieAtRequest("server killed at a request", "server"),
        ClientStops("client stops"),
        LoopBlocked("loop blocked"),
        ClosedEarly("closed early"),
    ]
}
