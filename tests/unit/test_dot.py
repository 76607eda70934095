"""Graphs for Graphviz, read back by a small parser of the part of its language that they use."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from test_cli import FIXED, USAGE, refused, run

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

TOKEN = re.compile(r'\s+|//[^\n]*\n|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[\w.]+)|(?P<sign>->|[][{};=,])')
Attributes = dict[str, str]


@dataclass
class Drawn:
    """What a document draws: by name of a node its attributes, by its two ends those of an edge; labels of clusters."""

    nodes: dict[str, Attributes] = field(default_factory=dict)
    edges: dict[tuple[str, str], Attributes] = field(default_factory=dict)
    clusters: list[str] = field(default_factory=list)

    def node(self, label: str) -> Attributes:
        """The one node with a label, by its first line."""
        (found,) = (facts for facts in self.nodes.values() if facts["label"].split("\n")[0] == label)
        return found

    def edge(self, one: str, other: str) -> Attributes:
        """The edge between two nodes, by the first lines of their labels."""
        (found,) = (
            facts
            for ends, facts in self.edges.items()
            if [self.nodes[end]["label"].split("\n")[0] for end in ends] == [one, other]
        )
        return found


def tokens(text: str) -> list[str]:
    """Words, signs and strings; of a string what it shows, behind a quotation mark."""
    found = []
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        assert match, f"no DOT: {text[position : position + 40]!r}"
        position = match.end()
        if match["text"]:
            found.append('"' + shown(match["text"][1:-1]))
        elif match["word"] or match["sign"]:
            found.append(match[0])
    return found


def shown(string: str) -> str:
    """What Graphviz makes of a string: two backslashes are one, and a name of a node is put for \\N."""
    plain = re.sub(r"\\(.)", lambda escape: {"n": "\n", '"': '"', "\\": "\\"}[escape[1]], string)
    return plain.replace("&amp;", "&")


def parsed(text: str) -> Drawn:
    drawn = Drawn()
    rest = tokens(text)
    assert rest[:3] == ["digraph", "depwalk", "{"]
    assert rest[-1] == "}"
    assert rest.count("{") == rest.count("}")
    statement: list[str] = []
    for token in rest[3:-1]:
        if token in (";", "{", "}"):
            take(statement, drawn)
            statement = []
        else:
            statement.append(token)
    return drawn


def take(statement: list[str], drawn: Drawn) -> None:
    """One statement."""
    if statement[:2] == ["label", "="]:
        drawn.clusters.append(statement[2][1:])
    if not statement or statement[0] in ("subgraph", "node", "edge") or "=" in statement[:2]:
        return
    head = statement[: statement.index("[")] if "[" in statement else statement
    inside = statement[len(head) + 1 : -1]
    facts = {inside[at]: inside[at + 2].lstrip('"') for at in range(0, len(inside), 4)}
    if "->" in head:
        one, _, other = head
        assert {one, other} <= set(drawn.nodes)
        drawn.edges[one, other] = facts
    else:
        (name,) = head
        assert name not in drawn.nodes
        drawn.nodes[name] = facts


def draw(*arguments: object, **options: Any) -> Drawn:
    return parsed(run(*arguments, *FIXED, "--format", "dot", **options).stdout)


@pytest.fixture
def root(make_pe: MakePE) -> Path:
    """A file that fails for what a DLL of its needs; another one is delay-loaded and missing, too."""
    make_pe("a.dll", exports=["f"], imports={"gone.dll": ["g"], "kernel32.dll": ["Sleep"]}, version=(1, 2, 3, 4))
    make_pe("b.dll", exports=["f"])
    return make_pe(
        "root.pyd",
        imports={"a.dll": ["f"], "b.dll": ["f"], "kernel32.dll": ["Sleep"], "user32.dll": ["GetDC"]},
        delay={"late.dll": ["h"]},
    )


def test_the_way_to_what_is_at_fault_is_red_and_bold(root: Path) -> None:
    drawn = draw(root)
    for one, other in (("root.pyd", "a.dll"), ("a.dll", "gone.dll")):
        assert (drawn.edge(one, other)["color"], drawn.edge(one, other)["style"]) == ("red", "bold")
    assert "color" not in drawn.edge("root.pyd", "b.dll")
    assert drawn.node("gone.dll")["label"] == "gone.dll\nmissing"
    assert drawn.node("gone.dll")["color"] == "red"


def test_what_is_delay_loaded_is_dashed_and_not_red(root: Path) -> None:
    drawn = draw(root)
    assert drawn.edge("root.pyd", "late.dll") == {"style": "dashed"}
    assert drawn.node("late.dll")["color"] == "darkorange"


def test_of_the_dlls_of_windows_each_importer_has_the_number(root: Path) -> None:
    drawn = draw(root)
    assert drawn.edge("root.pyd", "2 of Windows") == {"color": "grey"}
    assert drawn.edge("a.dll", "1 of Windows") == {"color": "grey"}
    assert drawn.node("2 of Windows")["tooltip"] == "kernel32.dll\nuser32.dll"


def test_all_draws_them_one_by_one(root: Path) -> None:
    drawn = draw(root, "--all")
    assert drawn.node("user32.dll")["color"] == "grey"
    assert [facts["label"] for facts in drawn.nodes.values() if "of Windows" in facts["label"]] == []
    assert drawn.edge("a.dll", "kernel32.dll") == {}


def test_a_missing_function_is_named_at_the_edge(make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f"])
    drawn = draw(make_pe("root.pyd", imports={"a.dll": ["f", "other"]}))
    assert drawn.edge("root.pyd", "a.dll")["label"] == "lacks other"
    assert drawn.edge("root.pyd", "a.dll")["color"] == "red"


def test_what_loads_has_nothing_red(make_pe: MakePE) -> None:
    drawn = draw(make_pe("root.pyd", imports={"kernel32.dll": ["Sleep"]}))
    assert drawn.clusters == ["root.pyd: loads"]
    assert [facts for facts in drawn.nodes.values() if facts.get("color") == "red"] == []


def test_several_targets_are_clusters_of_one_graph(make_pe: MakePE) -> None:
    drawn = draw(make_pe("a.pyd"), make_pe("b.pyd", imports={"gone.dll": ["f"]}))
    assert drawn.clusters == ["a.pyd: loads", "b.pyd: does NOT load"]
    assert len(drawn.nodes) == 3


@pytest.mark.parametrize(
    "name", ['a"];x[.dll', "&lt;b&gt;.dll", "<b>.dll", "{a|b}.dll", "D\xe9p\xf4t.dll", "a;b -> c.dll"]
)
def test_any_name_is_shown_as_it_is(name: str, make_pe: MakePE) -> None:
    drawn = draw(make_pe("root.pyd", imports={name: ["f"]}))
    assert drawn.node(name)["label"] == f"{name}\nmissing"
    assert len(drawn.nodes) == 2


def test_a_path_is_shown_with_its_backslashes(make_pe: MakePE) -> None:
    drawn = draw(make_pe("root.pyd", imports={"python311.dll": ["Py_IsInitialized"]}))
    assert drawn.node("python311.dll")["tooltip"] == "C:\\Python311\\python311.dll"


def test_what_would_steer_a_terminal_is_escaped(make_pe: MakePE) -> None:
    said = run(make_pe("root.pyd", imports={"a\x1b[2J\n.dll": ["f"]}), *FIXED, "--format", "dot").stdout
    assert "\x1b" not in said
    assert parsed(said).node("a\\x1b[2J\\n.dll")["color"] == "red"


def test_it_says_in_front_what_it_is(make_pe: MakePE) -> None:
    said = run(make_pe("root.pyd"), *FIXED, "--format", "dot").stdout
    assert said.startswith("// What DLLs need each other, as depwalk ")
    assert "dot -Tsvg" in said.splitlines()[0]


def test_a_scan_has_no_graph(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("s/root.pyd")
    refused(run("scan", tmp_path / "s", *FIXED[:2], "--format", "dot"), "dot", "text, json, html, sarif")
    refused(run(tmp_path / "s", *FIXED, "--format", "dot"), "dot", "text, json, html, sarif")


@pytest.mark.parametrize("form", ["html", "sarif"])
def test_a_file_and_a_directory_make_no_single_document(form: str, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("s/root.pyd")
    ran = run(tmp_path / "s", make_pe("a.pyd"), *FIXED, "--format", form)
    assert (ran.returncode, ran.stdout) == (USAGE, "")
    refused(ran, "one document")
