"""Side-by-side assemblies: what a DLL's manifest redirects its own imports to (windows-loader 1.7)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from depwalk import files, runtimes
from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from depwalk.image import Image
    from depwalk.target import Target

DLL_MANIFEST = 2  # the resource id that governs a DLL's own imports

# Assemblies that every Windows since Vista has in its own store.
_OF_WINDOWS = ("Microsoft.Windows.Common-Controls", "Microsoft.Windows.GdiPlus")


@dataclass(frozen=True)
class Redirection:
    """What one manifest does: lower-case DLL name -> path, and the assemblies that no one provides."""

    dlls: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


_NOTHING = Redirection()
_DEPENDENCIES = "assemblies that the manifest asks for"  # most files have none, and each tree asks


class _Identity(NamedTuple):
    name: str
    version: str
    token: str


def redirection(image: Image, target: Target) -> Redirection:
    """What the manifest of a DLL redirects; nothing if it has none or it cannot be parsed."""
    if _DEPENDENCIES not in image.file.asked:
        image.file.asked[_DEPENDENCIES] = tuple(_dependencies(image.manifest(DLL_MANIFEST)))
    asked_for: tuple[_Identity, ...] = image.file.asked[_DEPENDENCIES]
    if not asked_for:
        return _NOTHING
    dlls: dict[str, str] = {}
    missing = []
    for identity in asked_for:
        found = _locate(identity, image.path, target)
        if found is None:
            missing.append(identity.name)
        else:
            dlls.update(found)
    return Redirection(dlls, tuple(missing))


def _dependencies(manifest: bytes | None) -> Iterable[_Identity]:
    if not manifest or b"dependentAssembly" not in manifest.replace(b"\0", b""):  # in UTF-16, too
        return
    from xml.etree import ElementTree as ET

    if b"<!ENTITY" in manifest:  # no manifest declares entities; one that does means harm
        return
    try:
        root = ET.fromstring(manifest)  # noqa: S314  (without entities there is nothing to expand)
    except ET.ParseError:
        return
    for node in root.iter():
        if node.tag.rpartition("}")[2] != "dependentAssembly":
            continue
        for identity in node:
            if identity.tag.rpartition("}")[2] == "assemblyIdentity":
                get = identity.attrib.get
                yield _Identity(get("name", ""), get("version", ""), get("publicKeyToken", ""))


def _locate(identity: _Identity, path: str, target: Target) -> dict[str, str] | None:
    """The DLLs of an assembly, {} if it is there and its DLLs are not known, None if it is nowhere."""
    if any(identity.name.lower() == name.lower() for name in _OF_WINDOWS):
        return {}
    supplier = runtimes.assembly_supplier(identity.name, target.architecture)
    if supplier and supplier.id in [choice.partition("=")[0] for choice in target.runtimes]:
        return {}
    store = target.windows.root and Directory(target.windows.root).find("WinSxS")
    if store:
        folder = _in_store(identity, store, target.architecture)
        if folder:
            return _dlls_in(folder)
    return _private(identity, os.path.dirname(os.path.abspath(path)))


def _in_store(identity: _Identity, store: str, architecture: str) -> str | None:
    """The newest folder of the same name, key and major.minor version: publisher policy redirects to it."""
    processor = {"x64": "amd64"}.get(architecture, architecture)
    release = ".".join(identity.version.split(".")[:2])
    start = f"{processor}_{identity.name}_{identity.token}_{release}.".lower()
    try:
        folders = [name for name in files.names(store) if name.lower().startswith(start)]
    except OSError:
        return None
    newest = max(folders, key=lambda name: [int(n) for n in re.findall(r"\d+", name.split("_")[3])], default=None)
    return os.path.join(store, newest) if newest else None


def _private(identity: _Identity, directory: str) -> dict[str, str] | None:
    """An assembly beside the file or in a folder of its name there, as name.dll or name.manifest."""
    for folder in (directory, os.path.join(directory, identity.name)):
        listing = Directory(folder)
        if listing.find(f"{identity.name}.manifest") or listing.find(f"{identity.name}.dll"):
            return _dlls_in(folder)
    return None


def _dlls_in(folder: str) -> dict[str, str]:
    names = (name for name in files.names_in(folder) if name.lower().endswith(".dll"))
    return {name.lower(): os.path.join(folder, name) for name in names}
