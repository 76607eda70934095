"""An extension of griffe: what stands behind a field (`size: int  # bytes`) is what the reference says of it."""

from __future__ import annotations

import re
from typing import Any

import griffe


class FieldComments(griffe.Extension):
    """The fields of dataclasses and named tuples have their meaning in a comment, as all of this code has."""

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Give an attribute without a docstring the comment at the end of its line."""
        if attr.docstring is None and attr.lineno is not None and not isinstance(attr.filepath, list):
            line = attr.filepath.read_text("utf-8").splitlines()[attr.lineno - 1]
            comment = re.search(r"  # (?!noqa|type:)(.*)$", line)
            if comment:
                attr.docstring = griffe.Docstring(comment[1], lineno=attr.lineno, parent=attr)
