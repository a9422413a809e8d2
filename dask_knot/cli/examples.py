"""The examples at the end of each command's help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: What is typed after ``dask knot``, by command.
EXAMPLES: Mapping[str, Sequence[str]] = {
    "": ("up", "image script.py", "doctor", "runs"),
    "up": ("up", "up --platform spot --max-vcpus 1000", "up --region eu-west-1 --expiry-days 365"),
    "down": ("down", "down --keep-data", "down --name second --yes"),
    "status": ("status", "status --name second --region eu-west-1"),
    "doctor": ("doctor", "doctor --profile lab"),
    "policy": ("policy --user", "policy --user --no-push", "policy --operator --platform fargate"),
    "image": (
        "image script.py",
        "image --package numpy --debian ffmpeg",
        "image script.py --remote",
        "image script.py --show",
    ),
    "estimate": ("estimate script.py", "estimate --sample 5 script.py 2026 --fast"),
    "prices": ("prices", "prices c6i.xlarge m6i.large --region eu-west-1", "prices --refresh"),
    "regions": (
        "regions --for script.py",
        "regions --vcpus 4 --memory '16 GiB' --hours 200",
        "regions --no-ask --regions us-east-1,eu-west-1",
    ),
    "list": ("list", "list --store /shared/knot"),
    "runs": ("runs", "runs --cost", "runs --store /shared/knot"),
    "show": ("show climate", "show climate 1.2", "show climate --cost"),
    "logs": ("logs climate", "logs climate 1.2", "logs climate mean-4890d4 --lines 100"),
    "cancel": ("cancel climate", "cancel climate --yes"),
    "rm": ("rm climate", "rm climate --force --yes"),
    "why": ("why climate mean", "why climate 1.2"),
    "top": ("top", "top --run climate --once"),
    "stacks": ("stacks load-3", "stacks 1.2:7 --run climate"),
    "shell": ("shell load-3", "shell 1.2:7 --run climate -- df -h"),
}


def epilog(name: str) -> str:
    """Write the examples of a command, a line each, as the end of its help."""
    lines = "".join(f"\n  dask knot {one}" for one in EXAMPLES.get(name, ()))
    return f"\b\nExamples:{lines}" if lines else ""  # \b: click leaves the lines as they are
