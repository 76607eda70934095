"""What a scan finds out: a row for each file and each case, in plain values that processes and databases exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from depwalk.diagnosis import Basis, Verdict
    from depwalk.finding import Finding
    from depwalk.graph import EdgeKind
    from depwalk.search import Status

NOTHING_IN_IT = "it has no .pyd, .dll or .exe file"  # reasons why a wheel has no verdict
NOT_FOR = "it is not for Python "
JUDGED_WITH = "judged with "  # and of a DLL that another file of its unit needs

UnitKind = Literal["site", "prefix", "wheel", "directory"]
FileKind = Literal["extension", "program", "dll", "wheel"]  # a "wheel" is a file only where it could not be opened


class Unit(NamedTuple):
    """What is scanned as one: a site-packages, a conda prefix, a wheel, or any other directory."""

    path: str
    kind: UnitKind
    size: int = 0  # bytes, of a wheel
    changed: int = 0  # nanoseconds since 1970, of a wheel


class Case(NamedTuple):
    """What a file is judged for, in the words of the command line."""

    label: str  # for a person
    windows: str  # a Windows, or the path given as --root
    runtimes: tuple[str, ...] = ()  # redistributables that are assumed
    python: str | None = None  # None: what each file was built for
    cpu: str | None = None  # None: none is assumed off Windows, this machine's on it


class File(NamedTuple):
    """One file."""

    path: str  # in a wheel: the wheel's with the member's behind it
    unit: Unit
    kind: FileKind
    size: int  # bytes
    changed: int  # nanoseconds since 1970; 0 in a wheel
    sha256: str = ""  # only on request
    distribution: str = ""  # whose it is; empty if that is not known
    version: str = ""  # of the distribution
    architecture: str = ""  # x64, x86, arm64, ...; empty for what could not be read
    python: str = ""  # that it was built for: "3.11", "3.13t", "abi3"; empty for what is no extension


class Node(NamedTuple):
    """A module of the tree. The file itself is the first."""

    name: str
    path: str | None  # None if there is no file
    status: Status
    architecture: str  # empty for what is not there
    version: str  # of the version resource; empty if there is none
    depth: int  # imports between it and the file itself
    delayed: bool  # reached through delay-loaded imports only
    rule: str  # of the search, by which it was found


class Link(NamedTuple):
    """An edge of the tree."""

    importer: int  # place in the nodes
    imported: int  # place in the nodes
    kind: EdgeKind
    name: str  # of the imported module as the importer has it
    symbols: int  # how many functions and variables are imported
    unresolved: tuple[str, ...]  # those that the imported module does not export: names, or #ordinals


class Row(NamedTuple):
    """One file in one case."""

    file: File
    case: Case
    verdict: Verdict | None  # None: it was not judged
    basis: Basis | None = None  # of an unreadable file: 'static' if what is in it is at fault
    findings: tuple[Finding, ...] = ()  # errors first
    nodes: tuple[Node, ...] = ()  # modules of the tree; 0 is the file
    links: tuple[Link, ...] = ()  # who needs whom of them
    sources: tuple[str, ...] = ()  # Python files that were read to learn what the file's package adds to the search
    reason: str = ""  # why it was not judged, or what is odd about a wheel; for a person
    unreadable: bool = False  # the reason is that it cannot be read
    elapsed_ms: float = 0.0  # milliseconds
    reused: bool = False  # from an earlier scan
