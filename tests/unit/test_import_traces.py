"""Import traces: what the records of a child, as inside/child.py writes them, say of an import or of a program."""

from __future__ import annotations

from typing import Any

from depwalk.loader import LoadTrace, Mapped, imports
from depwalk.loader.imports import FailedLoad, ImportTrace
from depwalk.loader.processes import Ran
from depwalk.loader.story import Story

Record = dict[str, Any]

A, B = r"C:\site\pkg\_a.pyd", r"C:\site\pkg\_b.pyd"
VERSION = "3.11.9 (tags/v3.11.9:de54cf5) [MSC v.1938 64 bit (AMD64)]"
READY: Record = {"ready": True, "version": VERSION, "prefix": r"C:\Python311"}
END: Record = {"end": True}
STATE: Record = {
    "search_path": r"C:\bin;C:\other",
    "cwd": r"C:\work",
    "modules": [r"C:\Python311\python.exe", r"C:\Python311\python311.dll"],
    "flags": 0x1100,
}
WORDS = "DLL load failed while importing _a: The specified module could not be found."


def importing(name: str) -> Record:
    return {"event": "import", "name": name}


def begun(name: str, path: str, stage: str = "load") -> Record:
    return {"extension": name, "path": path, "stage": stage}


def done(name: str, stage: str = "load") -> Record:
    return {"done": name, "stage": stage}


def ran_well(name: str, path: str) -> list[Record]:
    return [begun(name, path), done(name), begun(name, path, "run"), done(name, "run")]


def import_error(path: str | None, text: str = WORDS) -> Record:
    return {"type": "ImportError", "text": text, **({"name": "pkg._a", "path": path} if path else {})}


def failed(name: str, path: str, code: int | None = 126, *, stage: str = "load", text: str = WORDS) -> Record:
    asked = {**STATE, "code": code, "call": 3} if code is not None else {"search_path": "", "cwd": r"C:\work"}
    return {"failed": name, "path": path, "stage": stage, "error": import_error(path, text), **asked}


def uncaught(*chain: Record, **state: Any) -> Record:
    return {"uncaught": list(chain), **state}


def failed_load(path: str, code: int = 126, text: str = WORDS) -> FailedLoad:
    modules = (r"C:\Python311\python.exe", r"C:\Python311\python311.dll")
    return FailedLoad(path, code, f"ImportError: {text}", modules, 0x1100, r"C:\bin;C:\other", r"C:\work")


def told(*records: Record, ended_well: bool = False, story: Story | None = None, **ended: Any) -> ImportTrace:
    """What is told of a child of which these are the records."""
    known = {"exit_code": 0, "timed_out": False, "output": "", "elapsed_ms": 50.0, **ended}
    ran = Ran(records, story or Story(), **known)
    return imports._told("pkg", ran, records, ended_well=ended_well)


# ---- what went well ----------------------------------------------------------------------------------------------


def test_an_import_that_succeeded_tells_what_it_did_in_its_order() -> None:
    trace = told(
        READY,
        importing("pkg"),
        {"event": "os.add_dll_directory", "name": r"C:\site\pkg\libs"},
        importing("pkg._b"),
        *ran_well("pkg._b", B),
        importing("pkg._a"),
        *ran_well("pkg._a", A),
        importing("pkg"),
        {"event": "ctypes.dlopen", "name": "kernel32"},
        {"imported": "pkg"},
        END,
        ended_well=True,
    )
    assert trace == ImportTrace(
        name="pkg",
        ended_well=True,
        python=VERSION,
        imported=("pkg", "pkg._b", "pkg._a"),
        extensions=(B, A),
        directories=(r"C:\site\pkg\libs",),
        by_ctypes=("kernel32",),
        load=LoadTrace(0, elapsed_ms=50.0),
        elapsed_ms=50.0,
    )


def test_a_directory_that_was_added_twice_is_told_twice_because_the_last_counts() -> None:
    added = [{"event": "os.add_dll_directory", "name": name} for name in (r"C:\a", r"C:\b", r"C:\a")]
    assert told(READY, *added, ended_well=True).directories == (r"C:\a", r"C:\b", r"C:\a")


def test_a_failure_that_the_program_got_over_is_told_and_ended_nothing() -> None:
    trace = told(READY, begun("pkg._a", A), failed("pkg._a", A), {"imported": "pkg"}, END, ended_well=True)
    assert (trace.failed, trace.fatal, trace.unfinished) == ((failed_load(A),), None, "")
    assert trace.load is not None
    assert trace.load.code == 0


def test_a_process_of_which_no_python_told_has_none() -> None:
    trace = told(exit_code=0xC0000135)
    assert (trace.python, trace.imported) == ("", ())


# ---- the load that ended it --------------------------------------------------------------------------------------


def test_an_import_error_that_names_a_file_ended_it_with_that_file() -> None:
    records = [begun("pkg._a", A), failed("pkg._a", A), uncaught(import_error(A))]
    trace = told(READY, *records, END)
    assert (trace.fatal, trace.uncaught) == (failed_load(A), (f"ImportError: {WORDS}",))
    assert trace.load == LoadTrace(126, elapsed_ms=50.0)


