"""The remainder of a shard: what of it isn't known to be done, and what was said to its child."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from dask_knot.run.manifest import Manifest
from dask_knot.tracking.durations import Durations, Said


@dataclass(slots=True, eq=False)
class Remainder:
    """The tasks of a shard that aren't known to have run.

    Attributes
    ----------
    left : dict of str to int
        How many they are, by prefix; of a shard that another session planned it isn't known.
    mix : mapping of str to int
        Instead of that, the tasks of its whole stage.
    size : int
        How many tasks it has in all.
    ran : int
        How many have run, as manifests say.
    said : mapping of str to Said
        What the user said of its tasks, by prefix.
    planned, unknown : float, int
        What it was planned for: seconds of the tasks of which that was known, number of the others.
    news : float, optional
        When its last manifest was found.
    asked : float, optional
        When its child was asked to hand over.
    has_handed, has_twin : bool
        Its child has done so; and is not alone.
    """

    left: dict[str, int] = field(default_factory=dict)
    mix: Mapping[str, int] = field(default_factory=dict)
    size: int = 0
    ran: int = 0
    said: Mapping[str, Said] = field(default_factory=dict)
    planned: float = 0.0
    unknown: int = 0
    news: float | None = None
    asked: float | None = None
    has_handed: bool = False
    has_twin: bool = False

    @property
    def tasks(self) -> int:
        """How many tasks are left."""
        return sum(self.left.values()) if self.left else max(0, self.size - self.ran)

    def estimate(self, known: Durations) -> float | None:
        """Tell how many seconds are left, by what tasks take now; None if nobody knows.

        Parameters
        ----------
        known : Durations
            What tasks take.
        """
        if not self.left:
            count = sum(self.mix.values())
            whole = self._seconds(self.mix, known) if count else None
            return None if whole is None else whole * self.tasks / count
        return self._seconds(self.left, known)

    def take(self, manifest: Manifest, now: float) -> None:
        """Have news: a manifest."""
        self.news = now
        self.ran += sum(work.tasks for work in manifest.work.values())

    def have_left(self, tasks: dict[str, int]) -> None:
        """Have no other tasks that aren't known to have run."""
        self.left = tasks

    @property
    def is_asked(self) -> bool:
        """Its child was asked to hand over."""
        return self.asked is not None

    def ask(self, now: float) -> None:
        """Have a child that is asked to hand over."""
        self.asked = now

    def is_unanswered(self, since: float) -> bool:
        """Tell whether its child was asked since then, and hasn't handed over."""
        return self.asked is not None and self.asked > since and not self.has_handed

    def hand_over(self, tasks: Mapping[str, int]) -> dict[str, int]:
        """Have fewer tasks; give how many fewer, of those that are known, by prefix."""
        self.has_handed = True
        self.ran += sum(tasks.values())
        given = {prefix: min(count, self.left.get(prefix, 0)) for prefix, count in tasks.items()}
        self.left = dict(Counter(self.left) - Counter(given))
        return given

    def start_twin(self) -> None:
        """Have a second child."""
        self.has_twin = True

    def _seconds(self, tasks: Mapping[str, int], known: Durations) -> float | None:
        # What was known when it was planned, and no longer is, is known for the shard as a whole.
        usual = self.planned / self.size if self.size and not self.unknown else None
        total = 0.0
        for prefix, count in tasks.items():
            seconds = known.means.get(prefix, usual)
            if prefix in self.said:
                seconds = self.said[prefix].mean(seconds, known.corrections.get(prefix))
            if count and seconds is None:
                return None
            total += count * (seconds or 0.0)
        return total
