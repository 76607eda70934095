"""What importing a module would do, told from its source: the statements are followed in order, none is executed."""

from __future__ import annotations

import ast
import contextlib
import gc
import os
import re
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from depwalk import files, image
from depwalk.package.evaluate import (
    UNKNOWN,
    Evaluator,
    Function,
    Module,
    Outside,
    Scope,
    Spent,
    Values,
    absolute,
    each,
    items_of,
    merged,
    text,
)
from depwalk.package.places import Finder, Place, former_modules, loaders, matching, standard_modules
from depwalk.package.syntax import trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.package.syntax import Definition

_LARGEST_FILE = 2_000_000
_DEEPEST_IMPORT = 30  # modules nested deeper are followed afterwards: Python's own stack is the limit
_DEEPEST_CALL = 8
_MOST_CALLS = 40  # of one function
_MOST_TURNS = 64  # of one loop
_LOAD = re.compile(r"ctypes\.(?:.*\.)?(?:CDLL|WinDLL|OleDLL|PyDLL|LoadLibrary(?:Ex)?[AW]?)$")
_MACHINES = {"x64": "AMD64", "x86": "x86", "arm64": "ARM64"}


class Added(NamedTuple):
    """A directory that a package adds to the DLL search. `source` is the line that does it: numpy/__init__.py:12."""

    directory: str
    how: str
    source: str


class Preload(NamedTuple):
    """A DLL that a package loads itself: a path, or a bare name as it is written."""

    path: str
    how: str
    source: str


class Moment(NamedTuple):
    """How far an import has come: how much is added, loaded and read by then. A later one is never less."""

    added: int
    preloads: int
    sources: int
    untold: int


@dataclass
class Reached:
    """An extension, and what had been added and loaded when its import was reached."""

    module: str
    path: str
    source: str
    when: Moment
    added: list[Added]  # with what is added before its import is tried again
    preloads: list[Preload]
    optional: bool  # the import goes on without it: its failure is caught


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    # Source becomes very many small objects and next to no garbage: looking for some was three quarters of the time.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Stop(Exception):  # noqa: N818  (it is no error)
    """What was looked for is reached."""