def test_an_error_of_the_packages_own_is_followed_to_the_file_behind_it() -> None:
    own = {"type": "RuntimeError", "text": "install the runtime"}
    trace = told(READY, begun("pkg._a", A), failed("pkg._a", A), uncaught(own, import_error(A)))
    assert trace.fatal == failed_load(A)
    assert trace.uncaught == ("RuntimeError: install the runtime", f"ImportError: {WORDS}")


def test_of_a_chain_that_names_two_files_the_one_that_failed_first_ended_it() -> None:
    both = [begun("pkg._a", A), failed("pkg._a", A), begun("pkg._b", B), failed("pkg._b", B, 127)]
    trace = told(READY, *both, uncaught(import_error(B), import_error(A)))
    assert trace.fatal == failed_load(A)
    assert [load.path for load in trace.failed] == [A, B]


def test_a_failure_that_was_caught_before_is_not_the_one_that_ended_it() -> None:
    both = [begun("pkg._a", A), failed("pkg._a", A), begun("pkg._b", B), failed("pkg._b", B, 127)]
    trace = told(READY, *both, uncaught(import_error(B)))
    assert trace.fatal == failed_load(B, 127)


def test_an_exception_after_a_caught_failure_is_not_about_a_dll() -> None:
    records = [begun("pkg._a", A), failed("pkg._a", A), uncaught({"type": "KeyError", "text": "'x'"})]
    trace = told(READY, *records)
    assert (trace.fatal, trace.uncaught) == (None, ("KeyError: 'x'",))
    assert trace.load is not None
    assert trace.load.loaded


def test_an_import_error_that_names_a_python_file_is_not_about_a_dll() -> None:
    trace = told(READY, uncaught(import_error(r"C:\site\pkg\__init__.py", "cannot import name 'x' from 'pkg'")))
    assert trace.fatal is None


def test_an_extension_whose_own_start_raises_an_exception_was_loaded() -> None:
    records = [begun("pkg._a", A), done("pkg._a"), begun("pkg._a", A, "run"), failed("pkg._a", A, 0, stage="run")]
    trace = told(READY, *records, uncaught(import_error(A)))
    assert (trace.failed, trace.fatal) == ((), None)


def test_a_file_that_loads_when_it_is_tried_once_more_is_one_that_python_refused() -> None:
    text = "dynamic module does not define module export function (PyInit__a)"
    records = [begun("pkg._a", A), failed("pkg._a", A, 0, text=text), uncaught(import_error(A, text))]
    trace = told(READY, *records)
    assert trace.fatal == failed_load(A, 0, text)
    assert trace.load is not None
    assert trace.load.code == 0


def test_a_failure_of_which_the_code_is_not_known_ended_it_all_the_same() -> None:
    trace = told(READY, begun("pkg._a", A), failed("pkg._a", A, None), uncaught(import_error(A)))
    assert trace.fatal == FailedLoad(A, None, f"ImportError: {WORDS}", cwd=r"C:\work")
    assert trace.load is not None
    assert trace.load.ending_unknown


def test_an_exception_without_a_path_is_known_by_its_text_as_the_one_of_a_failed_load() -> None:
    text = "initialization of _a raised unreported exception"
    error = {"type": "SystemError", "text": text}
    records = [begun("pkg._a", A), {**failed("pkg._a", A, 0), "error": error}, uncaught(error)]
    trace = told(READY, *records)
    assert trace.fatal is not None
    assert (trace.fatal.path, trace.fatal.error) == (A, f"SystemError: {text}")


# ---- names that are not there ------------------------------------------------------------------------------------


def not_found(name: str) -> Record:
    return {"type": "ModuleNotFoundError", "text": f"No module named {name!r}", "name": name}


def test_a_name_of_which_there_is_no_module_is_not_there() -> None:
    assert told(READY, importing("pkg"), uncaught(not_found("pkg"))).not_there


def test_a_module_that_the_imported_one_lacks_is_another_thing() -> None:
    assert not told(READY, importing("pkg"), uncaught(not_found("other"))).not_there


def test_a_failed_load_behind_it_does_not_make_a_module_not_there() -> None:
    records = [begun("pkg._a", A), failed("pkg._a", A), uncaught(import_error(A), not_found("pkg"))]
    assert not told(READY, *records).not_there


# ---- ctypes ------------------------------------------------------------------------------------------------------

NOT_FOUND = "Could not find module 'codec.dll' (or one of its dependencies)."
FILE_NOT_FOUND = {"type": "FileNotFoundError", "text": NOT_FOUND, "dlopen": "codec.dll"}


def test_a_name_given_to_ctypes_that_ended_it_has_the_state_of_the_exception() -> None:
    trace = told(
        READY,
        {"event": "ctypes.dlopen", "name": "codec.dll"},
        uncaught(FILE_NOT_FOUND, **{**STATE, "flags": 0x1000, "code": 126, "call": 3}),
    )
    assert trace.by_ctypes == ("codec.dll",)
    assert trace.fatal == FailedLoad(
        "codec.dll",
        126,
        f"FileNotFoundError: {NOT_FOUND}",
        tuple(STATE["modules"]),
        0x1000,
        r"C:\bin;C:\other",
        r"C:\work",
        by_ctypes=True,
    )


