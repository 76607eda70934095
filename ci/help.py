"""Write depwalk/data/help, which --help answers with before there is a parser, from the parsers themselves."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
TEXTS = CHECKOUT / "depwalk" / "data" / "help"


def main() -> None:
    """A file for each command."""
    sys.path.insert(0, str(CHECKOUT))
    from depwalk import cli

    os.environ["COLUMNS"] = str(cli.HELP_COLUMNS)
    TEXTS.mkdir(exist_ok=True)
    for name in ("", *cli.COMMANDS):
        text = cli.parser_of(name)[0].format_help()
        (TEXTS / f"{name or 'depwalk'}.txt").write_bytes(text.encode())


if __name__ == "__main__":
    main()
