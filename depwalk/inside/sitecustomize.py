"""Begins the recording in a Python that `depwalk run` started: PYTHONPATH leads here.

A sitecustomize that this one hides is run afterwards, as if this one were not there.
"""

import os
import sys


def _begin():
    # type: () -> None
    here = os.path.dirname(os.path.abspath(__file__))
    folder = os.environ.get("DEPWALK_RECORD")
    if folder:
        before = set(sys.modules)
        sys.path.insert(0, here)
        import child  # type: ignore[import-not-found]  # found on the path that leads here

        child.record_program(folder)
        for name in set(sys.modules) - before:  # the program may have modules of such names itself
            del sys.modules[name]
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]


def _go_on():
    # type: () -> None
    this = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401  (the next one on the path)
    except ImportError as error:
        if error.name != "sitecustomize":
            raise  # the next one's own failure is its own
    sys.modules.setdefault("sitecustomize", this)  # the import of this one is not over


_begin()
_go_on()
