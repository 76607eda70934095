"""Files of one Python in another: a user's own site, PYTHONPATH, another prefix, pip's packages among conda's."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from depwalk import wheel
from depwalk.diagnosis import commands
from depwalk.finding import Finding, Remedy
from depwalk.target.environment import site_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.target.environment import Environment
    from depwalk.wheel import Distribution

# What a file of another Python explains: it is for that one.
_OF_ANOTHER = {"wrong-python", "wrong-architecture", "wrong-wheel"}
_VERSION = re.compile(r"^version(?:_info)?\s*=\s*3\.(\d+).*$", re.MULTILINE | re.ASCII)  # by venv, by virtualenv
_UNEXPLAINED = {"init-failed", "crash-on-load"}


def conda_lacks(evidence: Evidence, missing: Sequence[Module]) -> Iterator[Finding]:
    """`mixed-environment`: a package of pip loads a DLL from conda's own directory, and no conda package is there."""
    environment = evidence.target.environment
    if environment is None or not environment.conda or evidence.imported is None:
        return
    for module in missing:
        path, owner = evidence.written_name(module), _importing(evidence, environment)
        own = _is_in(path, os.path.join(environment.prefix, "Library"))
        if not own or owner is None or owner.installer in ("", "conda"):
            continue
        yield Finding(
            "mixed-environment",
            "error",
            module.name,
            f"{owner.name} was installed by {owner.installer} and takes {module.name} from the conda "
            "environment, where conda has not installed it.",
            needed_by=evidence.importer(module),
            evidence=(f"asked for: {path}", f"{owner} was installed by {owner.installer}"),
            remedy=_with_conda(owner),
            proof="inferred",
        )


