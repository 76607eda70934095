"""What the code of a DLL did while it was loaded: it gave up, crashed, ended the process, or never came back."""

from __future__ import annotations

import ntpath
from typing import TYPE_CHECKING

from depwalk import loader, runtimes
from depwalk.diagnosis import blocked, processor, told
from depwalk.diagnosis.runtimes import install
from depwalk.finding import Finding, Remedy
from depwalk.host import events

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.loader import Failure, LoadTrace, Raised

_SHOWN = 300  # characters of what a process wrote

# Codes into which the loader turns the exceptions of an initialisation (windows-loader 3).
_EXCEPTIONS = {998: 0xC0000005, 999: 0xC0000006, 1001: 0xC00000FD}
_INIT_FAILED = 1114
_STACK_OVERFLOW = 0xC00000FD
_LOWEST_EXCEPTION = 0x40000000
_ABORTED = 3  # what the C runtime's abort ends a process with
_MODULE, _CODE, _OFFSET = 3, 6, 7  # fields of an event of Application Error

# Where exceptions are raised for somebody else's fault.
_RUNTIMES = ("ntdll.", "kernel32.", "kernelbase.", "ucrtbase", "vcruntime", "msvcp", "msvcr", "win32u.", "concrt")

_UNPROVEN = Remedy(
    "Run depwalk again with -v, and report what it prints: the files alone do not explain this failure.",
)


def from_load(evidence: Evidence, load: LoadTrace) -> Iterable[Finding]:
    """The causes of a load that failed although nothing is wrong with the files, one for each module at fault."""
    if load.ending_unknown:
        message = f"{evidence.loading} does not load, and the code is not known: ctypes does not load here either."
        yield Finding("analysis-incomplete", "error", evidence.loading, message, remedy=_UNPROVEN, proof="loader")
        return
    named = (
        [*_by_processor(evidence, load)] or [*blocked.by_events(evidence, load)] or [*told.from_snaps(evidence, load)]
    )
    if named:
        yield from named
    elif load.failures:
        alike = [failure for failure in load.failures if _ended_alike(failure, load)]
        for failure in load.failures:
            found = _alone(evidence, load, failure)
            yield found._replace(severity="warning") if alike and failure not in alike else found
    else:
        yield _root(evidence, load)


def _by_processor(evidence: Evidence, load: LoadTrace) -> Iterable[Finding]:
    """An instruction that this processor does not have: the module that holds it is at fault, whoever called it."""
    exception = fatal(load, load.code, load.exit_code)
    if exception is None:
        return
    path = exception.module or evidence.loading
    finding = processor.illegal_instruction(
        evidence, ntpath.basename(path), exception, (*_exception_facts(exception), *_words(load))
    )
    if finding is not None:
        same = [found for found in evidence.graph.modules[1:] if (found.path or "").lower() == path.lower()]
        needed_by = evidence.importer(same[0]) if same else ""
        yield finding._replace(
            needed_by=needed_by, evidence=(*finding.evidence, *(evidence.chain(same[0]) if same else ()))
        )


def _ended_alike(failure: Failure, load: LoadTrace) -> bool:
    """Whether a module fails alone as the whole load did: then it is its cause, and others are further ones."""
    if load.timed_out:
        return failure.code is None and failure.exit_code is None
    return (failure.code, failure.exit_code) == (load.code, load.exit_code)


def _root(evidence: Evidence, load: LoadTrace) -> Finding:
    """Nothing that it needs fails alone: it is the file itself, wherever its code was when it happened."""
    exception = fatal(load, load.code, load.exit_code)
    finding = _finding(evidence, load, evidence.graph.root, load.code, load.exit_code, exception)
    return finding._replace(evidence=(*finding.evidence, *_by_code(evidence)))


def _by_code(evidence: Evidence) -> Iterable[str]:
    """What is missing to a DLL that the code of this one tried to load."""
    for graph in evidence.loaded_by_code:
        missing = [module for module in graph.modules[1:] if module.status == "missing" and not module.delayed]
        for module in missing[:1]:
            yield f"its code loads {graph.root.path}, and {module.name}, which that needs, is missing"


