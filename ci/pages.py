"""What the documentation site generates: a hook of mkdocs that fills in `<!-- generated: NAME -->`, at every build.

They are made of the parsers of the commands, of the schemas and of the findings that have a page, and so cannot drift.
Only the sources of the checkout are read; the core need not be built.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CHECKOUT = Path(__file__).resolve().parent.parent
DOCS = CHECKOUT / "docs"
DATA = CHECKOUT / "depwalk" / "data"
MARK = re.compile(r"^<!-- generated: ([\w -]+) -->$", re.MULTILINE)
OUTSIDE = re.compile(r"\]\(((?:\.\./)+)([^)#]+)")
CREATED = re.compile(r"^-- ([^\n]*)\nCREATE (TABLE|VIEW) (\w+)(.*?;)$", re.MULTILINE | re.DOTALL)
TITLES = {"": "A file, a name, a directory"}  # of commands without a name


# ---- the hook


def on_config(config: Any) -> Any:
    """List the pages of the findings, by their names."""
    for entry in config.nav:
        if "Findings" in entry:
            entry["Findings"] = ["findings/index.md", *(f"findings/{code}.md" for code in sorted(finding_pages()))]
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Fill in what is generated, and let links out of docs/ lead to the sources."""
    return to_sources(filled(markdown), page.file.src_uri, config.extra["sources"])


def filled(markdown: str) -> str:
    """The page with everything in it. Raises KeyError for a mark that nothing here makes."""
    return MARK.sub(lambda mark: GENERATED[mark[1]](), markdown)


def to_sources(markdown: str, page: str, sources: str) -> str:
    """The page with links to files of the checkout outside of docs/ made absolute; mkdocs tells of those to nothing."""

    def lead(link: re.Match[str]) -> str:
        there = (DOCS / page).parent.joinpath(link[1] + link[2]).resolve()
        if there.is_relative_to(DOCS) or not there.exists():
            return link[0]
        return f"]({sources}{there.relative_to(CHECKOUT).as_posix()}"

    return OUTSIDE.sub(lead, markdown)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace(chr(10), ' ') for cell in line)} |" for line in lines)


# ---- findings


def finding_pages() -> dict[str, str]:
    """The pages of docs/findings by code."""
    pages = (DOCS / "findings").glob("*.md")
    return {page.stem: page.read_text("utf-8") for page in pages if page.stem != "index"}


def meaning(page: str) -> str:
    """The first sentence below the title of a finding's page."""
    paragraph = page.split("\n\n")[1].replace("\n", " ")
    return re.split(r"(?<=\.)\s", paragraph)[0]


def findings() -> str:
    """Every finding that has a page, in the order of the schema, in which relatives stand together."""
    schema = json.loads((DATA / "schema.json").read_text("utf-8"))
    pages = finding_pages()
    codes = [code for code in schema["properties"]["findings"]["items"]["properties"]["code"]["enum"] if code in pages]
    return table(("finding", "what it means"), ((f"[`{code}`]({code}.md)", meaning(pages[code])) for code in codes))


# ---- the command line


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of every command by its name; "" is that of `depwalk TARGET...`, and comes first."""
    from depwalk import cli

    return {name: cli.parser_of(name)[0] for name in ("", *sorted(cli.COMMANDS))}


def command_line() -> str:
    """A section for each command."""
    return "\n\n".join(command_section(name, parser) for name, parser in commands().items())


def command_section(name: str, parser: argparse.ArgumentParser) -> str:
    """What a command does, how it is called, and a table for each group of options."""
    usage = f"Usage: `{' '.join(parser.format_usage().split()[1:])}`"
    parts = [f"## {TITLES.get(name, name)}", description(parser.description or ""), usage]
    for title, actions in groups(parser).items():
        if title:
            parts.append(f"**{title[:1].upper()}{title[1:]}**")
        parts.append(table(("option", "what it does", "default"), map(option_row, actions)))
    return "\n\n".join(parts)


def groups(parser: argparse.ArgumentParser) -> dict[str, list[argparse.Action]]:
    """Arguments and options as --help groups them; those without a group of their own first, without a title."""
    found: dict[str, list[argparse.Action]] = {"": []}
    for group in parser._action_groups:  # noqa: SLF001  (argparse has no other list of them)
        title = "" if group.title in ("positional arguments", "options") else group.title or ""
        found.setdefault(title, []).extend(group._group_actions)  # noqa: SLF001  (the same)
    shown = {title: [action for action in actions if action.dest != "help"] for title, actions in found.items()}
    return {title: actions for title, actions in shown.items() if actions}


def description(text: str) -> str:
    """A description as --help has it, with its indented lines as a block."""
    parts = []
    for paragraph in text.split("\n\n"):
        block = all(line.startswith("  ") for line in paragraph.splitlines())
        lines = "\n".join(line[2:] for line in paragraph.splitlines())
        parts.append(f"```text\n{lines}\n```" if block else literal(paragraph))
    return "\n\n".join(parts)


def option_row(action: argparse.Action) -> tuple[str, str, str]:
    """An option with what it takes, what it does, and its default."""
    takes = "" if action.nargs == 0 else str(action.metavar or "|".join(action.choices or ()))
    option = ", ".join(f"`{name}`" for name in action.option_strings or [takes])
    if takes and action.option_strings:
        option = f"{option[:-1]} {takes}`"
    text = (action.help or "").replace("%(prog)s", "depwalk")
    told = re.search(r"\s*\(?default: ([^()]*)\)?", text)
    default = told[1] if told else written_default(action.default)
    what = text.replace(told[0], "") if told else text
    return option, literal(what) or f"one of {', '.join(f'`{choice}`' for choice in action.choices or ())}", default


def written_default(default: object) -> str:
    """A default that a person should know; most options that are not given do nothing."""
    if default in (None, False, argparse.SUPPRESS) or default == []:
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def literal(text: str) -> str:
    """Words of the command line as code: options, and what has signs that Markdown would read."""
    return re.sub(r"(?<![\w`])(--?[a-z][\w-]*|[^\s,;`]*[|*_\\\[<][^\s,;`]*)", r"`\1`", text)


# ---- JSON


def json_report() -> str:
    """The keys of the report of one target."""
    return "\n\n".join(json_sections(read_schema("schema.json"), {}, ""))


def json_scan() -> str:
    """The keys of a line of a scan. What is as in a report is told there."""
    told = read_schema("schema.json")["properties"]
    return "\n\n".join(json_sections(read_schema("scan.schema.json"), told, " of a scan"))


def read_schema(name: str) -> Any:
    return json.loads((DATA / name).read_text("utf-8"))


def json_sections(schema: Any, told: Any, of: str) -> Iterator[str]:
    """First the keys that are plain values, then a section for each that has keys of its own."""
    plain, nested = [], []
    for key, what in schema["properties"].items():
        (nested if list(keys(what, key))[1:] else plain).append((key, what))
    yield table(("key", "type", "meaning"), (key_row(key, what) for key, what in plain))
    for key, what in nested:
        heading = f"### {key}{of}"
        if what == told.get(key):
            yield f"{heading}\n\nAs [in a report](#{key})."
            continue
        about = ": ".join(part for part in (kind_of(what), literal(what.get("description", ""))) if part)
        told_first = f"{about[0].upper()}{about[1:]}.\n\n" if about != "object" else ""
        rows = (key_row(name, row) for name, row in list(keys(what, key))[1:])
        yield f"{heading}\n\n{told_first}{table(('key', 'type', 'meaning'), rows)}"


def keys(what: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A key and all below it: `findings[].remedy.text`."""
    yield name, what
    if "items" in what:
        inner = list(keys(what["items"], f"{name}[]"))
        yield from inner[1:]
    for key, below in what.get("properties", {}).items():
        yield from keys(below, f"{name}.{key}")


