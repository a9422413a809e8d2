"""Takes functions, classes and modules apart: by version what is installed, by content what is not.

What is the user's own is known by what it does and by all that it names, wherever that stands.
Neither files nor modules nor lines have a name here, so that code may be moved.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from operator import attrgetter
from types import CodeType, FunctionType, ModuleType
from typing import Any

from dask_knot.digests import bytecode, impurity
from dask_knot.digests.bytecode import CAPTURED, Bytecode, Use
from dask_knot.digests.classes import members_of
from dask_knot.digests.data import beside, compiled, content
from dask_knot.digests.environment import Environment, Origin
from dask_knot.digests.patches import names_in, patched
from dask_knot.digests.plain import digest, sized
from dask_knot.digests.refusal import UndigestibleError
from dask_knot.digests.texts import ModuleTexts
from dask_knot.digests.walk import Opened

#: Instead of a variable that isn't there.
_MISSING = ("nothing of that name",)
#: With these, code reaches what it doesn't name.
_REACHING = (globals, eval, exec, __import__, importlib.import_module)
#: Globals that say where code stands.
_PLACES = ("__file__", "__name__")


class CodeReader:
    """Takes apart what can be called.

    Parameters
    ----------
    environment : Environment
        Knows what is installed.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._texts = ModuleTexts(environment)
        # By code: what tasks call is unpickled anew for each graph, and equal then.
        self._codes: dict[CodeType, Bytecode] = {}

    def by_name(self, value: Any) -> Opened | None:
        """Open what an installed distribution has under its name; None if it isn't such."""
        module, name = getattr(value, "__module__", None), _qualified(value)
        if not isinstance(module, str) or not isinstance(name, str):
            return None
        origin = self._environment.origin(module)
        if origin is None or _found(module, name) is not value:
            return None
        return _installed(origin, module, name)

    def named(self, value: Any, name: str) -> Opened:
        """Open what pickle knows by its name: such as the one missing value of pandas."""
        module = type(value).__module__
        origin = self._environment.origin(module)
        if origin is None:
            raise UndigestibleError(f"{name!r} of {module} is known by name only")
        return _installed(origin, module, name)

    def function(self, function: FunctionType) -> Opened:
        """Open a function of Python."""
        known = self.by_name(function)
        if known is not None:
            return known
        dispatched = _dispatched(function)
        if dispatched is not None:
            return dispatched
        module = function.__globals__.get("__name__")
        origin = self._environment.origin(module)
        code = self._read(function.__code__)
        parts = dict(self._held(function, code))
        if origin is None:
            self._texts.check_code(function)
            parts |= self._used(function, code)
            label = sized(b"function", code.label) + function.__name__.encode()
            label += _names(function.__dict__)
        else:  # made by a function of a distribution, which knows what it named
            place = f"{module}.{function.__qualname__}".encode()
            label = sized(b"made", code.label) + place + origin.token
            parts[f"version of {origin.name}"] = origin.token
        return Opened(label, (*parts.values(),), (*parts,))

    def _read(self, code: CodeType) -> Bytecode:
        if code not in self._codes:
            self._codes[code] = bytecode.read(code)
        return self._codes[code]

    def _held(self, function: FunctionType, code: Bytecode) -> Iterator[tuple[str, Any]]:
        yield "constants", [*code.constants]
        yield "defaults", function.__defaults__
        # No dict, in which an address is taken for a text.
        yield "keyword defaults", [*(function.__kwdefaults__ or {}).items()]
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or (), strict=True):
            try:
                yield f"captured {name}", cell.cell_contents
            except ValueError:  # nothing is in it yet
                yield f"captured {name}", _MISSING
        for name, value in sorted(function.__dict__.items()):
            yield f"attribute {name}", value

    def _used(self, function: FunctionType, code: Bytecode) -> Iterator[tuple[str, Any]]:
        """Give what a function names that it doesn't hold."""
        why = impurity.effect(function.__code__)
        if why is not None:
            raise UndigestibleError(why)
        captured = dict(_captured(function))
        uses = [use for use in code.uses if use.level != CAPTURED]
        uses += [Use(name) for name in bytecode.in_texts(function.__code__, function.__globals__)]
        roots = {
            use: self._resolved(function, Use(use.name, (), level=use.level))[1] for use in uses
        }
        roots |= {use: captured.get(use.name) for use in code.uses if use.level == CAPTURED}
        targets = {use: impurity.target(root, use.chain) for use, root in roots.items()}
        seeded = {impurity.seeds(one, use.is_bare_call) for use, one in targets.items()}
        for use, target in targets.items():
            why = _reason(target, use, seeded)
            if why is not None:
                raise UndigestibleError(why)
        for use in uses:
            name, value = self._resolved(function, use)
            yield name, name if impurity.generator_of(value) else value
        yield "files beside its module", beside(function, targets.values())
        yield from patched(names_in(function.__code__), self._environment)

    def _resolved(self, function: FunctionType, use: Use) -> tuple[str, Any]:
        known = function.__globals__
        name = ".".join((use.name, *use.chain))
        if use.level is not None:
            value: Any = _module(use, known)
        elif use.name in _PLACES:
            return name, _place(use.name, known)
        elif use.name in known:
            value = self._texts.variable(known, use.name)
        else:
            return name, getattr(builtins, use.name, _MISSING)
        return name, self._member(value, use.chain, use.level is not None)

    def _member(self, value: Any, chain: tuple[str, ...], is_imported: bool) -> Any:
        """Follow attributes, through modules only: of all else the whole counts."""
        for name in chain:
            if type(value) is not ModuleType:
                return value
            inside = vars(value)
            submodule = sys.modules.get(f"{value.__name__}.{name}")
            if name in inside:
                value = self._texts.variable(inside, name)
            elif submodule is not None:
                value = submodule
            elif self._environment.origin(value.__name__) is not None:
                return _lazy(value, name)
            elif "__getattr__" in inside:
                value = getattr(value, name, _MISSING)
            elif is_imported and "__path__" in inside:
                value = _submodule(f"{value.__name__}.{name}")
            else:
                return _MISSING
        return value

    def compiled(self, value: Any) -> Opened:
        """Open a function that isn't written in Python."""
        module, name = value.__module__ or "builtins", value.__qualname__
        origin = self._environment.origin(module)
        if origin is not None:
            return _installed(origin, module, name)
        if getattr(sys.modules.get(module), "__file__", None) is None:
            raise UndigestibleError(f"{module}.{name} is compiled, so nothing tells what it does")
        return Opened(b"compiled " + name.encode() + content(module))

    def code(self, code: CodeType) -> Opened:
        """Open code in code: a function that another one makes."""
        read = self._read(code)
        return Opened(sized(b"code", read.label) + code.co_name.encode(), (read.constants,))

    def module(self, module: ModuleType) -> Opened:
        """Open a module: the user's own with all that it defines."""
        name = module.__name__
        origin = self._environment.origin(name)
        if origin is not None:
            return _installed(origin, name, "")
        members = {
            name: self._texts.variable(vars(module), name)
            for name in sorted(vars(module))
            if not (name.startswith("__") and name.endswith("__"))
        }
        return Opened(sized(b"module", _names(members)), (*members.values(),), (*members,))

    def kind(self, kind: type) -> Opened:
        """Open a class."""
        known = self.by_name(kind)
        if known is not None:
            return known
        origin = self._environment.origin(kind.__module__)
        self._texts.check(vars(sys.modules.get(kind.__module__, sys)))
        members = dict(members_of(kind))
        label = sized(b"class", kind.__qualname__.encode()) + _names(members)
        label += compiled(kind.__module__) if origin is None else origin.token
        parts = {"bases": kind.__bases__, "metaclass": type(kind), **members}
        return Opened(label, (*parts.values(),), (*parts,))


