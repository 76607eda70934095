"""The Python environment around an interpreter: its directories, and the variables that change what it finds."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from depwalk import files, tables
from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Literal

    from depwalk.target.python import Python

_KEPT = re.compile(
    "PYTHONPATH|PYTHONHOME|PYTHONUSERBASE|APPDATA|CONDA_PREFIX|CONDA_DLL_SEARCH_MODIFICATION_ENABLE|VIRTUAL_ENV"
    "|USE_PATH_FOR_GDAL_PYTHON|WEASYPRINT_DLL_DIRECTORIES|CUDA_PATH.*|PROGRAMFILES.*|SYSTEMDRIVE",
    re.IGNORECASE | re.ASCII,
)
_USER_SITE = re.compile(r"Python3\d+(-32|-arm64)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Environment:
    """`prefix` is sys.prefix (of a virtual environment, or of the installation); `base` that of the installation."""

    prefix: str
    base: str
    conda: bool  # an environment that conda made
    sites: tuple[str, ...]  # site-packages directories, the environment's own first, then the user's
    user_base: str | None = None  # where `pip install --user` puts things: %APPDATA%\Python\Python3XY
    variables: Mapping[str, str] = field(default_factory=dict)  # upper-case name -> value, those that matter to DLLs

    @property
    def is_virtual(self) -> bool:
        """A venv or virtualenv: another installation's python.exe runs."""
        return os.path.normcase(self.prefix) != os.path.normcase(self.base)

    @property
    def package_manager(self) -> Literal["conda", "pip"]:
        """What installs into it: conda where there is one, pip everywhere else."""
        return "conda" if self.conda else "pip"

    @property
    def is_active(self) -> bool:
        """A conda environment that was activated, so that its directories are on PATH."""
        return self.conda and os.path.normcase(self.variable("CONDA_PREFIX")) == os.path.normcase(self.prefix)

    def dll_directories(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Directories around it that are there and may hold DLLs, each with its row of data/places.toml."""
        met = {"": True, "inactive": self.conda and not self.is_active, "virtual": self.is_virtual}
        for row in tables.table("places.toml")["place"]:
            for root in self._roots(row["root"]) if met[row.get("when", "")] else ():
                yield from ((path, row) for path in _matching(root, row["directory"]))

    def _roots(self, name: str) -> tuple[str, ...]:
        if name.startswith("$"):
            return tuple(value for key, value in self.variables.items() if fnmatchcase(key, name[1:]) and value)
        users = (os.path.dirname(self.user_base),) if self.user_base else ()  # `Python3XY` holds no data files
        return {"prefix": (self.prefix,), "base": (self.base,), "site": self.sites, "user": users}[name]

    def variable(self, name: str) -> str:
        """An environment variable of the process; empty if it is not set."""
        return self.variables.get(name.upper(), "")


def kept(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of a process's environment variables that matter here, by upper-case name."""
    return {name.upper(): value for name, value in variables.items() if _KEPT.fullmatch(name)}


def around(python: Python | None, path: str | None, variables: Mapping[str, str]) -> Environment | None:
    """The environment of an interpreter that is here; else that of the site-packages in which a file lies.

    None if there is neither: a DLL somewhere on a disk, for a Python that is only assumed.
    """
    if python is not None and python.directory.is_real:
        base = python.directory.path
        prefix = _prefix_of(python.launcher) if python.launcher else base
    else:
        site = site_of(path) if path else None
        if site is None or _is_user_site(site):
            return None
        base = prefix = _prefix_of_site(site)
    user_base = _user_base(python, variables)
    own = [os.path.join(prefix, "Lib", "site-packages")]
    users = [os.path.join(user_base, "site-packages")] if user_base else []
    return Environment(
        prefix=prefix,
        base=base,
        conda=Directory(prefix).find("conda-meta") is not None,
        sites=tuple(site for site in [*own, *users] if files.is_directory(site)),
        user_base=user_base,
        variables=variables,
    )


def site_of(path: str) -> str | None:
    """The site-packages directory in which a file lies, None if it lies in none."""
    return _site_above(os.path.dirname(os.path.abspath(path)))


@files.remembered
def _site_above(directory: str) -> str | None:
    while os.path.dirname(directory) != directory:
        if os.path.basename(directory).lower() in ("site-packages", "dist-packages"):
            return directory
        directory = os.path.dirname(directory)
    return None


def _matching(root: str, pattern: str) -> list[str]:
    """Directories of a pattern below a root, without regard to case."""
    found = [root + os.sep if root.endswith(":") else root]
    for part in pattern.lower().split("\\"):
        found = [
            os.path.join(path, name) for path in found for name in folders(path) if fnmatchcase(name.lower(), part)
        ]
    return found


def folders(path: str) -> list[str]:
    """Names of the directories in a directory; none if it cannot be read."""
    try:
        return [name for name in files.names(path) if files.is_directory(os.path.join(path, name))]
    except OSError:
        return []


def _prefix_of(launcher: str) -> str:
    """sys.prefix of the environment whose Scripts directory holds a python.exe."""
    directory = os.path.dirname(os.path.abspath(launcher))
    return os.path.dirname(directory) if os.path.basename(directory).lower() in ("scripts", "bin") else directory


def _prefix_of_site(site: str) -> str:
    parent = os.path.dirname(site)
    return os.path.dirname(parent) if os.path.basename(parent).lower() == "lib" else parent


def _is_user_site(site: str) -> bool:
    return _USER_SITE.fullmatch(os.path.basename(os.path.dirname(site))) is not None


def _user_base(python: Python | None, variables: Mapping[str, str]) -> str | None:
    """site.getuserbase(), with the directory of the version (CPython: sysconfig, scheme nt_user)."""
    root = variables.get("PYTHONUSERBASE") or (
        os.path.join(variables["APPDATA"], "Python") if variables.get("APPDATA") else ""
    )
    if not root or python is None:
        return None
    suffix = {"x86": "-32", "arm64": "-arm64"}.get(python.architecture, "") if python.minor >= 10 else ""
    found = os.path.join(root, f"Python3{python.minor}{suffix}")
    return found if os.path.isdir(found) else None
