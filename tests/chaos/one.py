"""A process that computes graphs under faults, one after another, for `tests.chaos.crew`."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from dataclasses import asdict

from tests.chaos.run import run


def main() -> None:
    """Answer each line, a seed and a fault, with a line that is the outcome."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    # What anything here prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        seed, name = json.loads(line)
        answers.write(json.dumps(asdict(run(seed, name))) + "\n")


if __name__ == "__main__":
    main()