@dataclass
class Run:
    """One import, followed. It ends where the module or file `stop` is loaded, or where each of `wanted` can be found.

    `wanted` has for each DLL the files that would do: the directory of one is added, or it is loaded. Read are
    `most_files` at most, and of other top-level packages only what their imports nest to `deepest_in_others`.
    """

    sites: tuple[str, ...]
    finder: Finder
    prefix: str | None = None
    minor: int | None = None
    architecture: str | None = None
    stop: str = ""
    most_files: int = 3000
    deepest_in_others: int | None = None
    most: int = 1000
    wanted: Sequence[Sequence[str]] = ()

    added: list[Added] = field(default_factory=list)
    preloads: list[Preload] = field(default_factory=list)
    extensions: list[Reached] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mentioned: dict[str, int] = field(default_factory=dict)  # directory NAME.libs -> how many files were read by then
    modules: dict[str, Module] = field(default_factory=dict)
    loaded_after: dict[str, Moment] = field(default_factory=dict)  # by file
    moments: list[Moment] = field(default_factory=list)  # at which there was more
    sources: list[str] = field(default_factory=list)  # files that were read
    on_path: list[str] = field(default_factory=list)  # directories that were put on PATH
    stopped: bool = False  # where `stop` is loaded
    complete: bool = True
    untold: int = 0  # directories that are added, and which the source alone does not tell

    def __post_init__(self) -> None:
        roots = [*self.sites, *([self.prefix] if self.prefix else [])]
        self._evaluator = Evaluator(self._known(), roots, self._call)
        self._later: list[Module] = []
        self._ends = False
        self._nested = self._in_others = self._undecided = self._files = self._caught = 0
        self._returned: list[Values] = []
        self._calls: dict[Function, int] = {}
        self._asked = ""
        self._labels: dict[str, str] = {}
        self._added_as: dict[str, int] = {}  # directory -> which of `added` it is
        self._loaded_as: dict[str, int] = {}  # file -> which of `preloads` it is

    def follow(self, *names: str, started: Sequence[tuple[str, str]] = ()) -> None:
        """Follow `import NAME` of each, whatever it imports, too, after the lines of .pth files: (line, file)."""
        try:
            with _no_collection(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a package's own: invalid escapes
                for line, file in started:
                    self._start(line, file)
                for name in names:
                    self._asked = name.partition(".")[0]
                    self.load(name, "")
                while self._later:
                    self._run(self._later.pop(0))
        except _Stop:
            self.stopped = True
        except Spent:
            self.complete = False
            self.note("the source is too long to follow to its end")

    def _start(self, line: str, file: str) -> None:
        """What site.py runs of a .pth file."""
        module = Module(os.path.basename(file), file, names={"sitedir": (os.path.dirname(file),)})
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            self._block(_line_of(line).body, Scope(module.names, module))

    def forget(self) -> None:
        """Let go of the source, of which no more is asked; its objects refer to each other in circles."""
        for module in self.modules.values():
            module.names.clear()
        self.modules.clear()
        self._calls.clear()
        self._later.clear()

    @property
    def exhausted(self) -> bool:
        """There are more files than may be read."""
        return self._files > self.most_files

    @property
    def now(self) -> Moment:
        """How far it has come."""
        return Moment(len(self.added), len(self.preloads), len(self.sources), self.untold)

    def note(self, sentence: str) -> None:
        if sentence not in self.notes and len(self.notes) < 100:
            self.notes.append(sentence)

    def _known(self) -> dict[str, object]:
        """What the standard library answers on the Windows Python that would import the package."""
        known: dict[str, object] = {
            "os.name": "nt",
            "os.sep": os.sep,
            "os.path.sep": os.sep,
            "os.pathsep": ";",
            "os.pardir": "..",
            "os.path.pardir": "..",
            "os.curdir": ".",
            "sys.platform": "win32",
            "sys.implementation.name": "cpython",
            "typing.TYPE_CHECKING": False,
            "platform.system()": "Windows",
            "platform.python_implementation()": "CPython",
            "hasattr sys.frozen": False,
            "hasattr sys._MEIPASS": False,
            "hasattr sys.getdlopenflags": False,
            "hasattr sys.setdlopenflags": False,
            "hasattr ctypes.pythonapi.Anaconda_GetVersion": False,
            "hasattr os.add_dll_directory": self.minor is None or self.minor >= 8,
        }
        if self.minor is not None:
            known["sys.version_info"] = (3, self.minor, 0, "final", 0)
            known["sys.version"] = f"3.{self.minor}.0"
        if self.architecture is not None:
            known["sys.maxsize"] = 2**31 - 1 if self.architecture == "x86" else 2**63 - 1
            known["platform.machine()"] = _MACHINES.get(self.architecture, "")
            known["platform.architecture()"] = ("32bit" if self.architecture == "x86" else "64bit", "WindowsPE")
        if self.prefix is not None:
            for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
                known["sys." + name] = self.prefix
        return known

    # Modules

    def load(self, name: str, source: str, *, computed: bool = False) -> Module | Outside | None:
        """`import name`, its packages first. None if it is not there, which a `computed` name need not be."""
        found: Module | None = None
        parts = name.split(".")[:50]
        for index, part in enumerate(parts):
            full = ".".join(parts[: index + 1])
            if found is not None and found.path.lower().endswith(".pyd"):
                return None  # what an extension makes itself
            if index == 0 and part != self._asked and part in standard_modules():
                return Outside(name)
            found = self._load(full, part, found, source)
            if found is None:
                if full not in former_modules() and not (computed and index):
                    self.missing.setdefault(full, source)
                return Outside(name) if index == 0 and full in former_modules() else None
        return found

    def _load(self, full: str, name: str, parent: Module | None, source: str) -> Module | None:
        full = f"{parent.name}.{name}" if parent is not None else full  # it may be forwarded from another package
        if full in self.modules:
            return self.modules[full]
        place = self.finder.look(self.sites if parent is None else parent.directories, name)
        module: Module | None
        if place is not None:
            module = self.modules[full] = Module(full, place.path, place.directories)
            module.names.update(
                {"__name__": (full,), "__file__": (place.path,), "__path__": (list(place.directories),)}
            )
            self._enter(module, place, source)
        else:
            module = self._forwarded(name, parent, source)
        if module is not None and parent is not None:
            self.modules[full] = module
            parent.names[name] = (module,)
        return module

    def _forwarded(self, name: str, parent: Module | None, source: str) -> Module | None:
        """A submodule of the package that `parent` passes on with a star: tensorflow 1.15 to 2.1, tensorflow_core."""
        for star in parent.stars if parent is not None else []:
            package = self.modules.get(star)
            if package is not None and self.finder.look(package.directories, name) is not None:
                return self._load(f"{star}.{name}", name, package, source)
        return None

    def _enter(self, module: Module, place: Place, source: str) -> None:
        is_other = module.name.partition(".")[0] != self._asked
        if module.name in loaders():
            self._add_for_others(module.name, source)
        elif place.kind == "extension":
            self._reach(module.name, place.path, source)
        elif place.kind == "foreign":
            self.foreign.append(place.path)
        elif place.kind == "namespace" or (is_other and self._in_others == self.deepest_in_others):
            pass
        elif self._nested >= _DEEPEST_IMPORT:
            self._later.append(module)
        else:
            self._in_others += is_other
            self._run(module)
            self._in_others -= is_other

    def _add_for_others(self, loader: str, source: str) -> None:
        """Where a package finds the DLLs that it loads for others: as if it added these directories."""
        found = (path for site in self.sites for pattern in loaders()[loader] for path in matching(site, pattern))
        for directory in found:
            self._add_once(Added(directory, loader, source))
        self._stop_if_enough()

    def _reach(self, name: str, path: str, source: str) -> None:
        if any(one.path == path for one in self.extensions):
            return
        before = list(self.added), list(self.preloads)
        self.extensions.append(Reached(name, path, source, self.now, *before, optional=self._caught > 0))
        if self.stop in (name, path):
            raise _Stop
        self._bring(path, "import", source)
        self._stop_if_enough()
        if len(self.extensions) >= self.most:
            self.complete = False
            raise _Stop

    def _bring(self, path: str, how: str, source: str) -> None:
        """What a load leaves in the process: the file, and the DLLs that lie beside it and it needs."""
        folder = os.path.dirname(path)
        brought = [path]
        with contextlib.suppress(image.UnreadableFile, OSError, ValueError):  # a bare name lies nowhere
            beside = files.listing(self._evaluator.inside(folder))
            needed = (found.dll.lower() for found in image.read(path).imports if found.kind == "import")
            brought += [os.path.join(folder, beside[name]) for name in needed if name in beside]
        for file in brought:
            if self._loaded_as.setdefault(os.path.normcase(file), len(self.preloads)) == len(self.preloads):
                self.preloads.append(Preload(file, how, source))

    def _module_at(self, path: str) -> str:
        """The dotted name of an extension that is loaded by its path."""
        folder, file = os.path.split(path)
        site = next((site for site in self.sites if folder.startswith(os.path.join(site, ""))), folder)
        folders = [] if site == folder else os.path.relpath(folder, site).split(os.sep)
        return ".".join([*folders, file.partition(".")[0]])

    def _run(self, module: Module) -> None:
        tree = self._parse(module)
        before = self._undecided, self._returned
        self._undecided, self._returned = 0, []
        self._nested += 1
        try:
            for node in tree.body if tree is not None else []:
                self._block([node], Scope(module.names, module))
        except RecursionError:
            self.complete = False
            self.note(f"{self._where(module)} was not followed to its end: it nests too deeply")
        finally:
            self._nested -= 1
            self._undecided, self._returned = before

    def _parse(self, module: Module) -> ast.Module | None:
        self._files += 1
        self.complete = self.complete and not self.exhausted
        if self.exhausted:
            self.note(f"only the first {self.most_files} files were read")
            return None
        try:
            size, changed = files.stamp(module.path)
            if not files.is_file(module.path) or size > _LARGEST_FILE:
                why = "it is too large"
            else:
                self._evaluator.spend(size // 100)
                self.sources.append(module.path)
                found = trees.of(module.path, changed, size)
                for name in found.mentioned:
                    self.mentioned.setdefault(name, len(self.sources))
                return found.syntax
        except OSError as error:
            why = error.strerror or "it cannot be read"
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            why = "it is no Python that this Python understands"
        self.complete = False
        self.note(f"{self._where(module)} was not read: {why}")
        return None

    def _where(self, module: Module, node: ast.AST | None = None) -> str:
        """A file as a person reads it, and the line: numpy/__init__.py:12."""
        if module.path not in self._labels:
            sites = [site for site in self.sites if module.path.startswith(os.path.join(site, ""))]
            name = os.path.relpath(module.path, sites[0]).replace(os.sep, "/") if sites else module.path
            self._labels[module.path] = name
        name = self._labels[module.path]
        return name if node is None else f"{name}:{getattr(node, 'lineno', 0)}"

    # Statements

    def _block(self, nodes: list[ast.stmt], scope: Scope) -> str:
        """Follow statements up to one that surely leaves: "return" (or raise), "break", "continue", else ""."""
        for node in nodes:
            left = self._statement(node, scope)
            if left:
                return left
        return ""

    def _maybe(self, nodes: list[ast.stmt], scope: Scope) -> str:
        """Follow statements that may run or not."""
        self._undecided += 1
        try:
            return self._block(nodes, scope)
        finally:
            self._undecided -= 1

    def _statement(self, node: ast.stmt, scope: Scope) -> str:  # noqa: C901, PLR0912  (one branch for each kind)
        value = self._evaluator.value
        self._evaluator.spend(1)
        left = ""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._bind(node.name, (Function(node.name, node.lineno, scope),), scope)
        elif isinstance(node, ast.ClassDef):
            self._block(node.body, Scope({}, scope.module, scope))
            self._bind(node.name, UNKNOWN, scope)
        elif isinstance(node, ast.Import):
            self._import(node, scope)
        elif isinstance(node, ast.ImportFrom):
            self._import_from(node, scope)
        elif isinstance(node, ast.Assign):
            values = value(node.value, scope)
            for target in node.targets:
                self._assign(target, values, scope)
                self._put_on_path(target, node.value, scope)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self._assign(node.target, value(node.value, scope), scope)
        elif isinstance(node, ast.AugAssign):
            self._augment(node, scope)
        elif isinstance(node, ast.Expr):
            value(node.value, scope)
        elif isinstance(node, ast.Return):
            if self._returned:
                self._returned[-1] = merged(self._returned[-1], value(node.value, scope))
            left = "return"
        elif isinstance(node, (ast.Raise, ast.Break, ast.Continue)):
            left = "return" if isinstance(node, ast.Raise) else type(node).__name__.lower()
        elif isinstance(node, ast.If):
            left = self._if(node, scope)
        elif isinstance(node, ast.For):
            self._for(node, scope)
        elif isinstance(node, ast.Try):
            left = self._try(node, scope)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                values = value(item.context_expr, scope)
                if item.optional_vars is not None:
                    self._assign(item.optional_vars, values, scope)
            left = self._block(node.body, scope)
        else:
            for part in ast.iter_child_nodes(node):  # while, match: what they hold may run
                self._maybe([part] if isinstance(part, ast.stmt) else list(getattr(part, "body", [])), scope)
        return left

    def _if(self, node: ast.If, scope: Scope) -> str:
        truth = self._evaluator.truth(node.test, scope)
        if truth is not None:
            return self._block(node.body if truth else node.orelse, scope)
        lefts = self._maybe(node.body, scope), self._maybe(node.orelse, scope)
        return lefts[0] if all(lefts) else ""

    def _for(self, node: ast.For, scope: Scope) -> None:
        values = self._evaluator.value(node.iter, scope)
        if not any(isinstance(value, (list, tuple)) for value in values):
            self._assign(node.target, UNKNOWN, scope)
            self._maybe(node.body, scope)
        for item in items_of(values)[:_MOST_TURNS]:
            self._assign(node.target, (item,), scope, anew=True)
            if self._block(node.body, scope) in ("break", "return"):
                return
        self._maybe(node.orelse, scope)

    def _try(self, node: ast.Try, scope: Scope) -> str:
        """What a handler adds counts for the extensions of the `try`, too: the import may be tried again."""
        first, missed = len(self.extensions), len(self.missing)
        stopped, left = False, ""
        catches = any(_goes_on(handler) for handler in node.handlers)
        self._caught += catches
        try:
            left = self._block(node.body, scope)
        except _Stop:
            stopped = self._ends = True
        finally:
            self._caught -= catches
        last, added = len(self.extensions), len(self.added)
        for handler in node.handlers:
            if handler.name:
                self._bind(handler.name, UNKNOWN, scope)
            with contextlib.suppress(_Stop):
                self._maybe(handler.body, scope)
        for extension in self.extensions[first:last]:
            extension.added += self.added[added:]
        if stopped:
            raise _Stop  # a new one: the old one, kept, would keep this frame, and all that the frames below it have
        if not left:
            surely = len(self.missing) == missed
            left = self._block(node.orelse, scope) if surely else self._maybe(node.orelse, scope) and ""
        return self._block(node.finalbody, scope) or left

    def _import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            found = self.load(alias.name, self._where(scope.module, node))
            top = alias.name.partition(".")[0]
            if alias.asname is None:
                found = Outside(top) if isinstance(found, Outside) else self.modules.get(top)
            self._bind(alias.asname or top, UNKNOWN if found is None else (found,), scope)

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> None:
        source = self._where(scope.module, node)
        name = self._absolute_name(node.module or "", node.level, scope.module)
        if node.names[0].name == "*" and "." not in name:
            scope.module.stars.append(name)
        module = self.load(name, source) if name else None
        for alias in node.names:
            if alias.name != "*":
                self._bind(alias.asname or alias.name, self._imported(module, alias.name, source), scope)
            elif isinstance(module, Module):
                for key, values in list(module.names.items()):
                    if not key.startswith("_"):
                        self._bind(key, values, scope)

    def _imported(self, module: Module | Outside | None, name: str, source: str) -> Values:
        if isinstance(module, Outside):
            return self._evaluator.attribute(module, name)
        if module is None:
            return UNKNOWN
        if name in module.names:
            return module.names[name]
        found = self._load(f"{module.name}.{name}", name, module, source) if module.directories else None
        return UNKNOWN if found is None else (found,)

    def _absolute_name(self, name: str, level: int, module: Module) -> str:
        """The full name of a relative import: "" if it leaves its package."""
        if level == 0:
            return name
        parents = module.name.split(".")
        parents = parents[: len(parents) - level + bool(module.directories)]
        return ".".join([*parents, *([name] if name else [])]) if parents else ""

    def _bind(self, name: str, values: Values, scope: Scope) -> None:
        scope.names[name] = merged(scope.names.get(name, UNKNOWN), values) if self._undecided else values

    def _assign(self, target: ast.expr, values: Values, scope: Scope, *, anew: bool = False) -> None:
        if isinstance(target, ast.Name):
            if anew:
                scope.names[target.id] = values
            else:
                self._bind(target.id, values, scope)
        elif isinstance(target, (ast.Tuple, ast.List)):
            items = items_of(values) if len(values) == 1 else []
            for index, part in enumerate(target.elts):
                known = len(items) == len(target.elts)
                self._assign(part, (items[index],) if known else UNKNOWN, scope, anew=anew)

    def _augment(self, node: ast.AugAssign, scope: Scope) -> None:
        if isinstance(node.target, ast.Name):
            sum_of = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
            self._bind(node.target.id, self._evaluator.value(sum_of, scope), scope)
        else:
            self._evaluator.value(node.value, scope)
            self._put_on_path(node.target, node.value, scope)

    def _put_on_path(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        """Directories in what is assigned to os.environ["PATH"]: Python before 3.8 searches there for imports."""
        if not isinstance(target, ast.Subscript):
            return
        owners = self._evaluator.value(target.value, scope)
        is_environment = any(isinstance(owner, Outside) and owner.name == "os.environ" for owner in owners)
        names = self._evaluator.value(target.slice, scope)
        if not is_environment or not any(isinstance(name, str) and name.upper() == "PATH" for name in names):
            return
        for entry in self._entries_in(value, scope):
            with contextlib.suppress(TypeError, ValueError, OSError):
                directory = absolute(entry)
                if not files.is_directory(self._evaluator.inside(directory)):
                    continue
                self.on_path.append(directory)
                if self.minor is not None and self.minor < 8:
                    self._note_added(directory, 'os.environ["PATH"]', self._where(scope.module, value))

    def _entries_in(self, value: ast.expr, scope: Scope) -> Iterator[str]:
        """The texts that an expression is made of, as far as they are known."""
        known = []
        for found in self._evaluator.value(value, scope):
            with contextlib.suppress(TypeError, ValueError):
                known.append(text(found))
        if known:
            yield from (entry for one in known for entry in one.split(";"))
            return
        for part in ast.iter_child_nodes(value):
            if isinstance(part, ast.expr):
                yield from self._entries_in(part, scope)

    def _found_on_path(self, name: object) -> str | None:
        """What ctypes.util.find_library, or a load that searches PATH, takes for a name."""
        for directory in self.on_path if isinstance(name, str) and os.path.basename(name) == name else ():
            with contextlib.suppress(OSError):
                listed = files.listing(directory)
                found = listed.get(str(name).lower()) or listed.get(f"{name}.dll".lower())
                if found:
                    return os.path.join(directory, found)
        return None

    # Calls

    def _call(
        self, node: ast.Call, callee: object, args: list[Values], named: dict[str, Values], scope: Scope
    ) -> Values | None:
        """What this module knows of a call. None: nothing."""
        source = self._where(scope.module, node)
        if isinstance(callee, Function):
            return self._function(callee, args, named)
        name = callee.name if isinstance(callee, Outside) else ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if args and (name == "ctypes.util.find_library" or method == "dlopen"):
            return self._from_path(args[0], method, source)
        if name == "os.add_dll_directory":
            self._add(args[0] if args else named.get("path", UNKNOWN), source)
        elif _LOAD.match(name) or method == "load_library":
            self._preload(args[0] if args else UNKNOWN, name or "load_library", source)
        elif name in ("importlib.import_module", "builtins.__import__", "imp.load_module"):
            return self._import_by_call(name, args, named, scope.module, source)
        elif name in ("imp.load_dynamic", "importlib.util.spec_from_file_location"):
            self._reach_by_path(args[1] if len(args) > 1 else named.get("location", UNKNOWN), source)
        elif name == "importlib.machinery.FileFinder" and args:
            return args[0]  # all that is asked of it is where a module of its directory lies
        elif isinstance(node.func, ast.Attribute) and method == "find_spec" and args:
            return self._origin(self._evaluator.value(node.func.value, scope), args[0])
        return None

    def _reach_by_path(self, paths: Values, source: str) -> None:
        for path in each(absolute, paths):
            if isinstance(path, str) and path.lower().endswith(".pyd"):
                self._reach(self._module_at(path), path, source)

    def _from_path(self, names: Values, method: str, source: str) -> Values | None:
        """What ctypes.util.find_library answers; cffi's dlopen searches PATH, too, and loads what it finds."""
        found = tuple(path for name in names if (path := self._found_on_path(name)) is not None)
        if method == "dlopen":
            self._preload(found, method, source)
        return found or None

    def _function(self, function: Function, args: list[Values], named: dict[str, Values]) -> Values:
        count = self._calls[function] = self._calls.get(function, 0) + 1
        if count > _MOST_CALLS or len(self._returned) >= _DEEPEST_CALL:
            return UNKNOWN
        node = self._node_of(function)
        if node is None:
            return UNKNOWN
        spec = node.args
        names = [arg.arg for arg in (*spec.posonlyargs, *spec.args)]
        values = dict.fromkeys([*names, *(arg.arg for arg in spec.kwonlyargs)], UNKNOWN)
        values.update({arg.arg: UNKNOWN for arg in (spec.vararg, spec.kwarg) if arg is not None})
        keywords = [
            (arg.arg, default) for arg, default in zip(spec.kwonlyargs, spec.kw_defaults) if default is not None
        ]
        for name, default in [*zip(names[len(names) - len(spec.defaults) :], spec.defaults), *keywords]:
            values[name] = self._evaluator.value(default, function.scope)
        values.update(zip(names, args))
        values.update({name: value for name, value in named.items() if name in values})
        self._returned.append(UNKNOWN)
        undecided, self._undecided = self._undecided, 0
        try:
            left = self._block(node.body, Scope(values, function.scope.module, function.scope))
        finally:
            self._undecided = undecided
            returned = self._returned.pop()
        return returned if left or returned else (None,)

    def _node_of(self, function: Function) -> Definition | None:
        """The syntax of a function; None if its file has changed meanwhile."""
        path = function.scope.module.path
        try:
            size, changed = files.stamp(path)
            return trees.of(path, changed, size).definition(function.line, function.name)
        except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
            return None

    def _add(self, values: Values, source: str) -> None:
        if self.minor is not None and self.minor < 8:
            return  # it is not there yet
        known = False
        for value in values:
            with contextlib.suppress(TypeError, ValueError):
                directory = absolute(text(value))
                known = True
                self._note_added(directory, "os.add_dll_directory", source)
        if not known:
            self.untold += 1
            self.note(f"{source} adds a directory that the source alone does not tell")

    def _note_added(self, directory: str, how: str, source: str) -> None:
        if self._add_once(Added(directory, how, source)):
            self._stop_if_enough()

    def _add_once(self, added: Added) -> bool:
        """Whether it is new."""
        is_new = self._added_as.setdefault(os.path.normcase(added.directory), len(self.added)) == len(self.added)
        if is_new:
            self.added.append(added)
        return is_new

    def _preload(self, values: Values, how: str, source: str) -> None:
        how = how.rpartition(".")[2] if "LoadLibrary" in how else how
        for value in values:
            if not isinstance(value, str) or re.search(r"\.(so|dylib)\b", value):
                continue
            path = value
            with contextlib.suppress(ValueError):
                path = absolute(value)
            if self.minor is not None and self.minor < 8:
                path = self._found_on_path(value) or path
            self.loaded_after.setdefault(os.path.normcase(path), self.now)
            self._bring(path, how, source)
            if path.lower().endswith(".pyd"):
                self._reach(self._module_at(path), path, source)
            elif os.path.normcase(path) == os.path.normcase(self.stop):
                raise _Stop
            self._stop_if_enough()

    def found(self, wanted: Sequence[Sequence[str]]) -> Moment | None:
        """When each DLL could be found: see `wanted`. None: never, or none is asked for."""
        return next((moment for moment in self.moments if self._has(wanted, moment)), None) if wanted else None

    def _has(self, wanted: Sequence[Sequence[str]], moment: Moment) -> bool:
        never = len(self.added) + len(self.preloads)
        return all(
            any(
                self._added_as.get(os.path.normcase(os.path.dirname(path)), never) < moment.added
                or self._loaded_as.get(os.path.normcase(path), never) < moment.preloads
                for path in paths
            )
            for paths in wanted
        )

    def _stop_if_enough(self) -> None:
        if self._ends:  # what a handler adds now, it would not have added
            return
        if self.moments[-1:] != [self.now]:
            self.moments.append(self.now)
        if self.wanted and self._has(self.wanted, self.now):
            raise _Stop

    def _import_by_call(
        self, how: str, args: list[Values], named: dict[str, Values], module: Module, source: str
    ) -> Values:
        found: Values = UNKNOWN
        packages = args[1] if len(args) > 1 else named.get("package", UNKNOWN)
        package = next((one for one in packages if isinstance(one, str)), module.name)
        names = [name for name in (args[0] if args else UNKNOWN) if isinstance(name, str) and name]
        for name in names:
            level = len(name) - len(name.lstrip("."))
            home = self.modules.get(package, module)
            beside = self._absolute_name(name, 1, module)
            full = self._absolute_name(name[level:], level, home)
            if how == "imp.load_module" and self._is_there(beside):
                full = beside
            result = self.load(full, source, computed=True) if full else None
            found = merged(found, UNKNOWN if result is None else (result,))
        if not names:
            self.complete = False
            self.note(f"{source} imports a module that the source alone does not tell")
        return found

    def _is_there(self, name: str) -> bool:
        parent = self.modules.get(name.rpartition(".")[0])
        return parent is not None and self.finder.look(parent.directories, name.rpartition(".")[2]) is not None

    def _origin(self, directories: Values, names: Values) -> Values:
        found: Values = UNKNOWN
        for directory in directories:
            for name in names:
                if isinstance(directory, str) and isinstance(name, str):
                    place = self.finder.look((directory,), name)
                    if place is not None and place.kind == "extension":
                        spec = Module(name, place.path, (), {"origin": (place.path,)})
                        found = merged(found, (spec,))
        return found


@lru_cache(maxsize=32)
def _line_of(line: str) -> ast.Module:
    return ast.parse(line)


def _goes_on(handler: ast.ExceptHandler) -> bool:
    """Whether it catches what a failed import raises, and does not end in raising it, or another one, again."""
    caught = ast.unparse(handler.type) if handler.type is not None else "BaseException"
    catches = any(name in caught for name in ("ImportError", "ModuleNotFoundError", "Exception", "OSError"))
    return catches and not isinstance(handler.body[-1], ast.Raise)
