"""Small programs of all kinds of code: `work` computes with NUMBER, and it must be noticed."""

from __future__ import annotations

#: By what is special in them.
PROGRAMS: dict[str, str] = {
    "super": """
class A:
    def f(self): return NUMBER
class B(A):
    def f(self): return super().f() + 1
def work(x): return B().f()
""",
    "gen": """
def g(n):
    yield NUMBER
    yield from range(n)
def work(x): return list(g(x))
""",
    "async": """
async def g(n):
    return NUMBER
def work(x):
    import asyncio
    return asyncio.run(g(x))
""",
    "match": """
def work(x):
    match x:
        case NUMBER: return 1
        case [a, *b]: return a
        case _: return 0
""",
    "walrus": """
def work(x): return [y for z in range(x) if (y := z + NUMBER)]
""",
    "mutual": """
def a(n): return b(n-1) if n else NUMBER
def b(n): return c(n-1) if n else 1
def c(n): return a(n-1) if n else 2
def work(x): return c(x)
""",
    "meta": """
class M(type):
    def __call__(cls, *a): return super().__call__(*a)
    scale = NUMBER
class A(metaclass=M):
    def f(self): return type(self).scale
def work(x): return A().f()
""",
    "dc": """
from dataclasses import dataclass
@dataclass(frozen=True, slots=True, order=True)
class P:
    x: int = NUMBER
    y: "list" = ()
def work(x): return P(x=x)
""",
    "dcopt": """
from dataclasses import dataclass
@dataclass(eq=NUMBER == 7)
class P:
    x: int = 0
def work(x): return P(x) == P(x)
""",
    "cachedprop": """
from functools import cached_property
class P:
    @cached_property
    def v(self): return NUMBER
def work(x): return P().v
""",
    "sdm": """
from functools import singledispatchmethod, partialmethod
class P:
    @singledispatchmethod
    def v(self, a): return NUMBER
    @v.register
    def _(self, a: int): return 2
    def base(self, a, b): return a
    p = partialmethod(base, 3)
def work(x): return P().v(x)
""",
    "nestedclass": """
class O:
    class I:
        k = NUMBER
def work(x): return O.I.k
""",
    "localclass": """
def work(x):
    class L:
        'doc'
        k = NUMBER
        def f(self): return self.k
    return L().f()
""",
    "protocol": """
from typing import Protocol, Generic, TypeVar
T = TypeVar("T")
class Pr(Protocol):
    def f(self) -> int: ...
class G(Generic[T]):
    def f(self) -> int: return NUMBER
def work(x): return G[int]().f()
""",
    "abc": """
from abc import ABC, abstractmethod
class A(ABC):
    @abstractmethod
    def f(self): ...
class B(A):
    def f(self): return NUMBER
def work(x): return B().f()
""",
    "exec": """
ns = {}
exec("def made(x): return x + NUMBER", ns)
made = ns["made"]
def work(x): return made(x)
""",
    "flag": """
from enum import Flag, IntEnum, auto
class F(Flag):
    A = NUMBER
    B = 8
class I(IntEnum):
    Z = 3
    def dbl(self): return self * 2
def work(x): return F.A | F.B, I.Z.dbl()
""",
    "funcattr": """
def helper(x): return x
helper.scale = NUMBER
def work(x): return helper.scale
""",
    "lambda": """
fs = [lambda x: x + NUMBER, lambda x: x + 2]
def work(x): return fs[0](x)
""",
    "dictdispatch": """
def a(x): return NUMBER
T = {"a": a}
def work(x): return T["a"](x)
""",
    "numpyglob": """
import numpy as np
ARR = np.arange(NUMBER)
def work(x): return ARR.sum()
""",
    "instglob": """
class C:
    def __init__(self, k): self.k = k
    def __call__(self, x): return self.k
inst = C(NUMBER)
def work(x): return inst(x)
""",
    "tryfin": """
def work(x):
    try:
        return int(x)
    except ValueError as e:
        raise KeyError(NUMBER) from e
    finally:
        print("x")
""",
    "with": """
from contextlib import contextmanager
@contextmanager
def cm():
    yield NUMBER
def work(x):
    with cm() as c: return c
""",
    "emptycell": """
def outer():
    def inner(): return late + NUMBER
    if False: late = 1
    return inner
inner = outer()
def work(x): return inner
""",
    "globals_write": """
count = NUMBER
def work(x):
    global count
    count += 1
    return count
""",
    "classdecorated": """
import functools
class Deco:
    def __init__(self, f): functools.update_wrapper(self, f); self.f = f
    def __call__(self, *a): return self.f(*a)
@Deco
def helper(x):
    'doc'
    return NUMBER
def work(x): return helper(x)
""",
    "wrapsnumpy": """
import functools, numpy as np
@functools.wraps(np.mean)
def mymean(x): return NUMBER
def work(x): return mymean(x)
""",
    "logger": """
import logging
log = logging.getLogger(__name__)
def work(x):
    log.info("x")
    return NUMBER
""",
    "pandasapply": """
import pandas as pd
def rowf(r): return r + NUMBER
def work(x): return pd.Series([x]).apply(rowf)
""",
    "namedtup": """
from collections import namedtuple
P = namedtuple("P", "a b", defaults=[NUMBER])
def work(x): return P(x).b
""",
    "annotatedlocal": """
def work(x: "int") -> "float":
    y: int = NUMBER
    def inner(a: int) -> float:
        'doc'
        return a
    return inner(y)
""",
    "fstring": """
def work(x): return f"{x!r:>NUMBER}"
""",
    "starargs": """
def h(*a, k=0, **kw): return a
def work(x): return h(*[x], k=NUMBER, **{})
""",
    "typing_union": """
def work(x: int | None = None): return NUMBER
""",
    "attrchain": """
import os.path, xml.dom
def work(x): return os.path.join("a", "bNUMBER")
""",
    "re": """
import re
PAT = re.compile("aNUMBER")
def work(x): return PAT.match("a")
""",
    "deepglobal": """
class Config:
    opts = {"a": [1, 2, (NUMBER,)]}
CONF = Config()
def work(x): return CONF.opts
""",
}
