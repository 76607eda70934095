"""Instructions that this processor, or its Windows, does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk import cpu, isa
from depwalk.diagnosis.evidence import Finding, Remedy

if TYPE_CHECKING:
    from depwalk.diagnosis.evidence import Evidence
    from depwalk.loader import Raised

CODES = ("cpu-feature-missing", "cpu-feature-disabled")
ILLEGAL_INSTRUCTION = 0xC000001D


def illegal_instruction(evidence: Evidence, name: str, exception: Raised, facts: tuple[str, ...]) -> Finding | None:
    """`cpu-feature-missing` or `cpu-feature-disabled`: an instruction at which a load ended, and that is not usable.

    None for another exception, an instruction that every processor has, and one that this processor can execute.
    """
    if exception.code != ILLEGAL_INSTRUCTION:
        return None
    found = isa.instruction(exception.code_bytes, 32 if evidence.target.architecture == "x86" else 64)
    processor = cpu.live()
    if found is None or found.kind or processor is None:
        return None
    lacking = next((name for name in found.needs if name != isa.BASE and not processor.feature(name).usable), None)
    if lacking is None:
        return None
    feature = processor.feature(lacking)
    label = cpu.label(lacking)
    told = (
        *facts,
        f"instruction there: {exception.code_bytes.hex(' ')} ({found.label}, {found.encoding} encoding)",
        f"this processor: {cpu.brand() or 'without a name'}",
    )
    if feature.in_cpu:
        return Finding(
            "cpu-feature-disabled",
            "error",
            name,
            f"{name} runs {label} instructions while it is loaded; this processor has them, but Windows does not "
            "let programs use them.",
            evidence=told,
            remedy=Remedy(
                f"Enable {label}: update Windows, undo `bcdedit /set xsavedisable`, or let the virtual machine "
                f"pass {label} on. Otherwise use a build of the package without {label}."
            ),
            proof="loader",
        )
    return Finding(
        "cpu-feature-missing",
        "error",
        name,
        f"{name} runs {label} instructions while it is loaded, and this processor does not have {label}.",
        evidence=told,
        remedy=Remedy(
            f"Use a build of the package for processors without {label}, or an older version that has one; "
            "no DLL that could be installed helps."
        ),
        proof="loader",
    )