def _alone(evidence: Evidence, load: LoadTrace, failure: Failure) -> Finding:
    """A dependency that fails alone although everything that it needs loads."""
    name = ntpath.basename(failure.path)
    supplier = runtimes.supplier(name, evidence.target.architecture)
    exception = fatal(load, failure.code, failure.exit_code)
    if exception is not None and exception.module and ntpath.basename(exception.module).lower() != name.lower():
        exception = None if not _is_runtime(exception.module) else exception
    module = next((found for found in evidence.graph.modules if found.path == failure.path), evidence.graph.root)
    finding = _finding(evidence, load, module, failure.code, failure.exit_code, exception)
    importer = evidence.importer(module)
    known = (f"the file is there: {failure.path}", *finding.evidence, _alone_words(failure), *evidence.chain(module))
    facts = tuple(dict.fromkeys(known))  # a file that is blocked is told with its chain
    if failure.code == loader.MODULE_NOT_FOUND and supplier is not None:
        written = evidence.written_name(module)
        return Finding(
            "missing-msvc-runtime",
            "error",
            written,
            f"{written}, a part of {supplier.short}, does not load on this machine; {importer} needs it.",
            needed_by=importer,
            evidence=facts,
            remedy=install(supplier),
            proof="loader",
        )
    return finding._replace(needed_by=importer, evidence=facts, also=failure.circle)


def _alone_words(failure: Failure) -> str:
    if not failure.circle:
        return "loaded alone it fails, and everything it needs loads"
    return f"it and {' and '.join(failure.circle)} need each other and fail alike: either may be the one at fault"


def _finding(
    evidence: Evidence,
    load: LoadTrace,
    module: Module,
    code: int | None,
    exit_code: int | None,
    exception: Raised | None,
) -> Finding:
    """The finding of one module: by the exception if there was one, by how the process ended, by the loader's code."""
    facts = (*_exception_facts(exception), *_words(load))
    if code is None and exit_code is None:
        return _hung(evidence, module, load, facts)
    answer = code if code is not None else exit_code or 0
    if loader.describe(answer).get("finding") in blocked.HANDLED:
        return blocked.refusal(evidence, module, answer, facts)
    if code is None:
        return _died(module.name, answer, exception, (*facts, *_reported(evidence, answer)))
    return _refused(module.name, code, facts)


def fatal(load: LoadTrace, code: int | None, exit_code: int | None) -> Raised | None:
    """The exception that ended a load: the last one of the kind that its code, or its exit status, tells."""
    wanted = code if code is not None else exit_code
    if wanted is None:
        return None
    wanted = _EXCEPTIONS.get(wanted, wanted)
    died_of = {wanted}
    if code is None:
        died_of.add(_STACK_OVERFLOW)  # a process without stack left may end with any status
    elif code == _INIT_FAILED:
        died_of.add(processor.ILLEGAL_INSTRUCTION)  # the DLL's own code may have caught it, and given up
    of_kind = [exception for exception in load.raised if exception.code in died_of]
    return of_kind[-1] if of_kind else None


def _is_runtime(path: str) -> bool:
    return ntpath.basename(path).lower().startswith(_RUNTIMES)


def exception_facts(load: LoadTrace) -> Iterable[str]:
    """Where the exception was that ended a process."""
    return _exception_facts(fatal(load, load.code, load.exit_code))


def _exception_facts(exception: Raised | None) -> Iterable[str]:
    if exception is None:
        return
    row = loader.describe(exception.code)
    name = f" ({row['name']})" if "name" in row else ""
    about = f", {exception.access} of address 0x{exception.target:X}" if exception.access else ""
    yield f"exception 0x{exception.code:08X}{name} at {exception.place}{about}"


