"""Commands that put a package right, for the interpreter and the package manager in question."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from depwalk.diagnosis.evidence import Evidence
    from depwalk.wheel import Distribution


def pip(evidence: Evidence) -> str:
    """The pip of the interpreter that loads the file."""
    python = evidence.target.python
    if python is None:
        return "python -m pip"
    executable = python.launcher or python.executable
    return f'"{executable}" -m pip' if executable and not python.stand_in else f"py -{python.name} -m pip"


def reinstall(evidence: Evidence, distribution: Distribution) -> str:
    """The same version once more, fetched again, by what installed it."""
    if distribution.installer == "conda":
        return f"conda install --force-reinstall {distribution.name}"
    wanted = f"{distribution.name}=={distribution.version}"
    return f"{pip(evidence)} install --force-reinstall --no-deps --no-cache-dir {wanted}"
