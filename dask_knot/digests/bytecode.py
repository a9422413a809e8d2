"""What a code object does, without where it stands: no file, no line, no docstring, no offsets.

Bytecode refers to constants by their number, and jumps by distances. Both change when a docstring
comes or goes. So instructions are written anew: constants numbered by their first use, jumps by the
number of the instruction that they lead to.
"""

from __future__ import annotations

import dis
import inspect
import re
import struct
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

_FLAGS = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)
_CONSTANTS = frozenset(dis.hasconst)
_NAMES = frozenset(dis.hasname)
#: The last bit of their argument says something, the others are the number of a name.
_FLAGGED = frozenset(
    {"LOAD_GLOBAL", "LOAD_ATTR"}
    if sys.version_info >= (3, 12)
    else {"LOAD_GLOBAL"}
    if sys.version_info >= (3, 11)
    else ()
)
_JUMPS = frozenset((*dis.hasjrel, *dis.hasjabs))
_NUMBERS = struct.Struct("<HI")
#: These load a variable that the code doesn't hold itself.
_GLOBAL_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTE_LOADS = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_STORES = frozenset({"STORE_FAST", "STORE_DEREF", "STORE_NAME", "STORE_GLOBAL"})
_LOADS = _GLOBAL_LOADS | frozenset(
    {"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_DEREF", "LOAD_CLASSDEREF"}
)
_CELL_LOADS = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF"})
#: The level of a variable that a function has from the one around it.
CAPTURED = -1
#: Instructions between a callable and its call that do nothing of interest.
_BEFORE_CALLS = frozenset({"PRECALL", "PUSH_NULL", "NOP", "CACHE"})
_CALLS = frozenset({"CALL", "CALL_FUNCTION", "CALL_METHOD"})
#: Methods and functions of pandas and numexpr that compute what a text says.
_EVALUATING = frozenset({"query", "eval", "evaluate"})
_WORD = re.compile(r"[^\W\d]\w*")
#: Two instructions in one, of Python 3.13 and later.
_PAIRS = {
    "LOAD_FAST_LOAD_FAST": ("LOAD_FAST", "LOAD_FAST"),
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW": ("LOAD_FAST", "LOAD_FAST"),
    "STORE_FAST_LOAD_FAST": ("STORE_FAST", "LOAD_FAST"),
    "STORE_FAST_STORE_FAST": ("STORE_FAST", "STORE_FAST"),
}


@dataclass(frozen=True, slots=True)
class Use:
    """A variable that code takes from outside, with the attributes that it takes of it.

    Attributes
    ----------
    name : str
        The global; of something imported inside of the function, the module.
    chain : tuple of str
        Attributes, one after another.
    is_bare_call : bool
        What the chain ends with is called without arguments.
    level : int
        None for a global, else that of an import: 0 for an absolute one; `CAPTURED` for a variable
        of the function around it.
    """

    name: str
    chain: tuple[str, ...] = ()
    is_bare_call: bool = False
    level: int | None = None


@dataclass(frozen=True, slots=True)
class Bytecode:
    """A code object without its place.

    Attributes
    ----------
    label : bytes
        All of it but for its constants.
    constants : sequence of Any
        In the order in which they are used; nested code objects among them.
    uses : sequence of Use
        What it takes from outside; of nested code objects, too.
    """

    label: bytes
    constants: Sequence[Any]
    uses: Sequence[Use] = field(default=())


@dataclass(frozen=True, slots=True)
class _Instruction:
    """An instruction, of which no other is part."""

    opname: str
    argval: Any
    arg: int | None


#: By variable: what is imported into it, at one place or another.
Imported = Mapping[str, Sequence[Use]]


