"""What an expression of a package's source amounts to, without running it: paths, mostly.

An expression has possible values: one where it is certain, several after an undecided `if`, none where it is unknown.
What is unknown makes everything computed from it unknown, except that a list only loses the item.
"""

from __future__ import annotations

import ast
import fnmatch
import ntpath
import operator
import os
import posixpath
import re
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Callable

from depwalk import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

Values = tuple[object, ...]
UNKNOWN: Values = ()
Call = Callable[[ast.Call, object, list[Values], dict[str, Values], "Scope"], "Values | None"]

# Source is foreign: whatever it says, no value grows beyond these.
_MOST_VALUES = 16
_LONGEST_TEXT = 4096
_LONGEST_LIST = 1024
_MOST_STEPS = 2_000_000


class Spent(Exception):  # noqa: N818  (it says what became of the budget)
    """The source asks for more than is given to one package."""


@dataclass(frozen=True)
class Outside:
    """Something of the standard library, by its dotted name: os.path.join."""

    name: str


@dataclass(frozen=True, eq=False)
class Module:
    """A module in the making: `directories` are those of a package, `path` is "" where it has no file.

    `stars` are the other top-level packages whose names it takes over with a star.
    """

    name: str
    path: str
    directories: tuple[str, ...] = ()
    names: dict[str, Values] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Scope:
    """Where names are looked up: those of a function, a class or a module, then those around it."""

    names: dict[str, Values]
    module: Module
    outer: Scope | None = None

    def find(self, name: str) -> Values | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None


@dataclass(frozen=True, eq=False)
class Function:
    """A function of a package, by where it stands, with the names around it: its syntax takes much room."""

    name: str
    line: int
    scope: Scope


@dataclass(frozen=True)
class Method:
    """A method of a text, a list or a path."""

    owner: Any
    name: str


def absolute(path: str) -> str:
    """A path with no "..", as its system writes it. ValueError where it depends on the working directory."""
    flavour, path = _flavour(path)
    if not flavour.isabs(path):
        raise ValueError(path)
    return str(flavour.normpath(path))


def _flavour(path: str) -> tuple[ModuleType, str]:
    """The rules of a path. Elsewhere than on Windows, a backslash in a package's source still parts directories."""
    if os.name == "nt" or re.match(r"[A-Za-z]:|\\\\", path):
        return ntpath, path
    return posixpath, path.replace("\\", "/")


def text(value: object) -> str:
    if isinstance(value, (str, PurePath)):
        return str(value)
    raise TypeError


def _joined(*parts: object) -> str:
    paths = [text(part) for part in parts]
    drives = [index for index, path in enumerate(paths) if _flavour(path)[0] is ntpath]
    if drives:
        return ntpath.join(*paths[drives[-1] :] if os.name != "nt" else paths)
    return posixpath.join(*(path.replace("\\", "/") for path in paths))


def _dirname(path: object) -> str:
    flavour, name = _flavour(text(path))
    return str(flavour.dirname(name))


def _basename(path: object) -> str:
    flavour, name = _flavour(text(path))
    return str(flavour.basename(name))


def _path(*parts: object) -> PurePath:
    name = _joined(*parts)
    return PureWindowsPath(name) if _flavour(name)[0] is ntpath else PurePosixPath(name)


# What the standard library makes of known values. What looks at files is in Evaluator.
_FUNCTIONS: dict[str, Callable[..., object]] = {
    "os.path.join": _joined,
    "os.path.dirname": _dirname,
    "os.path.basename": _basename,
    "os.fspath": text,
    "builtins.str": str,
    "os.path.normpath": lambda path: absolute(text(path)),
    "os.path.abspath": lambda path: absolute(text(path)),
    "os.path.realpath": lambda path: absolute(text(path)),
    "builtins.list": list,
    "builtins.tuple": tuple,
    "builtins.sorted": sorted,
    "builtins.reversed": lambda items: list(reversed(items)),
    "builtins.set": list,
    "ctypes.c_wchar_p": text,
    "ctypes.c_char_p": lambda name: name.decode(),
}
for _name in ("Path", "PurePath", "WindowsPath", "PureWindowsPath"):
    _FUNCTIONS["pathlib." + _name] = _path

_PATH_ATTRIBUTES = ("parent", "name", "stem", "suffix", "parents", "parts", "drive", "anchor")
_PATH_METHODS: dict[str, Callable[..., object]] = {
    "resolve": lambda path, *_: _path(absolute(str(path))),
    "absolute": lambda path: _path(absolute(str(path))),
    "joinpath": _path,
    "with_name": lambda path, name: path.with_name(name),
    "with_suffix": lambda path, name: path.with_suffix(name),
    "as_posix": lambda path: path.as_posix(),
}
_TEXT_METHODS = (
    *("split", "rsplit", "splitlines", "partition", "join", "replace", "strip", "lstrip", "rstrip"),
    *("lower", "upper", "startswith", "endswith"),
)
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, (str, list, tuple)):
        return left + right
    raise TypeError