def key_row(name: str, what: Any) -> tuple[str, str, str]:
    """One key: where it is, what it holds, what that means."""
    values = [value for value in what.get("enum", [what["const"]] if "const" in what else []) if value is not None]
    if name.endswith("findings[].code"):
        told = "one of the [findings](findings/index.md)"
    else:
        told = ", ".join(f"`{value}`" for value in values)
    return f"`{name}`", kind_of(what), "; ".join(part for part in (literal(what.get("description", "")), told) if part)


def kind_of(what: Any) -> str:
    """The type as a person says it: "string or null", "list of objects"."""
    if "const" in what:
        return "string"
    if "enum" in what:
        return "string or null" if None in what["enum"] else "string"
    kinds = what["type"] if isinstance(what["type"], list) else [what["type"]]
    return " or ".join(f"list of {kind_of(what['items'])}s" if kind == "array" else kind for kind in kinds)


# ---- the database


def database() -> str:
    """Every table and view of the database with its columns."""
    text = (DATA / "scan.sql").read_text("utf-8")
    parts = []
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(text)
        for told, kind, name, body in CREATED.findall(text):
            columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
            comments = column_comments(body) if kind == "TABLE" else {}
            if kind == "VIEW":
                names = ", ".join(f"`{column[1]}`" for column in columns)
                parts.append(f"### {name}\n\nA view. {told}\n\nColumns: {names}.")
                continue
            rows = ((f"`{column}`", type_, comments.get(column, "")) for _, column, type_, *_ in columns)
            parts.append(f"### {name}\n\n{told}\n\n" + table(("column", "type", "meaning"), rows))
    return "\n\n".join(parts)


def column_comments(body: str) -> dict[str, str]:
    """What stands behind each column; of a reference, to what."""
    found = {}
    for line in body.splitlines():
        column = re.match(r"    (\w+) +[A-Z]+\b(?:.*?REFERENCES (\w+))?(?:.*?-- (.*))?", line)
        if column:
            refers = f"`id` in [{column[2]}](#{column[2]})" if column[2] else ""
            found[column[1]] = "; ".join(part for part in (refers, column[3]) if part)
    return found


# ---- the C interface


def families() -> str:
    """Every family of the header: its number, its name and what the header says of it."""
    header = (CHECKOUT / "csrc" / "depwalk.h").read_text("ascii")
    rows = re.findall(r"^    DW_FAMILY_(\w+) = (\d+),? *(?:/\* (.*) \*/)?$", header, re.MULTILINE)
    return table(
        ("exit code", "family", "what it means"),
        ((number, f"`{name.lower().replace('_', '-')}`", meaning) for name, number, meaning in rows),
    )


def example(path: str, language: str) -> str:
    """A file of examples/ as a block."""
    return f"```{language}\n{(CHECKOUT / 'examples' / path).read_text('utf-8')}```"


GENERATED: dict[str, Callable[[], str]] = {
    "findings": findings,
    "command line": command_line,
    "report keys": json_report,
    "scan keys": json_scan,
    "database": database,
    "families": families,
    "c example": functools.partial(example, "c/check.c", "c"),
    "cpp example": functools.partial(example, "cpp/check.cpp", "cpp"),
    "ctypes example": functools.partial(example, "ctypes/check.py", "py"),
}
