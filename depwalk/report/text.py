"""The text report: the answer first, then each cause and what to do, then the tree, then notes.

A pure function of a Result: it makes lines, and prints nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from depwalk import cpu, isa
from depwalk.cpu import LIVE
from depwalk.diagnosis import processor, search_path
from depwalk.report.lines import Line, columns, shown, wrap
from depwalk.report.remedies import remedy_lines
from depwalk.report.tree import ASCII, Glyphs, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Callable

    from depwalk.finding import Finding
    from depwalk.loader.imports import ImportTrace
    from depwalk.result import Result
    from depwalk.search import Status

_VERDICTS = {"loads": ("loads", "good"), "fails": ("does NOT load", "bad"), "unknown": ("may or may not load", "warn")}
_PROGRAM_VERDICTS = {
    "loads": ("loads all that it needs", "good"),
    "fails": ("does NOT work", "bad"),
    "unknown": ("failed, and not because of a DLL", "warn"),
}
NOTHING = Line("The import loads no extension module that can be seen in its source.", "good")
_LABELS = {"error": "ERROR", "warning": "WARNING", "note": "NOTE"}
_PROOFS = {
    "loader": "the Windows loader itself showed it",
    "static": "read in the files",
    "inferred": "concluded from this; nothing showed it directly",
}
_TAGS = {"loader": "seen here", "static": "", "inferred": "concluded, not seen"}  # the same in short
_LINES = 5  # of a cause, if nobody asks for more: what one takes in at a glance
_FACT = ("  - ", "    ")  # what goes before the lines of one
_CUT = " ... (see -v)"
_PROSE = 100  # columns: longer lines are hard to read
_STYLES = {"error": "bad", "warning": "warn", "note": ""}

_HEADLINES = {  # behind the name of the module
    "missing-dll": "is missing",
    "missing-msvc-runtime": "is missing",
    "msvc-runtime-too-old": "is too old",
    "missing-python-dll": "is missing",
    "missing-windows-feature": "is missing",
    "not-searched": "is not searched for where it is",
    "path-too-long": "has a path that is too long",
    "delay-load-missing": "fails at its first call",
    "wrong-architecture": "has the wrong architecture",
    "corrupt-file": "is damaged",
    "modified-file": "is not as its package installed it",
    "quarantined": "was taken away by Microsoft Defender",
    "missing-export": "lacks a function",
    "access-denied": "may not be loaded",
    "blocked-by-policy": "is blocked by a policy",
    "blocked-by-antivirus": "is blocked by an antivirus program",
    "out-of-memory": "needs more memory than there is",
    "shadowed": "is found in the wrong place",
    "already-loaded": "is in the process in another version",
    "side-by-side": "is not installed",
    "init-failed": "fails to initialise",
    "crash-on-load": "crashes while it is loaded",
    "hang-on-load": "never ends loading",
    "debug-runtime": "is missing",
    "missing-gpu-runtime": "is missing",
    "cpu-feature-missing": "needs instructions that the processor does not have",
    "cpu-feature-disabled": "needs instructions that Windows does not let it use",
    "wrong-wheel": "comes from a wheel that does not fit",
    "mixed-environment": "is of another environment than what it works with",
}


def render(
    result: Result, *, width: int = 80, glyphs: Glyphs = ASCII, everything: bool = False, verbose: bool = False
) -> list[Line]:
    """The whole report in lines of at most `width` columns, except for paths and commands, which stay whole."""
    verdict = answer(result)
    whole, width = width, min(width, _PROSE)
    lines = [*wrap(verdict.text, width, style=verdict.style), *wrap(basis(result), width)]
    for finding in result.findings:
        if finding.severity == "error":
            lines += [Line(""), *_finding(finding, width, verbose=verbose)]
    is_file = result.graph.root.image is not None or bool(result.graph.edges)
    if is_file:
        tree = Tree(result, whole, glyphs, everything=everything, verbose=verbose)
        lines += [Line(""), Line("Dependencies", "head"), *tree.lines()]
    for finding in result.findings:
        if finding.severity != "error":
            lines += [Line(""), *_finding(finding, width, verbose=verbose)]
    if verbose:
        lines += [Line(""), Line("Search", "head")]
        for step in search_path.listing(result.target, result.graph.rules):
            lines += wrap(step, whole, "  ", "      ")
        lines += [Line(""), Line("GPU", "head"), *_gpu(result, width)]
        if result.judged:
            lines += [Line(""), Line("Code", "head"), *_code(result, width)]
    return [*lines, Line(""), *wrap(counts(result), width)] if is_file else lines


def brief(result: Result, width: int) -> list[Line]:
    """The answer and the causes, without the tree: what stands under a traceback."""
    lines = [Line("depwalk:", "head"), *wrap(answer(result).text, width)]
    for finding in result.findings:
        if finding.severity == "error" or finding is result.findings[0]:
            lines += [Line(""), *_finding(finding, width, verbose=False)]
    return lines


def answer(result: Result) -> Line:
    """The verdict in one line, however long."""
    words, style = (_PROGRAM_VERDICTS if result.imported else _VERDICTS)[result.verdict]
    errors = [finding for finding in result.findings if finding.severity == "error"]
    reason = f": {_headline(errors[0], result)}" if errors and result.verdict == "fails" else ""
    return Line(shown(f"{result.name} {words}{reason}"), style)


def _headline(finding: Finding, result: Result) -> str:
    if finding.code == "wrong-python":
        said = finding.message.partition(";")[0]
        root = result.graph.root.name
        return said.replace(root, "it", 1) if finding.needed_by == root else said
    if finding.code == "analysis-incomplete" and result.imported is not None and result.imported.uncaught:
        return result.imported.uncaught[0]
    if finding.code == "windows-too-old":
        return f"this Windows is too old for {finding.needed_by or finding.module}"
    if finding.code in _HEADLINES:
        name = "it" if finding.module == result.graph.root.name else finding.module
        return f"{name} {_HEADLINES[finding.code]}"
    return finding.code.replace("-", " ")


def several(results: Sequence[Result], render: Callable[[Result], list[Line]], width: int) -> list[Line]:
    """The extension modules that one import loads: the first that ends it in full, the others in a line each."""
    count = f"{len(results)} extension module" + ("" if len(results) == 1 else "s")
    if not results:
        return [NOTHING]
    needed = [result for result in results if result.verdict != "loads" and not result.optional]
    optional = [answer(result) for result in results if result.verdict != "loads" and result.optional]
    if needed:
        told = f"The import needs {count}; {len(needed)} of them will not load, or may not."
        page = [*render(needed[0]), Line(""), *wrap(told, width)]
        page += [line for result in needed[1:] for line in wrap(answer(result).text, width, "  ", style="bad")]
    else:
        told = f"It imports {count}, and " + ("all that it needs load." if optional else "all load.")
        page = list(wrap(f"{told} Predicted from the files alone.", width, style="good"))
    if optional:
        page += [Line(""), *wrap("It goes on without these, if it imports them at all:", width)]
        page += [line for found in optional for line in wrap(found.text, width, "  ", style="warn")]
    return page


def _program(trace: ImportTrace) -> str:
    """What an import, or a program, did until it ended."""
    how = "it was stopped at the time limit" if trace.timed_out else f"it took {trace.elapsed_ms:.0f} ms"
    counts = f"{len(trace.extensions)} extension modules" if len(trace.extensions) != 1 else "1 extension module"
    return f"{how}, with {len(trace.imported)} imports and {counts}"


def basis(result: Result) -> str:
    """Who says so, in a sentence."""
    where = result.target.windows.label
    if result.cpu is not None and result.cpu.name != LIVE:
        where += f" with processor {shown(result.cpu.name)}"
    process = result.target.python.label if result.target.python else f"a {result.target.architecture} process"
    if result.imported is not None:
        if not result.imported.python:
            process = "the program"
        return f"Run and traced under {where}, in {process}: {_program(result.imported)}."
    if result.load is None:
        return f"Predicted from the files alone, for {process} on {where}; the file was not loaded."
    if result.load.timed_out:
        answer = "it did not answer in time"
    elif result.load.code is None:
        answer = f"the process ended with 0x{result.load.exit_code or 0:08X}"
    elif result.load.loaded:
        answer = f"it loaded the file in {result.load.elapsed_ms:.0f} ms"
    else:
        code = result.load.code
        answer = f"code {code if code < 1 << 16 else f'0x{code:08X}'}"
        answer += f" ({result.load.status})" if result.load.status else ""
    return f"Asked the loader of {where}, for {process}: {answer}."


def _finding(finding: Finding, width: int, *, verbose: bool) -> Iterator[Line]:
    """A cause in five lines if paths and commands have room: what, who needs it, what to do, and the facts that fit."""
    tag = _TAGS[finding.proof]
    begin = f"{_LABELS[finding.severity]} {finding.code}:"
    message = finding.message.removesuffix(".") + f" ({tag})." if tag and not verbose else finding.message
    first, *others = wrap(f"{begin} {message}", width, "", "  ")
    head = [Line(first.text, _STYLES[finding.severity], len(begin)), *others]
    if verbose:
        facts = [line for fact in (*finding.evidence, _PROOFS[finding.proof]) for line in wrap(fact, width, *_FACT)]
        remedy = remedy_lines(finding.remedy, width)
    else:
        ways = [remedy_lines(finding.remedy, width, shorter=number) for number in (0, 1, 0, 1)]
        least = [bool(finding.evidence), bool(finding.evidence), False, False]  # lines of facts
        fits = (lines for lines, facts in zip(ways, least) if len(head) + facts + len(lines) <= _LINES)
        remedy = next(fits, []) or remedy_lines(finding.remedy, width, shorter=2)
        facts = _fitting(finding.evidence, _LINES - len(head) - len(remedy), width)
    yield from (*head, *facts, *remedy)


def _fitting(facts: Sequence[str], room: int, width: int) -> list[Line]:
    """The first facts, as many as fit into some lines; of the next one its beginning, or how many are left."""
    found: list[Line] = []
    for number, fact in enumerate(facts):
        lines = [*wrap(fact, width, *_FACT)]
        if len(found) + len(lines) <= room:
            found += lines
            continue
        begun = [*wrap(fact, width - len(_CUT), *_FACT)][: max(room - len(found), 0)]
        if begun and columns(begun[-1].text) > width // 2:  # more of it than what kind of fact it is
            return [*found, *begun[:-1], Line(begun[-1].text.rstrip(" ;,") + _CUT)]
        left = f"; {len(facts) - number} more with -v"
        if found and columns(found[-1].text + left) <= width:
            found[-1] = Line(found[-1].text + left)
        break
    return found


def _gpu(result: Result, width: int) -> Iterator[Line]:
    """What the tree needs of a graphics card's software, and where that is."""
    if not result.gpu:
        yield from wrap("No software of a graphics card is needed, by import or by a name in these files.", width, "  ")
    how = {"import": "needed", "delay": "needed at its first call", "name": "asked for by name at run time"}
    for need in result.gpu:
        fact = f"{need.name} of {need.supplier.what}, {how[need.how]} by {need.by}: {need.path or 'not there'}"
        yield from wrap(fact, width, "  ", "      ")