def test_an_error_of_the_packages_own_is_followed_to_the_name_given_to_ctypes() -> None:
    own = {"type": "ImportError", "text": "pkg needs codec.dll"}
    trace = told(READY, uncaught(own, FILE_NOT_FOUND, **STATE, code=126, call=3))
    assert trace.fatal is not None
    assert (trace.fatal.path, trace.fatal.code) == ("codec.dll", 126)


# ---- a process that ended before it could tell -------------------------------------------------------------------


def test_the_extension_that_was_being_loaded_when_the_process_died_is_unfinished() -> None:
    trace = told(READY, *ran_well("pkg._b", B), begun("pkg._a", A), exit_code=0xC0000005, output="last words")
    assert (trace.unfinished, trace.fatal, trace.exit_code) == (A, None, 0xC0000005)
    assert trace.load == LoadTrace(None, exit_code=0xC0000005, output="last words", elapsed_ms=50.0)


def test_the_extension_that_was_being_run_when_the_process_died_is_unfinished() -> None:
    trace = told(READY, begun("pkg._a", A), done("pkg._a"), begun("pkg._a", A, "run"), exit_code=3)
    assert trace.unfinished == A


def test_of_extensions_that_import_each_other_the_innermost_is_unfinished() -> None:
    outer = [begun("pkg._a", A), done("pkg._a"), begun("pkg._a", A, "run")]
    assert told(READY, *outer, begun("pkg._b", B), exit_code=3).unfinished == B


def test_an_extension_that_another_one_imported_and_that_ended_leaves_the_outer_one_unfinished() -> None:
    outer = [begun("pkg._a", A), done("pkg._a"), begun("pkg._a", A, "run")]
    assert told(READY, *outer, *ran_well("pkg._b", B), exit_code=3).unfinished == A


def test_an_extension_that_ends_in_another_thread_does_not_end_the_one_that_began_last() -> None:
    assert told(READY, begun("pkg._a", A), begun("pkg._b", B), done("pkg._a"), exit_code=3).unfinished == B


def test_an_extension_that_failed_is_finished() -> None:
    trace = told(READY, begun("pkg._a", A), failed("pkg._a", A), exit_code=3)
    assert (trace.unfinished, len(trace.failed)) == ("", 1)


def test_a_process_that_died_elsewhere_leaves_nothing_unfinished() -> None:
    trace = told(READY, *ran_well("pkg._a", A), exit_code=0xC0000005)
    assert trace.unfinished == ""
    assert trace.load is not None
    assert (trace.load.code, trace.load.exit_code) == (None, 0xC0000005)


def test_the_extension_that_was_being_loaded_when_the_time_was_up_is_unfinished() -> None:
    trace = told(READY, begun("pkg._a", A), exit_code=1, timed_out=True)
    assert (trace.unfinished, trace.timed_out) == (A, True)
    assert trace.load == LoadTrace(None, timed_out=True, elapsed_ms=50.0)


def test_after_an_exception_nothing_is_unfinished() -> None:
    trace = told(READY, begun("pkg._a", A), uncaught({"type": "KeyboardInterrupt", "text": ""}), exit_code=1)
    assert trace.unfinished == ""


# ---- what the debugger saw ---------------------------------------------------------------------------------------


def test_the_modules_of_the_whole_process_are_told_with_their_times() -> None:
    mapped = (Mapped(r"C:\Python311\python.exe", 0x400000, 1.0, 7), Mapped(A, 0x10000, 9.0, 7))
    trace = told(READY, *ran_well("pkg._a", A), ended_well=True, story=Story(modules=mapped))
    assert trace.load is not None
    assert (trace.load.mapped, trace.load.traced) == (mapped, True)
    assert trace.load.modules == (r"C:\Python311\python.exe", A)


def test_a_child_that_was_not_debugged_is_not_traced() -> None:
    load = told(READY, ended_well=True).load
    assert load is not None
    assert not load.traced


# ---- several processes -------------------------------------------------------------------------------------------


def of(process: int, *records: Record) -> list[Record]:
    return [{**record, "process": process} for record in records]


PARENT = of(1, READY, importing("subprocess"))


def test_of_several_processes_the_one_that_ended_with_an_exception_is_told() -> None:
    tolerant = of(2, READY, begun("pkg._a", A), failed("pkg._a", A))
    ended = of(3, READY, begun("pkg._b", B), failed("pkg._b", B), uncaught(import_error(B)))
    assert imports._of_one_process([*PARENT, *tolerant, *ended]) == ended


def test_without_an_exception_the_process_in_which_a_load_failed_is_told() -> None:
    tolerant = of(2, READY, begun("pkg._a", A), failed("pkg._a", A))
    assert imports._of_one_process([*PARENT, *tolerant]) == tolerant


def test_without_any_failure_the_first_process_is_told() -> None:
    assert imports._of_one_process([*PARENT, *of(2, READY)]) == PARENT


def test_without_any_python_nothing_is_told() -> None:
    assert imports._of_one_process([]) == []