def mixed_environment(evidence: Evidence, findings: Sequence[Finding]) -> list[Finding]:
    """The findings, with `mixed-environment` beside an error whose file is not of the Python or manager in question.

    It takes the place of an error that says only how a DLL failed, and not why.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    environment, path = evidence.target.environment, evidence.graph.root.path
    if environment is None or not errors or not path:
        return list(findings)
    foreign = _foreign(path, environment, shared=any(finding.code in _OF_ANOTHER for finding in errors))
    if foreign is not None:
        return [*findings, _of_another_python(evidence, environment, *foreign)]
    outdated = _outdated(evidence, environment) if environment.is_virtual else None
    if outdated is not None:
        return [*findings, outdated]
    mixed = _two_managers(evidence, environment, errors) if environment.conda else None
    if mixed is None:
        return list(findings)
    kept = [error for error in findings if error.code not in _UNEXPLAINED or error.module != mixed.module]
    how = tuple(error.message for error in findings if error not in kept)
    if how:
        mixed = mixed._replace(severity="error", evidence=(*how, *mixed.evidence), proof="inferred")
    return [*kept, mixed]


def _of_another_python(evidence: Evidence, environment: Environment, why: str, remedy: str) -> Finding:
    name, python = evidence.graph.root.name, evidence.target.python
    return Finding(
        "mixed-environment",
        "warning",
        name,
        f"{name} was not installed into the Python that loads it: {why}.",
        evidence=(
            f"file: {evidence.graph.root.path}",
            f"loaded by: {python.label if python else environment.base}",
            *((f"virtual environment {environment.prefix}, made from {environment.base}",) * environment.is_virtual),
            *(f"{key}={value}" for key in ("PYTHONPATH", "PYTHONHOME") if (value := environment.variable(key))),
        ),
        remedy=Remedy(remedy, f"{commands.pip(evidence)} install --force-reinstall {evidence.package}"),
    )


def _outdated(evidence: Evidence, environment: Environment) -> Finding | None:
    """A virtual environment that was made with a minor version that its base no longer is."""
    python = evidence.target.python
    made = _VERSION.search(wheel.text_of(os.path.join(environment.prefix, "pyvenv.cfg")))
    if python is None or made is None or int(made[1]) == python.minor:
        return None
    return Finding(
        "mixed-environment",
        "warning",
        evidence.graph.root.name,
        f"The packages of the virtual environment {environment.prefix} are for CPython 3.{made[1]}, with which it was "
        f"made; its Python is {python.name} now.",
        evidence=(f"{os.path.join(environment.prefix, 'pyvenv.cfg')}: {made[0].strip()}", f"loaded by: {python.label}"),
        remedy=Remedy(
            "Make the environment anew, which empties it, and install its packages again:",
            f'"{os.path.join(environment.base, "python.exe")}" -m venv --clear "{environment.prefix}"',
        ),
    )


def _foreign(path: str, environment: Environment, *, shared: bool) -> tuple[str, str] | None:
    """(why a file of another Python is taken, what to do); None if the file is this one's own, or nobody's.

    `shared`: it does not fit this Python, so that a site which Pythons of one version share counts as another's.
    """
    install = "Install it for this Python"
    user = environment.user_base
    if user is not None and _is_in(path, user):
        why = f"it lies in {user}, where `pip install --user` puts packages"
        return (why, f"{install} itself, and start Python with -s:") if shared else None
    if any(_is_in(path, own) for own in (environment.prefix, environment.base, *environment.sites)):
        return None
    for entry in environment.variable("PYTHONPATH").split(";"):
        if entry and _is_in(path, entry):
            return f"the variable PYTHONPATH names {entry}", f"{install}, and take that directory off PYTHONPATH:"
    home = environment.variable("PYTHONHOME")
    if home and _is_in(path, home):
        return f"the variable PYTHONHOME names {home}", f"{install}, and remove the variable PYTHONHOME:"
    site = site_of(path)
    if site is None:
        return None
    return (
        f"it lies in {site}, which belongs to another one",
        f"{install}, and take that directory off its path:",
    )


def _two_managers(evidence: Evidence, environment: Environment, errors: Sequence[Finding]) -> Finding | None:
    """A package of pip fails at a DLL that conda brought."""
    owner = evidence.distribution
    if owner is None or owner.installer in ("", "conda"):
        return None
    names = {error.module.lower() for error in errors}
    for module in evidence.graph.modules[1:]:
        package = _of_conda(module, environment) if module.name.lower() in names else None
        if package is not None:
            return Finding(
                "mixed-environment",
                "warning",
                module.name,
                f"{owner.name} was installed by {owner.installer}, and {module.name}, at which it fails, by conda: "
                "the two were not made for each other.",
                needed_by=evidence.importer(module),
                evidence=(f"{evidence.graph.root.path} is of {owner}", f"{module.path} is of {package}, by conda"),
                remedy=_with_conda(owner),
            )
    return None


def _of_conda(module: Module, environment: Environment) -> Distribution | None:
    if module.path is None or not _is_in(module.path, environment.prefix):
        return None
    return wheel.conda_package_of(module.path, environment.prefix)


def _with_conda(owner: Distribution) -> Remedy:
    return Remedy(
        f"Install {owner.name} with conda too, from the same channel, or use it in an environment without conda:",
        f"conda install -c conda-forge {wheel.normalised(owner.name)}",
    )


def _importing(evidence: Evidence, environment: Environment) -> Distribution | None:
    """The distribution of the package whose import ended: the last one that was begun and that RECORD knows."""
    trace = evidence.imported
    for name in (trace.name, *reversed(trace.imported)) if trace is not None else ():
        for site in environment.sites:
            found = wheel.distribution_of(os.path.join(site, name.partition(".")[0], "__init__.py"))
            if found is not None:
                return found
    return None


def _is_in(path: str, directory: str) -> bool:
    return f"{_key(path)}/".startswith(f"{_key(directory)}/")


def _key(path: str) -> str:
    return os.path.normpath(path).replace("\\", "/").rstrip("/").lower()
