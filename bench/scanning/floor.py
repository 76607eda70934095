"""A scan that lists and reads every file and makes a row of it, and judges none: what is left if the rest cost nothing.

Its arguments are those of `depwalk scan`. Not done are the search for what a file needs, the comparison of symbols, the
source of packages, and the diagnosis.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from depwalk import cli
from depwalk.bulk import judge
from depwalk.bulk.rows import Row

if TYPE_CHECKING:
    from depwalk.bulk.rows import Case, File


def unjudged(file: File, _image: object, case: Case, *_: Any) -> tuple[Row, None]:
    return Row(file, case, "loads", "static"), None


if __name__ == "__main__":
    # processes of the scan are forked and have it, too
    judge._row = unjudged  # noqa: SLF001  (only a benchmark wants rows without a judgement: there is no way to ask for them)
    sys.exit(cli.main(["scan", *sys.argv[1:]]))
