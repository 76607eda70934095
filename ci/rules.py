"""Write depwalk/data/findings.json, the rules of SARIF documents, from the pages of docs/findings."""

from __future__ import annotations

import json
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
TABLE = CHECKOUT / "depwalk" / "data" / "findings.json"


def rules() -> str:
    """The table: for each code what it means, and what to do."""
    pages = sorted(page for page in (CHECKOUT / "docs" / "findings").glob("*.md") if page.stem != "index")
    return json.dumps({page.stem: rule(page.read_text("utf-8")) for page in pages}, indent=1, ensure_ascii=False) + "\n"


def rule(page: str) -> dict[str, str]:
    """The parts of one page."""
    _, _, what, _, _, _, remedy, *_ = re.split(r"^#+ (.*)\n", page, flags=re.MULTILINE)
    return {"what": plain(what), "remedy": plain(remedy)}


def plain(text: str) -> str:
    """Paragraphs and items of lists in one line each, and no links: they would lead nowhere outside of docs."""
    unlinked = re.sub(r"\[([^]]*)\]\([^)]*\.md\)", r"\1", text.strip())
    return re.sub(r"(?<!\n)\n(?!\n|[-*] )", " ", unlinked)


if __name__ == "__main__":
    TABLE.write_text(rules(), "utf-8")
