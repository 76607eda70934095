"""Agreement: what counts as a difference between a prediction and a load, and which rule may explain it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from targets import target

from depwalk import graph, image

if TYPE_CHECKING:
    from conftest import MakePE

SOURCE = Path(__file__).parents[2] / "ci" / "agreement.py"


def _agreement() -> Any:
    specification = importlib.util.spec_from_file_location("agreement", SOURCE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look there for the types of their fields
    specification.loader.exec_module(module)
    return module


agreement = _agreement()


class Machine:
    """A Wine in a temporary directory, and a site directory beside it."""

    def __init__(self, make_pe: MakePE, root: Path) -> None:
        self.make_pe = make_pe
        make_pe("wine/ntdll.dll")
        self.root = root
        self.system = agreement.System(str(root / "windows"), str(root / "wine"), packages=frozenset({"listed"}))

    def path(self, name: str) -> str:
        return str(self.root / name.replace("/", os.sep))

    def paths(self, names: str) -> tuple[str, ...]:
        return tuple(self.path(name) for name in names.split())

    def differences(
        self,
        predicted: str,
        mapped: str,
        *,
        before: str = "wine/ntdll.dll",
        reported: str = "",
        own: str = "",
        verdict: str = "loads",
        errors: tuple[str, ...] = (),
        code: int | None = 0,
    ) -> list[tuple[str, str | None]]:
        """Kind and rule of each, for modules given as names below the machine's root."""
        expected = agreement.Predicted(verdict, errors, self.paths(predicted), self.paths(own))
        seen = agreement.Seen(code, self.paths(before), self.paths(mapped), self.paths(reported))
        return [(one.kind, one.rule) for one in agreement.compare(expected, seen, self.system)]


@pytest.fixture
def machine(make_pe: MakePE, tmp_path: Path) -> Machine:
    return Machine(make_pe, tmp_path)


# ---- what is equal -----------------------------------------------------------------------------------------------


def test_the_same_files_in_the_same_order_are_equal(machine: Machine) -> None:
    assert machine.differences("site/a.pyd site/b.dll", "site/a.pyd site/b.dll") == []


def test_a_predicted_module_that_is_in_the_process_before_is_equal(machine: Machine) -> None:
    assert machine.differences("site/a.pyd python/python311.dll", "site/a.pyd", before="python/python311.dll") == []


def test_the_case_of_a_path_does_not_count(machine: Machine) -> None:
    assert machine.differences("site/a.pyd site/B.DLL", "site/a.pyd site/b.dll") == []


def test_a_dll_of_windows_counts_by_its_name(machine: Machine) -> None:
    assert machine.differences("site/a.pyd windows/system32/x.dll", "site/a.pyd wine/x.dll") == []


# ---- what no rule explains ---------------------------------------------------------------------------------------


def test_the_same_name_from_another_directory_is_unexplained(machine: Machine) -> None:
    assert machine.differences("site/a.pyd site/b.dll", "site/a.pyd other/b.dll") == [
        ("other-file", None),
        ("not-predicted", None),
    ]


def test_a_predicted_module_that_is_not_mapped_is_unexplained(machine: Machine) -> None:
    assert machine.differences("site/a.pyd site/b.dll", "site/a.pyd") == [("not-mapped", None)]


def test_a_dll_of_windows_that_is_predicted_and_not_mapped_is_unexplained(machine: Machine) -> None:
    assert machine.differences("site/a.pyd windows/system32/x.dll", "site/a.pyd") == [("not-mapped", None)]


def test_a_mapped_file_that_is_not_windows_own_and_was_not_predicted_is_unexplained(machine: Machine) -> None:
    assert machine.differences("site/a.pyd", "site/a.pyd site/b.dll") == [("not-predicted", None)]


def test_another_order_is_unexplained(machine: Machine) -> None:
    assert machine.differences("site/a.pyd site/b.dll site/c.dll", "site/a.pyd site/c.dll site/b.dll") == [
        ("order", None)
    ]


def test_a_module_already_loaded_from_elsewhere_is_unexplained(machine: Machine) -> None:
    assert machine.differences("site/a.pyd site/b.dll", "site/a.pyd", before="python/b.dll") == [("other-file", None)]


@pytest.mark.parametrize(("verdict", "code"), [("loads", 126), ("loads", None), ("fails", 0), ("unknown", 0)])
def test_another_verdict_is_unexplained(verdict: str, code: int | None, machine: Machine) -> None:
    found = machine.differences("site/a.pyd", "site/a.pyd", verdict=verdict, code=code, errors=("missing-dll",))
    assert found == [("verdict", None)]