def _names(members: Mapping[str, Any]) -> bytes:
    """Write what members are called: of the parts of what is opened, the values count only."""
    return repr([*members]).encode(errors="surrogatepass")


def _place(name: str, known: Mapping[str, Any]) -> int:
    """Give the file of a module by its name alone, whatever stands in it; of its name, nothing."""
    text = known.get(name) if name == "__file__" else ""
    return int.from_bytes(digest(str(text).encode(errors="surrogatepass")), "big")


def _qualified(value: Any) -> Any:
    return getattr(value, "__qualname__", None) or getattr(value, "__name__", None)


def _installed(origin: Origin, module: str, name: str) -> Opened:
    label = f"installed {module}:{name}".encode()
    return Opened(label, (origin.token,), (f"version of {origin.name}",))


def _found(module: str, name: str) -> Any:
    try:
        return attrgetter(name)(sys.modules.get(module))
    except AttributeError:
        return None


def _lazy(module: ModuleType, name: str) -> Any:
    """Name what a module of a distribution makes when it is asked for."""
    return ("of", module, name)


def _module(use: Use, known: Mapping[str, Any]) -> Any:
    """Give the module that a function imports when it runs."""
    name = use.name
    try:
        if use.level:
            package = str(known.get("__package__") or "")
            name = importlib.util.resolve_name("." * use.level + name, package)
        found = sys.modules.get(name)
        return importlib.import_module(name) if found is None else found
    except Exception as error:  # importing runs whatever stands there
        raise UndigestibleError(f"it imports {name!r}, which fails here: {error}") from error


def _submodule(name: str) -> Any:
    """Give a part of a package that a function imports when it runs."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise UndigestibleError(f"it imports {name!r}: {error}") from error
        return _MISSING
    except Exception as error:  # importing runs whatever stands there
        raise UndigestibleError(f"it imports {name!r}, which fails here: {error}") from error


def _captured(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Give the variables that a function has from the one around it, those that are set."""
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # nothing is in it yet
            yield name, cell.cell_contents


def _reason(value: Any, use: Use, seeded: Set[str]) -> str | None:
    name = ".".join((use.name, *use.chain))
    for reaching in _REACHING:
        if value is reaching:
            return f"{use.name}() can reach what its code doesn't name"
    why = impurity.reason(value, use.is_bare_call, seeded)
    return f"{why} ({name})" if why is not None else None


def _dispatched(function: FunctionType) -> Opened | None:
    """Open what `functools.singledispatch` made: its own memory of types isn't part of it."""
    registry = function.__dict__.get("registry")
    if registry is None or "dispatch" not in function.__dict__:
        return None
    pairs = list(dict(registry).items())
    return Opened(b"singledispatch", [*pairs], ["registered " + kind.__name__ for kind, _ in pairs])