def _percent(template: object, values: object) -> object:
    # No widths: "%999999999d" is a text that nobody has room for.
    if isinstance(template, str) and re.fullmatch(r"[^%]*(?:%[sdr][^%]*)*", template):
        return template % values
    raise TypeError


def _format(template: str, *values: object) -> str:
    if re.fullmatch(r"[^{}]*(?:\{\d*\}[^{}]*)*", template):
        return template.format(*values)
    raise ValueError(template)


_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], object]] = {
    ast.Add: _add,
    ast.Mod: _percent,
    ast.Div: lambda left, right: _path(left, right) if isinstance(left, PurePath) else _path(text(left), right),
}


def each(function: Callable[..., object], *choices: Values) -> Values:
    """What a function gives for every combination of the possible values of its arguments."""
    results: list[object] = []
    for values in islice(product(*choices), _MOST_VALUES):
        if any(isinstance(value, (Outside, Method, Module, Function)) for value in values):
            continue
        try:
            result = function(*values)
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, OSError):
            continue
        if _is_small(result) and not any(result is other or result == other for other in results):
            results.append(result)
    return tuple(results)


def _is_small(value: object) -> bool:
    if isinstance(value, (str, bytes)):
        return len(value) <= _LONGEST_TEXT
    return not isinstance(value, (list, tuple)) or len(value) <= _LONGEST_LIST


def merged(*choices: Values) -> Values:
    """All possible values together."""
    found: list[object] = []
    for value in (value for values in choices for value in values):
        if len(found) < _MOST_VALUES and not any(value is other or value == other for other in found):
            found.append(value)
    return tuple(found)


def _truth(values: Values) -> bool | None:
    # A list may have lost what is unknown, so it says nothing.
    if any(isinstance(value, (list, Outside, Method)) for value in values):
        return None
    truths = {bool(value) for value in values}
    return truths.pop() if len(truths) == 1 else None


