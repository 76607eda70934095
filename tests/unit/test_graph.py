"""Graph: which modules a file brings, through which edges, and what they lack (windows-loader 1.3 to 1.8, 2)."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

import pytest
from targets import target

from depwalk import files, graph, image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import MakePE

    from depwalk.graph import Edge, Graph, Module
    from depwalk.target import Target


def walk(path: Path, place: Target | None = None) -> Graph:
    return graph.walk(str(path), image.read(path), place or target())


def statuses(found: Graph) -> dict[str, str]:
    return {module.name: module.status for module in found.modules}


def named(found: Graph, name: str) -> Module:
    return next(module for module in found.modules if module.name.lower() == name.lower())


def edges(found: Graph) -> list[tuple[str, str, str]]:
    modules = found.modules
    return [(modules[edge.importer].name, edge.kind, modules[edge.imported].name) for edge in found.edges]


def between(found: Graph, importer: str, imported: str) -> Edge:
    modules = found.modules
    return next(
        edge
        for edge in found.edges
        if (modules[edge.importer].name, modules[edge.imported].name) == (importer, imported)
    )


# ---- shape -------------------------------------------------------------------------------------------------------


def test_a_file_without_imports_is_the_whole_graph(make_pe: MakePE) -> None:
    path = make_pe("root.pyd")
    found = walk(path)
    assert [(module.name, module.path, module.status, module.depth) for module in found.modules] == [
        ("root.pyd", str(path), "found", 0)
    ]
    assert found.edges == ()


def test_a_diamond_has_each_module_once_and_every_edge(make_pe: MakePE) -> None:
    make_pe("left.dll", imports={"bottom.dll": ["f"]}, exports=["l"])
    make_pe("right.dll", imports={"bottom.dll": ["g"]}, exports=["r"])
    make_pe("bottom.dll", exports=["f", "g"])
    found = walk(make_pe("root.pyd", imports={"left.dll": ["l"], "right.dll": ["r"]}))
    assert [module.name for module in found.modules] == ["root.pyd", "left.dll", "right.dll", "bottom.dll"]
    assert edges(found) == [
        ("root.pyd", "import", "left.dll"),
        ("root.pyd", "import", "right.dll"),
        ("left.dll", "import", "bottom.dll"),
        ("right.dll", "import", "bottom.dll"),
    ]
    assert named(found, "bottom.dll").depth == 2


def test_circular_imports_are_legal(make_pe: MakePE) -> None:
    make_pe("a.dll", imports={"b.dll": ["b"]}, exports=["a"])
    make_pe("b.dll", imports={"a.dll": ["a"], "root.pyd": ["r"]}, exports=["b"])
    found = walk(make_pe("root.pyd", imports={"a.dll": ["a"]}, exports=["r"]))
    assert set(statuses(found).values()) == {"found"}
    assert ("b.dll", "import", "root.pyd") in edges(found)
    assert [edge.unresolved for edge in found.edges] == [()] * 4


def test_a_dll_that_is_missing_two_levels_down_is_part_of_the_graph(make_pe: MakePE) -> None:
    make_pe("middle.dll", imports={"gone.dll": ["f"]}, exports=["m"])
    found = walk(make_pe("root.pyd", imports={"middle.dll": ["m"]}))
    gone = named(found, "gone.dll")
    assert (gone.status, gone.path, gone.depth, bool(gone.tried)) == ("missing", None, 2, True)
    chain = [found.modules[edge.imported].name for edge in graph.paths_to(found, gone)]
    assert chain == ["middle.dll", "gone.dll"]


def test_a_missing_name_is_one_module_however_it_is_spelled(make_pe: MakePE) -> None:
    make_pe("other.dll", imports={"GONE": ["f"]}, exports=["o"])
    found = walk(make_pe("root.pyd", imports={"gone.dll": ["f"], "other.dll": ["o"]}))
    assert sum(module.status == "missing" for module in found.modules) == 1


def test_the_way_to_the_root_is_empty(make_pe: MakePE) -> None:
    found = walk(make_pe("root.pyd"))
    assert list(graph.paths_to(found, found.root)) == []


def test_one_file_under_two_names_is_one_module(make_pe: MakePE, tmp_path: Path) -> None:
    first = make_pe("first.dll", exports=["f"])
    try:
        os.link(first, tmp_path / "second.dll")
    except OSError:
        pytest.skip("this file system has no hard links")
    found = walk(make_pe("root.pyd", imports={"first.dll": ["f"], "second.dll": ["f"]}))
    assert [module.name for module in found.modules] == ["root.pyd", "first.dll"]
    assert [edge.name for edge in found.edges] == ["first.dll", "second.dll"]


def test_two_copies_of_one_file_are_two_modules(make_pe: MakePE) -> None:
    make_pe("first.dll", exports=["f"])
    make_pe("second.dll", exports=["f"])
    found = walk(make_pe("root.pyd", imports={"first.dll": ["f"], "second.dll": ["f"]}))
    assert len(found.modules) == 3


def test_system_dlls_that_are_only_assumed_are_not_followed(make_pe: MakePE) -> None:
    found = walk(make_pe("root.pyd", imports={"kernel32.dll": ["f"]}))
    assert [(module.name, module.status, module.image) for module in found.modules[1:]] == [
        ("kernel32.dll", "system", None)
    ]


def test_files_that_change_between_two_walks_are_seen(make_pe: MakePE) -> None:
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    assert statuses(walk(root))["dep.dll"] == "missing"
    make_pe("dep.dll", exports=["f"])
    assert statuses(walk(root))["dep.dll"] == "found"


# ---- what counts as an import ------------------------------------------------------------------------------------


def test_a_dll_with_an_empty_address_table_is_never_loaded(make_pe: MakePE) -> None:
    found = walk(make_pe("root.pyd", imports={"gone.dll": ["f"]}, empty_tables=["gone.dll"]))
    assert len(found.modules) == 1


def test_an_image_that_is_not_marked_as_a_dll_is_not_expanded(make_pe: MakePE) -> None:
    make_pe("plain.dll", dll=False, imports={"gone.dll": ["f"]}, exports=["p"])
    found = walk(make_pe("root.pyd", imports={"plain.dll": ["p"]}))
    assert statuses(found) == {"root.pyd": "found", "plain.dll": "found"}


def test_the_imports_of_a_program_are_followed(make_pe: MakePE) -> None:
    found = walk(make_pe("root.exe", dll=False, imports={"gone.dll": ["f"]}), target(loader=None))
    assert statuses(found)["gone.dll"] == "missing"


def test_the_native_imports_of_pure_net_code_are_not_followed(make_pe: MakePE) -> None:
    found = walk(make_pe("root.dll", clr=1, imports={"gone.dll": ["f"]}))
    assert "gone.dll" not in statuses(found)


def test_the_native_imports_of_mixed_net_code_are_followed(make_pe: MakePE) -> None:
    found = walk(make_pe("root.dll", clr=0, imports={"gone.dll": ["f"]}))
    assert statuses(found)["gone.dll"] == "missing"


@pytest.mark.parametrize(
    ("made", "status"),
    [
        ({"machine": "x86"}, "wrong-architecture"),
        ({"sections": {".x": b""}}, "found"),
        ({"chpe": True}, "wrong-architecture"),
    ],
)
def test_the_root_is_judged_like_every_other_module(made: dict[str, object], status: str, make_pe: MakePE) -> None:
    found = walk(make_pe("root.pyd", imports={"gone.dll": ["f"]}, **made))
    assert found.root.status == status
    assert (len(found.modules) > 1) is (status == "found")


def test_a_cut_root_is_corrupt_and_what_is_left_of_it_is_followed(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"gone.dll": ["f"]})
    path.write_bytes(path.read_bytes()[:-1])
    found = walk(path)
    assert statuses(found) == {"root.pyd": "corrupt", "gone.dll": "missing"}
    assert found.root.reason == "the file ends before the last byte of its sections"


def test_a_cut_dependency_is_corrupt_and_not_followed(make_pe: MakePE) -> None:
    path = make_pe("dep.dll", imports={"gone.dll": ["f"]}, exports=["f"])
    path.write_bytes(path.read_bytes()[:-1])
    found = walk(make_pe("root.pyd", imports={"dep.dll": ["f"]}))
    assert statuses(found) == {"root.pyd": "found", "dep.dll": "corrupt"}


# ---- symbols -----------------------------------------------------------------------------------------------------


def test_an_edge_has_what_its_exporter_lacks(make_pe: MakePE) -> None:
    make_pe("dep.dll", exports=["f"])
    found = walk(make_pe("root.pyd", imports={"dep.dll": ["f", "g", 77]}))
    edge = between(found, "root.pyd", "dep.dll")
    assert (edge.symbols, edge.unresolved) == (3, ("g", "#77"))


def test_an_exporter_without_an_export_table_lacks_everything(make_pe: MakePE) -> None:
    make_pe("dep.dll")
    found = walk(make_pe("root.pyd", imports={"dep.dll": ["f", 1]}))
    assert between(found, "root.pyd", "dep.dll").unresolved == ("f", "#1")


def test_nothing_is_said_of_the_symbols_of_a_missing_dll(make_pe: MakePE) -> None:
    found = walk(make_pe("root.pyd", imports={"gone.dll": ["f"]}))
    assert found.edges[0].unresolved == ()


# ---- forwarders --------------------------------------------------------------------------------------------------


def test_a_forwarder_that_nobody_uses_brings_nothing(make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f=GONE.f", "g"])
    found = walk(make_pe("root.pyd", imports={"a.dll": ["g"]}))
    assert statuses(found) == {"root.pyd": "found", "a.dll": "found"}


@pytest.mark.parametrize("symbol", ["f", 1])
def test_a_forwarder_in_use_brings_its_target(symbol: str | int, make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f=B.g"])
    make_pe("b.dll", exports=["g"])
    found = walk(make_pe("root.pyd", imports={"a.dll": [symbol]}))
    assert set(edges(found)) == {("root.pyd", "import", "a.dll"), ("a.dll", "forward", "b.dll")}
    assert named(found, "b.dll").depth == 2


@pytest.mark.parametrize(
    ("text", "file"), [("b.g", "b.dll"), ("b.dll.g", "b.dll"), ("b.ocx.g", "b.ocx"), ("b.#3", "b.dll")]
)
def test_a_forwarder_is_split_at_its_last_dot(text: str, file: str, make_pe: MakePE) -> None:
    make_pe("a.dll", exports=[f"f={text}"])
    make_pe(file, exports=["g@3"])
    found = walk(make_pe("root.pyd", imports={"a.dll": ["f"]}))
    assert between(found, "a.dll", file).unresolved == ()


def test_a_chain_of_forwarders_is_followed_to_its_end(make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f=B.g"])
    make_pe("b.dll", exports=["g=C.h"])
    make_pe("c.dll", exports=["h"])
    found = walk(make_pe("root.pyd", imports={"a.dll": ["f"]}))
    assert {("a.dll", "forward", "b.dll"), ("b.dll", "forward", "c.dll")} < set(edges(found))
    assert [edge.unresolved for edge in found.edges] == [(), (), ()]


def test_a_forwarder_to_a_missing_dll_makes_that_one_missing(make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f=GONE.f"])
    found = walk(make_pe("root.pyd", imports={"a.dll": ["f"]}))
    assert statuses(found)["GONE.dll"] == "missing"


@pytest.mark.parametrize("text", ["B.nothere", "B.#77", "B.#abc", "B.#", "B.#4294967297", "B.#\xb2", "B."])
def test_a_forwarder_to_a_function_that_is_not_there_is_unresolved(text: str, make_pe: MakePE) -> None:
    make_pe("a.dll", exports=[f"f={text}"])
    make_pe("b.dll", exports=["g"])
    found = walk(make_pe("root.pyd", imports={"a.dll": ["f"]}))
    assert between(found, "a.dll", "b.dll").unresolved == (text.partition(".")[2],)


@pytest.mark.parametrize("text", ["nodot", ""])
def test_a_forwarder_without_a_dot_is_unresolved(text: str, make_pe: MakePE) -> None:
    make_pe("a.dll", exports=[f"f={text}", "g"])
    found = walk(make_pe("root.pyd", imports={"a.dll": ["f"]}))
    assert sum(len(edge.unresolved) for edge in found.edges) == 1


def test_forwarders_in_a_circle_end_unresolved(make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f=B.f"])
    make_pe("b.dll", exports=["f=A.f"])
    found = walk(make_pe("root.pyd", imports={"a.dll": ["f"]}))
    assert set(statuses(found)) == {"root.pyd", "a.dll", "b.dll"}
    assert sum(len(edge.unresolved) for edge in found.edges) == 1


@pytest.mark.parametrize(("hops", "missing"), [(31, 0), (33, 1)])
def test_more_than_32_forwarders_in_a_row_are_unresolved(hops: int, missing: int, make_pe: MakePE) -> None:
    for n in range(hops):
        make_pe(f"d{n}.dll", exports=[f"f=d{n + 1}.f"])
    make_pe(f"d{hops}.dll", exports=["f"])
    found = walk(make_pe("root.pyd", imports={"d0.dll": ["f"]}))
    assert sum(len(edge.unresolved) for edge in found.edges) == missing


def test_a_forwarder_to_an_api_set_goes_to_its_host(make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f=api-ms-win-core-file-l1-1-0.CreateFileW"])
    found = walk(make_pe("root.pyd", imports={"a.dll": ["f"]}))
    assert statuses(found)["kernelbase.dll"] == "system"


def test_a_forwarder_into_its_own_dll_is_resolved(make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f=A.g", "g"])
    found = walk(make_pe("root.pyd", imports={"a.dll": ["f"]}))
    assert set(statuses(found)) == {"root.pyd", "a.dll"}
    assert [edge.unresolved for edge in found.edges] == [(), ()]


# ---- delayed loads -----------------------------------------------------------------------------------------------


def test_a_delayed_load_is_kept_apart(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("app/later.dll", exports=["f"], imports={"deep.dll": ["f"]})
    make_pe("app/deep.dll", exports=["f"])
    found = walk(make_pe("root.pyd", delay={"later.dll": ["f"]}), target(app=tmp_path / "app"))
    assert edges(found)[0] == ("root.pyd", "delay", "later.dll")
    assert [(module.name, module.delayed) for module in found.modules] == [
        ("root.pyd", False),
        ("later.dll", True),
        ("deep.dll", True),
    ]


def test_a_delayed_load_does_not_search_beside_its_importer(make_pe: MakePE) -> None:
    make_pe("later.dll", exports=["f"])
    found = walk(make_pe("root.pyd", delay={"later.dll": ["f"]}))
    later = named(found, "later.dll")
    assert (later.status, later.delayed) == ("missing", True)


def test_a_delayed_load_takes_what_is_loaded_by_then(make_pe: MakePE) -> None:
    make_pe("dep.dll", exports=["f"])
    found = walk(make_pe("root.pyd", imports={"dep.dll": ["f"]}, delay={"dep.dll": ["f"]}))
    assert edges(found) == [("root.pyd", "import", "dep.dll"), ("root.pyd", "delay", "dep.dll")]
    assert named(found, "dep.dll").delayed is False


def test_a_delayed_load_does_not_hide_a_static_one_further_down(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("app/both.dll", exports=["f"])
    make_pe("middle.dll", imports={"both.dll": ["f"], "gone.dll": ["f"]}, exports=["m"])
    found = walk(
        make_pe("root.pyd", imports={"middle.dll": ["m"]}, delay={"both.dll": ["f"], "gone.dll": ["f"]}),
        target(app=tmp_path / "app"),
    )
    assert (named(found, "both.dll").delayed, named(found, "gone.dll").delayed) == (False, False)


def test_what_a_delayed_load_lacks_is_known(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("app/later.dll", exports=["f"])
    found = walk(make_pe("root.pyd", delay={"later.dll": ["f", "g"]}), target(app=tmp_path / "app"))
    assert found.edges[0].unresolved == ("g",)


# ---- search path of the tree -------------------------------------------------------------------------------------


def test_a_dependency_does_not_search_its_own_directory(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("added/b.dll", imports={"c.dll": ["f"]}, exports=["b"])
    make_pe("added/c.dll", exports=["f"])
    application = make_pe("app/c.dll", exports=["f"])
    root = make_pe("root/root.pyd", imports={"b.dll": ["b"]})
    found = walk(root, target(app=tmp_path / "app", dll_dirs=[tmp_path / "added"]))
    assert named(found, "c.dll").path == str(application)


def flagged(make_pe: MakePE, flags: int) -> Path:
    """root.pyd -> b.dll (with DependentLoadFlags) -> c.dll -> d.dll, all in one directory."""
    make_pe("b.dll", imports={"c.dll": ["f"]}, exports=["b"], load_flags=flags)
    make_pe("c.dll", imports={"d.dll": ["f"]}, exports=["f"])
    make_pe("d.dll", exports=["f"])
    return make_pe("root.pyd", imports={"b.dll": ["b"]})


def test_dependent_load_flags_rule_the_modules_own_imports(make_pe: MakePE) -> None:
    found = walk(flagged(make_pe, 0x800))
    assert statuses(found) == {"root.pyd": "found", "b.dll": "found", "c.dll": "missing"}


def test_dependent_load_flags_do_not_rule_those_of_its_children(make_pe: MakePE) -> None:
    assert statuses(walk(flagged(make_pe, 0x100)))["d.dll"] == "found"


@pytest.mark.parametrize("flags", [0x80, 0x2000, 0x4000])
def test_flags_that_name_no_directory_do_not_count(flags: int, make_pe: MakePE) -> None:
    assert statuses(walk(flagged(make_pe, flags)))["c.dll"] == "found"


def test_what_the_process_has_loaded_before_is_taken(make_pe: MakePE) -> None:
    before = make_pe("other_package/zlib1.dll", exports=["f"])
    make_pe("root/zlib1.dll", exports=["f", "g"])
    found = walk(make_pe("root/root.pyd", imports={"zlib1.dll": ["f", "g"]}), target(loaded=[before]))
    assert named(found, "zlib1.dll").path == str(before)
    assert found.edges[0].unresolved == ("g",)


def test_the_interpreters_own_python3_dll_beats_a_stray_one(make_pe: MakePE) -> None:
    make_pe("python3.dll", exports=["f"])
    found = walk(make_pe("root.pyd", imports={"python3.dll": ["f"]}))
    module = named(found, "python3.dll")
    assert module.rule is not None
    assert (module.rule.name, module.path) == ("already loaded", "C:\\Python311\\python3.dll")


# ---- side by side ------------------------------------------------------------------------------------------------

MANIFEST = b"""<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0"><dependency><dependentAssembly>
<assemblyIdentity type="win32" name="%s" version="9.0.21022.8" processorArchitecture="amd64"
 publicKeyToken="1fc8b3b9a1e18e3b"/>
