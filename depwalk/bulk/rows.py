"""What a scan finds out: a row for each file and each case, in plain values that processes and databases exchange."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Unit:
    """What is scanned as one: a site-packages, a conda prefix, a wheel, or any other directory.

    `size` (bytes) and `changed` (nanoseconds since 1970) are those of a wheel, else 0.
    """

    path: str
    kind: UnitKind
    size: int = 0
    changed: int = 0


@dataclass(frozen=True)
class Case:
    """What a file is judged for, in the words of the command line. `label` says it to a person."""

    label: str
    windows: str
    runtimes: tuple[str, ...] = ()
    python: str | None = None  # None: what each file was built for
    cpu: str | None = None


@dataclass(frozen=True)
class File:
    """One file. In a wheel, `path` is the wheel's with the member's behind it, and `changed` is 0."""

    path: str
    unit: Unit
    kind: FileKind
    size: int  # bytes
    changed: int  # nanoseconds since 1970
    sha256: str = ""  # only on request
    distribution: str = ""  # whose it is; empty if that is not known
    version: str = ""  # of the distribution
    architecture: str = ""
    python: str = ""  # that it was built for: "3.11", "3.13t", "abi3"; empty for what is no extension


class Node(NamedTuple):
    """A module of the tree. The file itself is the first."""

    name: str
    path: str | None
    status: Status
    architecture: str
    version: str
    depth: int
    delayed: bool
    rule: str


class Link(NamedTuple):
    """An edge of the tree: `importer` and `imported` are indices into its nodes; `name` is as the importer has it."""

    importer: int
    imported: int
    kind: EdgeKind
    name: str
    symbols: int
    unresolved: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One file in one case. Without a verdict it was not judged, and `reason` says why, for a person.

    `sources` are the Python files that were read to learn what the file's package adds to the search.
    """

    file: File
    case: Case
    verdict: Verdict | None
    basis: Basis | None = None  # of an unreadable file: 'static' if what is in it is at fault
    findings: tuple[Finding, ...] = ()
    nodes: tuple[Node, ...] = ()
    links: tuple[Link, ...] = ()
    sources: tuple[str, ...] = ()
    reason: str = ""
    unreadable: bool = False  # the reason is that it cannot be read
    elapsed_ms: float = 0.0
    reused: bool = False  # from an earlier scan