def _code(result: Result, width: int) -> Iterator[Line]:
    """What the code of each module needs: what it was compiled for, and what it holds."""
    for code in result.code:
        needs = isa.baseline(code.exported) if code.exported else ()
        level = isa.level_of(needs)
        compiled = f"for {level}" if level else f"with {', '.join(cpu.label(name) for name in needs)}"
        if code.contents is None or not needs:
            continue
        yield from wrap(f"{code.module.name}: compiled {compiled}", width, "  ", "      ")
        uses = [use for use in code.contents.uses if set(use.needs) - {*cpu.features_of("x86-64-v1")}]
        held = ", ".join(f"{isa.label(use.needs)} in {use.functions:,}" for use in uses) or "nothing beyond x86-64-v1"
        told = f"of {code.contents.functions:,} functions: {held}; {processor.asking(code.contents)}"
        yield from wrap(told, width, "      ", "      ")


def counts(result: Result) -> str:
    """How many modules of which kind, and how long it took."""
    found = Counter(module.status for module in result.graph.modules)
    named = len({edge.name.lower() for edge in result.graph.needs(result.graph.root)})
    parts = [f"{found[status]} {_COUNTED[status]}" for status in _COUNTED if found[status]]
    names = f"{named} DLL name" + ("" if named == 1 else "s")
    return f"{result.graph.root.name} imports from {names}. Modules: {', '.join(parts)}. {result.elapsed_ms:.0f} ms."


_COUNTED: dict[Status, str] = {
    "found": "found",
    "system": "of Windows",
    "missing": "missing",
    "wrong-architecture": "of the wrong architecture",
    "corrupt": "damaged",
    "blocked": "unreadable",
    "api-set": "not known",
}