</dependentAssembly></dependency></assembly>"""


def test_a_private_assembly_redirects_the_dlls_own_imports(make_pe: MakePE) -> None:
    make_pe("Vendor.Lib/Vendor.Lib.manifest").write_bytes(b"<assembly/>")
    private = make_pe("Vendor.Lib/dep.dll", exports=["f"])
    make_pe("dep.dll", exports=["f"])
    found = walk(make_pe("root.pyd", imports={"dep.dll": ["f"]}, manifests={2: MANIFEST % b"Vendor.Lib"}))
    module = named(found, "dep.dll")
    assert module.rule is not None
    assert (module.rule.name, module.path) == ("side-by-side redirection", str(private))


def test_an_assembly_that_is_nowhere_is_noted_though_the_dll_lies_beside(make_pe: MakePE) -> None:
    make_pe("msvcr90.dll", exports=["f"])
    root = make_pe("root.pyd", imports={"msvcr90.dll": ["f"]}, manifests={2: MANIFEST % b"Microsoft.VC90.CRT"})
    assert walk(root).root.missing_assemblies == ("Microsoft.VC90.CRT",)


@pytest.mark.parametrize("identifier", [1, 3])
def test_a_manifest_of_another_id_redirects_nothing(identifier: int, make_pe: MakePE) -> None:
    root = make_pe("root.pyd", manifests={identifier: MANIFEST % b"Microsoft.VC90.CRT"})
    assert walk(root).root.missing_assemblies == ()


def test_an_assembly_of_windows_itself_is_there(make_pe: MakePE) -> None:
    root = make_pe("root.pyd", manifests={2: MANIFEST % b"Microsoft.Windows.Common-Controls"})
    assert walk(root).root.missing_assemblies == ()


def test_an_assumed_runtime_provides_its_assembly(make_pe: MakePE) -> None:
    root = make_pe("root.pyd", manifests={2: MANIFEST % b"Microsoft.VC90.CRT"})
    assert walk(root, target(runtimes=("vc9",))).root.missing_assemblies == ()


@pytest.mark.parametrize(
    "manifest", [b"", b"<assembly", b"\xff\xfe\x00", b'<!DOCTYPE a [<!ENTITY a "&a;&a;">]><a>&a;</a>']
)
def test_a_manifest_that_is_no_xml_redirects_nothing(manifest: bytes, make_pe: MakePE) -> None:
    assert walk(make_pe("root.pyd", manifests={2: manifest})).root.missing_assemblies == ()


@pytest.mark.parametrize("first", [True, False], ids=["of the first tree", "of a tree that shares what DLLs need"])
def test_the_edges_to_a_module_are_those_of_all_that_lead_to_it(make_pe: MakePE, *, first: bool) -> None:
    make_pe("a.dll", imports={"b.dll": ["g"], "c.dll": ["h"]}, exports=["f", "x=C.h", "y=C.gone", "z=B.g"])
    make_pe("b.dll", imports={"a.dll": ["x", "z"]}, exports=["g"])
    make_pe("c.dll", delay={"b.dll": ["g"], "GONE.dll": ["n"]}, exports=["h"])
    imports = {"a.dll": ["f", "x", "y"], "b.dll": ["g"]}
    place = target()
    with files.remembering():
        found = walk(make_pe("root.pyd", imports=imports), place)
        if not first:
            found = walk(make_pe("other.pyd", imports=imports), place)
        assert {edge.kind for edge in found.edges} == {"import", "forward", "delay"}
        for module in found.modules:
            assert found.needed_by(module) == tuple(edge for edge in found.edges if edge.imported == module.id)


# ---- several trees in one question -------------------------------------------------------------------------------


@pytest.fixture
def shared(make_pe: MakePE) -> Iterator[Target]:
    """What several trees are walked under, while nothing is forgotten that was learned of shared.dll and helper.dll."""
    make_pe("shared.dll", imports={"helper.dll": ["h"]}, exports=["s"])
    make_pe("helper.dll", exports=["h"])
    with files.remembering():
        yield target()


def test_trees_with_the_same_search_share_what_their_dlls_need(shared: Target, make_pe: MakePE) -> None:
    first = walk(make_pe("first.pyd", imports={"shared.dll": ["s"]}), shared)
    second = walk(make_pe("second.pyd", imports={"helper.dll": ["h"], "shared.dll": ["s", "gone"]}), shared)
    assert edges(first) == [("first.pyd", "import", "shared.dll"), ("shared.dll", "import", "helper.dll")]
    assert edges(second) == [
        ("second.pyd", "import", "helper.dll"),
        ("second.pyd", "import", "shared.dll"),
        ("shared.dll", "import", "helper.dll"),
    ]
    assert (first.unresolved, [edge.unresolved for edge in second.unresolved]) == ((), [("gone",)])


def test_a_dll_that_one_of_two_trees_has_loaded_before_is_taken_in_that_one_only(
    shared: Target, make_pe: MakePE, tmp_path: Path
) -> None:
    root = make_pe("root.pyd", imports={"shared.dll": ["s"]})
    loaded = make_pe("elsewhere/helper.dll", exports=["other"])
    for preloads, taken, lacks in ((), tmp_path / "helper.dll", ()), ((str(loaded),), loaded, ("h",)):
        found = walk(root, shared._replace(preloads=preloads))
        assert named(found, "helper.dll").path == str(taken)
        assert between(found, "shared.dll", "helper.dll").unresolved == lacks


def test_a_forwarder_leads_elsewhere_in_the_tree_that_has_another_file_of_its_name(
    shared: Target, make_pe: MakePE
) -> None:
    make_pe("front.dll", exports=["f=helper.h"])
    root = make_pe("root.pyd", imports={"front.dll": ["f"]})
    loaded = make_pe("elsewhere/helper.dll", exports=["other"])
    for preloads, lacks in ((), ()), ((str(loaded),), ("h",)):
        found = walk(root, shared._replace(preloads=preloads))
        assert between(found, "front.dll", "helper.dll").unresolved == lacks


def test_nothing_is_kept_of_a_file_once_the_question_is_answered(make_pe: MakePE, without_collections: None) -> None:
    shared, place = make_pe("shared.dll", imports={"other.dll": ["o"]}, exports=["s"]), target()
    make_pe("other.dll", imports={"shared.dll": ["s"]}, exports=["o"])
    with files.remembering():
        for number in range(3):
            walk(make_pe(f"{number}.pyd", imports={"shared.dll": ["s"]}), place)
        kept = weakref.ref(image.read(str(shared)).file)
    assert kept() is None
