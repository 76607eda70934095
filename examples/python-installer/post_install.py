"""What an installer that brings its own Python runs last. It asks whether all that it has just unpacked loads.

Usage: python post_install.py LOG PATH...

PATH is a file, the directory of a package or a whole site-packages; each extension module in it is loaded once, in a
child process. The log is UTF-8. Exit status: 0 everything loads, 1 something does not, 3 something could not be tried.
"""

from __future__ import annotations

import sys

import depwalk

EXIT = {"loads": 0, "unknown": 3, "fails": 1}


def main(log: str, *paths: str) -> int:
    """Write the log and return the exit status."""
    verdicts = set()
    causes: dict[str, None] = {}  # each once, in their order
    with open(log, "w", encoding="utf-8") as file:
        for row in depwalk.scan(paths, load=True):
            if row.verdict is None:  # not a file for this Python
                continue
            verdicts.add(row.verdict)
            file.write(f"{row.verdict}: {row.file.path}\n")
            for finding in row.findings:
                if finding.severity == "error":
                    remedy = finding.remedy
                    advice = (remedy.text, remedy.command, remedy.url) if remedy else ()
                    causes["\n    ".join([f"{finding.code}: {finding.message}", *filter(None, advice)])] = None
        file.writelines(f"{cause}\n" for cause in causes)
    worst = next((verdict for verdict in ("fails", "unknown") if verdict in verdicts), "loads")
    print(*causes, sep="\n")
    return EXIT[worst]


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