def read(code: CodeType, outer: Imported | None = None) -> Bytecode:
    """Take a code object apart.

    Parameters
    ----------
    code : CodeType
        Of a function.
    outer : mapping of str to sequence of Use
        Variables of the code around it that are imports.
    """
    instructions = [one for one in dis.get_instructions(code) if one.opname != "CACHE"]
    kept, places = _placed(instructions)
    constants: list[Any] = []
    numbers: dict[int, int] = {}
    parts = []
    names: list[str] = []
    for one in kept:
        argument = one.arg or 0
        if one.opcode in _CONSTANTS:
            if argument not in numbers:
                numbers[argument] = len(constants)
                constants.append(code.co_consts[argument])
            argument = numbers[argument]
        elif one.opcode in _JUMPS:
            argument = places[one.argval]
        elif one.opcode in _NAMES:
            names.append(str(one.argval))
            argument = argument & 1 if one.opname in _FLAGGED else 0
        parts.append(_NUMBERS.pack(one.opcode, argument))
    texts = (names, code.co_varnames, code.co_cellvars, code.co_freevars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    head = repr((texts, counts, code.co_flags & _FLAGS, _exceptions(code, places)))
    uses, imported = _uses([*_steps(kept)], outer or {})
    for one in constants:
        if type(one) is CodeType:
            uses += read(one, imported).uses
    label = head.encode(errors="surrogatepass") + b"".join(parts)
    return Bytecode(label, constants, (*dict.fromkeys(uses),))


def in_texts(code: CodeType, known: Collection[str]) -> list[str]:
    """Give the variables that expressions in texts name, as in ``table.query("x > @LIMIT")``."""
    found: set[str] = set()
    for one in code.co_consts:
        if isinstance(one, CodeType):
            found.update(in_texts(one, known))
        elif isinstance(one, str) and not _EVALUATING.isdisjoint(code.co_names):
            found.update(word for word in _WORD.findall(one) if word in known)
    return sorted(found)


def _placed(
    instructions: Sequence[dis.Instruction],
) -> tuple[list[dis.Instruction], dict[int, int]]:
    """Leave out what is no instruction of its own; give the numbers of the others by offset."""
    kept: list[dis.Instruction] = []
    places: dict[int, int] = {}
    is_class = any(one.opname == "STORE_NAME" for one in instructions)
    for one, after in zip(instructions, [*instructions[1:], None], strict=True):
        places[one.offset] = len(kept)  # a jump may lead to the prefix of an instruction
        is_docstring = is_class and _is_docstring(one, after)
        if one.opname != "EXTENDED_ARG" and not is_docstring:
            kept.append(one)
    return kept, places


def _is_docstring(one: dis.Instruction, after: dis.Instruction | None) -> bool:
    if one.opname == "STORE_NAME":
        return one.argval in ("__doc__", "__module__", "__qualname__", "__firstlineno__")
    is_stored = after is not None and after.opname == "STORE_NAME"
    return is_stored and after is not None and _is_docstring(after, None)


def _exceptions(code: CodeType, places: dict[int, int]) -> list[tuple[Any, ...]]:
    entries = getattr(dis.Bytecode(code), "exception_entries", ())
    return [
        (places.get(one.start), places.get(one.end), places.get(one.target), one.depth, one.lasti)
        for one in entries
    ]


def _steps(instructions: Iterable[dis.Instruction]) -> Iterator[_Instruction]:
    for one in instructions:
        pair = _PAIRS.get(one.opname)
        if pair is None:
            yield _Instruction(one.opname, one.argval, one.arg)
        else:
            yield from (_Instruction(name, part, None) for name, part in zip(pair, one.argval))  # noqa: B905


def _uses(
    steps: Sequence[_Instruction], outer: Imported
) -> tuple[list[Use], dict[str, Sequence[Use]]]:
    """Find the globals and imports that code itself uses, and what its variables import."""
    found: list[Use] = []
    imported: dict[str, Sequence[Use]] = dict(outer)
    for place, one in enumerate(steps):
        if one.opname == "IMPORT_NAME":
            variables = [*_imports(steps, place)]
            for name, use in variables:
                known = imported.get(name, ()) if name not in outer else ()
                imported[name] = [*known, use]
            # A module must have it. Of what is meant for others, or for its effects, all counts.
            found += [use for _, use in variables if use.chain]
            found += [use for name, use in variables if _is_for_others(name, steps)]
    for place, one in enumerate(steps):
        name = str(one.argval)
        used = imported.get(name, ()) if one.opname in _LOADS else ()
        chain, is_bare_call = _chain(steps, place + 1)
        for use in used:
            found.append(Use(use.name, use.chain + chain, is_bare_call, use.level))
        if not used and one.opname in _GLOBAL_LOADS:
            found.append(Use(name, chain, is_bare_call))
        elif not used and one.opname in _CELL_LOADS:
            found.append(Use(name, chain, is_bare_call, CAPTURED))
    return found, imported


def _is_for_others(variable: str, steps: Sequence[_Instruction]) -> bool:
    """Tell whether code imports something that it doesn't use itself."""
    own = [one.opname for one in steps if one.argval == variable]
    return "STORE_GLOBAL" in own or _LOADS.isdisjoint(own)


def _imports(instructions: Sequence[_Instruction], place: int) -> Iterator[tuple[str, Use]]:
    """Find the variables that an import inside of a function is put into."""
    module = str(instructions[place].argval)
    names = instructions[place - 1].argval
    level = int(instructions[place - 2].argval or 0)
    is_renamed = instructions[place + 1].opname == "IMPORT_FROM"  # import a.b as c
    if not names:
        module = module if is_renamed else module.partition(".")[0]
    name: str | None = None
    for one in instructions[place + 1 :]:
        if one.opname == "IMPORT_FROM":
            name = str(one.argval)
        elif one.opname in _STORES:
            yield str(one.argval), Use(module, (name,) if names and name else (), level=level)
            if not names:
                return
        elif one.opname not in ("SWAP", "POP_TOP", "ROT_TWO") or (
            one.opname == "POP_TOP" and names
        ):
            return


def _chain(instructions: Sequence[_Instruction], place: int) -> tuple[tuple[str, ...], bool]:
    """Give the attributes that are taken from there on, and whether the last is called bare."""
    chain = []
    while place < len(instructions) and instructions[place].opname in _ATTRIBUTE_LOADS:
        chain.append(str(instructions[place].argval))
        place += 1
    while place < len(instructions) and instructions[place].opname in _BEFORE_CALLS:
        place += 1
    count = 0
    if place < len(instructions) and _is_none(instructions[place]):  # no more than nothing is said
        count, place = 1, place + 1
    while place < len(instructions) and instructions[place].opname in _BEFORE_CALLS:
        place += 1
    is_called = place < len(instructions) and instructions[place].opname in _CALLS
    return tuple(chain), is_called and instructions[place].arg == count


def _is_none(one: _Instruction) -> bool:
    return one.opname == "LOAD_CONST" and one.argval is None