def _reported(evidence: Evidence, exit_code: int) -> Iterable[str]:
    """What Windows itself reported of a crash of that kind in these minutes; the order of its fields never changed."""
    for event in evidence.host.events.found if evidence.host.events else ():
        values = [value for _, value in event.data]
        if event.provider == events.CRASH and len(values) > _OFFSET and _hex(values[_CODE]) == exit_code:
            yield (
                f"Windows reported at {event.when} (event {event.id}): {values[0]} failed in {values[_MODULE]} "
                f"{values[_MODULE + 1]} at offset 0x{_hex(values[_OFFSET]):X}"
            )
            return


def _hex(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _words(load: LoadTrace) -> Iterable[str]:
    """The last that the process said before it failed: often its own reason. A traceback is Python's."""
    output = "" if "Traceback (most recent call last)" in load.output else load.output
    for label, text in (("wrote", output), ("said to a debugger", "\n".join(load.messages[-3:]))):
        last = " / ".join(line.strip() for line in text.strip().splitlines()[-3:] if line.strip())
        if last:
            yield f"it {label}: {last[-_SHOWN:]}"


def _hung(evidence: Evidence, module: Module, load: LoadTrace, facts: tuple[str, ...]) -> Finding:
    name = module.name
    remedy = Remedy(
        "Try a longer --timeout. If that does not help, code of this DLL waits for something that never comes: "
        "install another version of its package, and report this to its authors."
    )
    if evidence.imported is not None:  # the program may be what makes it wait
        remedy = Remedy(
            "Look whether this file loads by itself. If it does, import the package at the start of the program and in "
            "its main thread, before other threads begin; if not, report this to its authors.",
            f'python -m depwalk "{module.path or name}"',
        )
    return Finding(
        "hang-on-load",
        "error",
        name,
        f"Loading {name} did not end within the time limit; it was stopped.",
        evidence=(f"stopped after {load.elapsed_ms / 1000:.1f} s", *facts),
        remedy=remedy,
        proof="loader",
    )


def _died(name: str, code: int, exception: Raised | None, facts: tuple[str, ...]) -> Finding:
    row = loader.describe(code)
    if exception is not None:
        what = str(loader.describe(exception.code).get("text", "of an exception"))
    elif code < _LOWEST_EXCEPTION:  # nobody's exception: it ended the process itself
        what = f"its code ended the process with status {code}" + (", as abort does" if code == _ABORTED else "")
    else:
        what = str(row.get("text", "its code ended the process"))
    return Finding(
        "crash-on-load",
        "error",
        name,
        f"The process that loaded {name} ended while it was loading: {what}.",
        evidence=(f"exit code: 0x{code:08X}" + (f" ({row['name']})" if "name" in row else f" ({code})"), *facts),
        remedy=_REMEDIES["crash-on-load"],
        proof="loader",
    )


def _refused(name: str, code: int, facts: tuple[str, ...]) -> Finding:
    row = loader.describe(code)
    is_exception = code >= _LOWEST_EXCEPTION
    finding = row.get("finding") or ("crash-on-load" if is_exception else "analysis-incomplete")
    shown = f"0x{code:08X}" if is_exception else str(code)
    what = row.get("text", "depwalk does not know this code")
    return Finding(
        finding,
        "error",
        name,
        f"The loader refused {name} with code {shown}: {what}.",
        evidence=(f"code: {shown}" + (f" ({row.get('status') or row.get('name')})" if row else ""), *facts),
        remedy=Remedy(row["remedy"]) if "remedy" in row else _REMEDIES.get(finding, _UNPROVEN),
        proof="loader",
    )


_REMEDIES = {
    "path-too-long": Remedy("Move the environment to a directory with a shorter path."),
    "search-path-problem": Remedy(
        "Check the directories given with --dll-dir: each must be an absolute path that exists."
    ),
    "side-by-side": Remedy(
        "Install the redistributable with the assembly that Windows reported (Application log, SideBySide, event 33)."
    ),
    "init-failed": Remedy(
        "Install another version of its package, and report this to its authors: code of this DLL gave up."
    ),
    "crash-on-load": Remedy(
        "Install another version of its package, and report this to its authors: code of this DLL crashed."
    ),
}
