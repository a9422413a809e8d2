"""The one way from keywords, configuration and defaults to values that are checked.

A table says for each name what its value may be. The sources are asked in turn; the first that says
something about a name decides, and errors call the value as that source writes it: ``max_vcpus``
for a keyword, ``knot.aws.up.max-vcpus`` for the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import dask

from dask_knot.settings.checks import check_names, wrong

#: Takes what errors call a value, and the value; gives what is meant, or refuses.
Check = Callable[[str, Any], Any]


def is_none(name: str, value: object) -> bool:
    """Tell that a value says nothing, as None does."""
    return value is None


def is_empty(name: str, value: object) -> bool:
    """Tell that a value says nothing: None, or a list or mapping without entries."""
    return value is None or (isinstance(value, Collection) and not len(value) and value != "")


def is_never(name: str, value: object) -> bool:
    """Tell that even None says something, as it does in a file of configuration."""
    return False


@dataclass(frozen=True, slots=True)
class SettingSource:
    """One place that values come from.

    Attributes
    ----------
    values : mapping of str to Any
        By names with ``_``, as keywords have them.
    complaint : str
        Begins the error about a name that isn't known.
    is_silent : callable
        Takes a name and its value; whether they say nothing, so that the next source decides.
    path : str
        The section of the configuration; empty for keywords.
    """

    values: Mapping[str, Any]
    complaint: str = ""
    is_silent: Callable[[str, Any], bool] = is_none
    path: str = ""

    def label(self, name: str) -> str:
        """Give what errors call a value, so that one sees where it came from."""
        return f"{self.path}.{self._written(name)}" if self.path else name

    def check_names(self, known: Collection[str]) -> None:
        """Refuse the first name that isn't known, with the one that may have been meant.

        Raises
        ------
        ConfigurationError
            With the names as this source writes them.
        """
        if unknown := self.values.keys() - set(known):
            written = [self._written(name) for name in self.values if name in unknown]
            check_names(written, [self._written(name) for name in known], self.complaint)

    def _written(self, name: str) -> str:
        return name.replace("_", "-") if self.path else name


def keywords(
    given: Mapping[str, Any], complaint: str, is_silent: Callable[[str, Any], bool] = is_none
) -> SettingSource:
    """Make a source of the keywords that somebody gave."""
    return SettingSource(given, complaint, is_silent)


def section(path: str, is_silent: Callable[[str, Any], bool] = is_never) -> SettingSource:
    """Make a source of a section of Dask's configuration, such as ``knot.aws.up``.

    Raises
    ------
    ConfigurationError
        If something else than a section stands there.
    """
    found = dask.config.get(path, None)
    if found is None:
        found = {}
    if not isinstance(found, Mapping):
        raise wrong(path, found, "a mapping of settings, as in knot.yaml")
    complaint = f"in the configuration, {path} has no setting"
    return SettingSource(underscored(found), complaint, is_silent, path)


def underscored(configured: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings the names of keywords; a name that has them already came from later on."""
    found = {name.replace("-", "_"): value for name, value in configured.items()}
    return found | {name: value for name, value in configured.items() if "-" not in name}


def resolved(table: Mapping[str, Check], *sources: SettingSource) -> dict[str, Any]:
    """Look up each name of a table in the sources, and check what the first of them says.

    Parameters
    ----------
    table : mapping of str to callable
        What the value of each name may be.
    *sources : SettingSource
        The one that wins stands first.

    Returns
    -------
    dict
        Values by name; those that no source says anything about are left out.

    Raises
    ------
    ConfigurationError
        If a value is wrong; the message says where it came from, and what is right.
    """
    found = {}
    for name, check in table.items():
        for source in sources:
            if name in source.values and not source.is_silent(name, source.values[name]):
                found[name] = check(source.label(name), source.values[name])
                break
    return found