# ---- builtin-replaces --------------------------------------------------------------------------------------------


def test_a_file_that_wine_replaces_and_reports_under_its_own_path_is_explained(machine: Machine) -> None:
    assert machine.differences("site/a.pyd site/b.dll", "site/a.pyd wine/b.dll", reported="site/b.dll") == [
        ("other-file", "builtin-replaces")
    ]


def test_a_file_that_wine_replaces_and_reports_under_another_path_is_unexplained(machine: Machine) -> None:
    assert machine.differences("site/a.pyd site/b.dll", "site/a.pyd wine/b.dll", reported="other/b.dll") == [
        ("other-file", None),
        ("not-predicted", None),
    ]


def test_what_of_the_interpreter_itself_wine_replaces_is_not_said_again(machine: Machine) -> None:
    own = "python/vcruntime140.dll"
    assert machine.differences(f"site/a.pyd {own}", "site/a.pyd", own=own, before="wine/vcruntime140.dll") == []


# ---- more of Windows' own ----------------------------------------------------------------------------------------


def imports(dll: str) -> dict[str, Any]:
    return {"imports": {dll: ["f"]}}


def test_a_dll_that_one_of_windows_own_imports_is_explained(machine: Machine) -> None:
    machine.make_pe("wine/x.dll", **imports("y.dll"))
    assert machine.differences("site/a.pyd windows/x.dll", "site/a.pyd wine/x.dll wine/y.dll") == [
        ("not-predicted", "windows-imports")
    ]


def test_a_dll_of_windows_that_only_the_extension_imports_is_unexplained(machine: Machine) -> None:
    machine.make_pe("site/a.pyd", **imports("y.dll"))
    assert machine.differences("site/a.pyd", "site/a.pyd wine/y.dll") == [("not-predicted", None)]


def test_a_dll_whose_name_one_of_windows_own_has_in_it_is_explained(machine: Machine) -> None:
    machine.make_pe("wine/x.dll")
    with open(machine.path("wine/x.dll"), "ab") as file:
        file.write("Y.dll\0".encode("utf-16-le"))
    assert machine.differences("site/a.pyd windows/x.dll", "site/a.pyd wine/x.dll wine/y.dll") == [
        ("not-predicted", "windows-loads")
    ]


def test_a_dll_that_nothing_mapped_before_it_names_is_unexplained(machine: Machine) -> None:
    machine.make_pe("wine/x.dll")
    assert machine.differences("site/a.pyd windows/x.dll", "site/a.pyd wine/x.dll wine/y.dll") == [
        ("not-predicted", None)
    ]


@pytest.mark.parametrize(("loader", "rule"), [("secur32.dll", "security-package"), ("x.dll", None)])
def test_a_listed_authentication_package_is_explained_by_secur32_alone(
    loader: str, rule: str | None, machine: Machine
) -> None:
    machine.make_pe(f"wine/{loader}")
    assert machine.differences(f"site/a.pyd wine/{loader}", f"site/a.pyd wine/{loader} wine/listed.dll") == [
        ("not-predicted", rule)
    ]


# ---- missing-export-is-a-stub ------------------------------------------------------------------------------------


def test_a_load_in_spite_of_a_missing_export_alone_is_explained(machine: Machine) -> None:
    found = machine.differences("site/a.pyd", "site/a.pyd", verdict="fails", errors=("missing-export",))
    assert found == [("verdict", "missing-export-is-a-stub")]


def test_a_load_in_spite_of_a_missing_dll_too_is_unexplained(machine: Machine) -> None:
    found = machine.differences("site/a.pyd", "site/a.pyd", verdict="fails", errors=("missing-dll", "missing-export"))
    assert found == [("verdict", None)]


# ---- the order of mapping ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth_first", "order"), [(True, "a b d c"), (False, "a b c d")])
def test_wine_maps_each_import_with_what_it_needs_and_windows_level_by_level(
    depth_first: bool, order: str, make_pe: MakePE
) -> None:
    for name, needed in (("b", "d"), ("c", "d")):
        make_pe(f"{name}.dll", exports=["f"], **imports(f"{needed}.dll"))
    make_pe("d.dll", exports=["f"])
    root = make_pe("a.dll", imports={"b.dll": ["f"], "c.dll": ["f"]})
    walked = graph.walk(str(root), image.read(root), target())
    found = [Path(path).stem for path in agreement.order_of_mapping(walked, depth_first=depth_first)]
    assert " ".join(found) == order
