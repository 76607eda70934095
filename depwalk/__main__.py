"""python -m depwalk."""

# PYTHON_ARGCOMPLETE_OK  (a shell that completes every such program looks for this)

from __future__ import annotations

import sys


def main() -> int:
    """The console script."""
    from depwalk.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