class Evaluator:
    """Evaluates expressions. `known` are values by dotted name; files are looked at in and below `roots` only.

    `call` is asked first about every call; it answers None for what it leaves to the evaluator.
    """

    def __init__(self, known: Mapping[str, object], roots: Sequence[str], call: Call) -> None:
        self._known = known
        self._roots = tuple(os.path.join(os.path.abspath(root), "") for root in roots)
        self._call_first = call
        self._steps = 0
        self._functions: dict[str, Callable[..., object]] = {
            **_FUNCTIONS,
            "os.path.isdir": self._exists,
            "os.path.isfile": self._exists,
            "os.path.exists": self._exists,
            "os.listdir": lambda path: sorted(files.names(self.inside(path)), key=str.lower),
            "glob.glob": self._glob,
            "glob.iglob": self._glob,
            "builtins.open": lambda path, *_: Method(self.inside(path), "open"),
        }
        self._kinds: dict[type[ast.expr], Callable[[Any, Scope], Values]] = {
            ast.Attribute: self._attribute,
            ast.BinOp: self._binary,
            ast.BoolOp: self._bool,
            ast.Call: self._call,
            ast.Compare: self._compare,
            ast.FormattedValue: self._formatted,
            ast.GeneratorExp: self._comprehension,
            ast.IfExp: self._choice,
            ast.JoinedStr: self._joined,
            ast.List: self._list,
            ast.ListComp: self._comprehension,
            ast.NamedExpr: self._named,
            ast.Set: self._list,
            ast.SetComp: self._comprehension,
            ast.Slice: self._slice,
            ast.Subscript: self._subscript,
            ast.Tuple: self._tuple,
            ast.UnaryOp: self._unary,
        }
        self._special: dict[str, Callable[[list[Values]], Values]] = {
            "builtins.filter": self._filter,
            "builtins.map": self._map,
            "builtins.hasattr": self._hasattr,
            "builtins.getattr": self._getattr,
        }
        self._path_methods: dict[str, Callable[..., object]] = {
            **_PATH_METHODS,
            "is_dir": self._exists,
            "is_file": self._exists,
            "exists": self._exists,
            "glob": lambda path, pattern: [_path(one) for one in self._glob(_joined(path, pattern))],
        }

    def spend(self, steps: int) -> None:
        """Count work done, in expressions or the like. Spent when it is too much."""
        self._steps += steps
        if self._steps > _MOST_STEPS:
            raise Spent

    def value(self, node: ast.expr | None, scope: Scope) -> Values:
        """The possible values of an expression. Every call in it is made, whatever the value."""
        self.spend(1)
        if node is None:
            return (None,)
        if isinstance(node, ast.Constant):
            return (node.value,)
        if isinstance(node, ast.Name):
            found = scope.find(node.id)
            return (Outside("builtins." + node.id),) if found is None else found
        if type(node) in self._kinds:
            return self._kinds[type(node)](node, scope)
        if not isinstance(node, ast.Lambda):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.value(child, scope)
        return UNKNOWN

    def truth(self, node: ast.expr, scope: Scope) -> bool | None:
        """Whether a condition holds; None where that is not known."""
        return _truth(self.value(node, scope))

    def attribute(self, owner: object, name: str) -> Values:
        if isinstance(owner, Outside):
            full = f"{owner.name}.{name}"
            return (self._known[full],) if full in self._known else (Outside(full),)
        if isinstance(owner, Module):
            return owner.names.get(name, UNKNOWN)
        if isinstance(owner, PurePath) and name in _PATH_ATTRIBUTES:
            value = getattr(owner, name)
            return (list(value) if name == "parents" else value,)
        return (Method(owner, name),) if isinstance(owner, (str, list, PurePath, Method)) else UNKNOWN

    def inside(self, path: object) -> str:
        """A path below the roots, as this machine writes it. ValueError for any other: it is not looked at."""
        full = absolute(text(path))
        if not os.path.join(full, "").startswith(self._roots):
            raise ValueError(path)
        return full

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Values:
        return merged(*(self.attribute(owner, node.attr) for owner in self.value(node.value, scope)))

    def _items(self, nodes: Sequence[ast.expr], scope: Scope) -> list[object]:
        found: list[object] = []
        for node in nodes[:_LONGEST_LIST]:
            if isinstance(node, ast.Starred):
                found += items_of(self.value(node.value, scope))
            else:
                found += self.value(node, scope)
        return found

    def _list(self, node: ast.List | ast.Set, scope: Scope) -> Values:
        return (self._items(node.elts, scope),)

    def _tuple(self, node: ast.Tuple, scope: Scope) -> Values:
        return (tuple(self._items(node.elts, scope)),)

    def _joined(self, node: ast.JoinedStr, scope: Scope) -> Values:
        parts = [self.value(part, scope) for part in node.values]
        return each(lambda *texts: "".join(str(part) for part in texts), *parts)

    def _formatted(self, node: ast.FormattedValue, scope: Scope) -> Values:
        values = self.value(node.value, scope)
        return values if node.format_spec is None else UNKNOWN

    def _binary(self, node: ast.BinOp, scope: Scope) -> Values:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        return each(_OPERATORS[type(node.op)], left, right) if type(node.op) in _OPERATORS else UNKNOWN

    def _compare(self, node: ast.Compare, scope: Scope) -> Values:
        left, right = self.value(node.left, scope), self.value(node.comparators[0], scope)
        return each(_COMPARE[type(node.ops[0])], left, right) if len(node.ops) == 1 else UNKNOWN

    def _unary(self, node: ast.UnaryOp, scope: Scope) -> Values:
        values = self.value(node.operand, scope)
        if isinstance(node.op, ast.Not):
            truth = _truth(values)
            return UNKNOWN if truth is None else (not truth,)
        return each(operator.neg, values) if isinstance(node.op, ast.USub) else UNKNOWN

    def _bool(self, node: ast.BoolOp, scope: Scope) -> Values:
        """`and`, `or`: the first part that decides ends it; after an unknown one the rest decides nothing else."""
        decides = isinstance(node.op, ast.Or)
        possible: Values = UNKNOWN
        values: Values = UNKNOWN
        unknown = False
        for part in node.values:
            values = self.value(part, scope)
            truth = _truth(values)
            if truth is decides:
                return merged(possible, values) if decides else values
            unknown = unknown or truth is None
            if truth is None and decides:
                possible = merged(possible, values)
        return possible if unknown else values

    def _choice(self, node: ast.IfExp, scope: Scope) -> Values:
        truth = self.truth(node.test, scope)
        yes = self.value(node.body, scope) if truth is not False else UNKNOWN
        return merged(yes, self.value(node.orelse, scope) if truth is not True else UNKNOWN)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Values:
        return each(_item, self.value(node.value, scope), self.value(node.slice, scope))

    def _slice(self, node: ast.Slice, scope: Scope) -> Values:
        return each(slice, self.value(node.lower, scope), self.value(node.upper, scope))

    def _named(self, node: ast.NamedExpr, scope: Scope) -> Values:
        scope.names[node.target.id] = values = self.value(node.value, scope)
        return values

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, scope: Scope) -> Values:
        loop = node.generators[0]
        values = self.value(loop.iter, scope)
        known = len(node.generators) == 1 and isinstance(loop.target, ast.Name) and bool(values)
        found: list[object] = []
        for item in items_of(values) if known else []:
            inner = (
                Scope({loop.target.id: (item,)}, scope.module, scope) if isinstance(loop.target, ast.Name) else scope
            )
            if all(self.truth(test, inner) is not False for test in loop.ifs):
                found += self.value(node.elt, inner)
        return (found,) if known else UNKNOWN

    def _call(self, node: ast.Call, scope: Scope) -> Values:
        callees = self.value(node.func, scope)
        args = [UNKNOWN if isinstance(arg, ast.Starred) else self.value(arg, scope) for arg in node.args]
        named = {keyword.arg or "": self.value(keyword.value, scope) for keyword in node.keywords}
        found: Values = UNKNOWN
        for callee in callees or (None,):
            result = self._call_first(node, callee, args, named, scope)
            found = merged(found, self.apply(callee, args) if result is None else result)
        return found

    def apply(self, callee: object, args: list[Values]) -> Values:
        """What a function of the standard library, or a method of a value, gives."""
        if isinstance(callee, Method):
            return self._method(callee, args)
        name = callee.name if isinstance(callee, Outside) else ""
        if name in self._functions:
            return each(self._functions[name], *args)
        if name + "()" in self._known:
            return (self._known[name + "()"],)
        if name in self._special and len(args) > 1:
            return self._special[name](args)
        return (Outside(name + "()"),) if name.startswith("ctypes.") else UNKNOWN

    def _filter(self, args: list[Values]) -> Values:
        return (items_of(args[1]),)

    def _map(self, args: list[Values]) -> Values:
        results = (self.apply(function, [(item,)]) for item in items_of(args[1]) for function in args[0])
        return ([value for values in results for value in values],)

    def _hasattr(self, args: list[Values]) -> Values:
        owner, name = (args[0] or (None,))[0], (args[1] or (None,))[0]
        there = self._known.get(f"hasattr {owner.name}.{name}") if isinstance(owner, Outside) else None
        return UNKNOWN if there is None else (there,)

    def _getattr(self, args: list[Values]) -> Values:
        if self._hasattr(args) == (False,):
            return args[2] if len(args) > 2 else UNKNOWN
        return merged(*(self.attribute(owner, str(name)) for owner in args[0] for name in args[1]))

    def _method(self, method: Method, args: list[Values]) -> Values:
        owner, name = method.owner, method.name
        if isinstance(owner, PurePath):
            return each(self._path_methods[name], (owner,), *args) if name in self._path_methods else UNKNOWN
        if isinstance(owner, list):
            if name in ("append", "extend", "insert") and args and len(owner) < _LONGEST_LIST:
                new = args[-1] if name != "extend" else items_of(args[-1])
                owner[:] = [*new, *owner] if name == "insert" else [*owner, *new]
            return (None,)
        if isinstance(owner, Method) and (owner.name, name) == ("open", "read"):
            return each(_read, (owner.owner,))
        if isinstance(owner, str) and (name in _TEXT_METHODS or name == "format"):
            return each(_format if name == "format" else getattr(str, name), (owner,), *args)
        return UNKNOWN

    def _exists(self, path: object) -> bool:
        """True, or unknown: of a directory that is not there, the source is still read for what it does with it."""
        if files.exists(self.inside(path)):
            return True
        raise ValueError(path)

    def _glob(self, pattern: object) -> list[str]:
        directory, name = os.path.split(self.inside(pattern))
        found = [one for one in files.names(directory) if fnmatch.fnmatchcase(one.lower(), name.lower())]
        return [os.path.join(directory, one) for one in sorted(found, key=str.lower)]


def items_of(values: Values) -> list[object]:
    """The items of what may be a list or a tuple."""
    return [item for value in values if isinstance(value, (list, tuple)) for item in value][:_LONGEST_LIST]


def _item(value: Any, index: Any) -> object:
    if isinstance(value, (str, list, tuple)):
        return value[index]
    raise TypeError


def _read(path: str) -> str:
    """A small text file, such as delvewheel's .load-order."""
    if files.is_file(path) and files.stamp(path)[0] <= _LONGEST_TEXT:
        return files.text(path)
    raise ValueError(path)
