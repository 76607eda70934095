"""An extension of griffe: the fields of a class as one table, with what their comments and docstrings say of them.

A field has its meaning in a comment at the end of its line, `size: int  # bytes`, a property in its docstring.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator


class FieldTable(griffe.Extension):
    """Puts fields and properties into the docstring of their class, in place of a heading for each."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Append the section "Attributes" to what the class says of itself."""
        fields = [member for name, member in cls.members.items() if member.is_attribute and not name.startswith("_")]
        if cls.docstring is not None and fields:
            cls.docstring.value = "\n".join([cls.docstring.value, "", "Attributes:", *map(line, fields)])
            for field in fields:
                cls.del_member(field.name)


def line(field: griffe.Attribute) -> str:
    """One field with what is known of it, as such a section has it."""
    told = field.docstring.value.partition("\n\n")[0] if field.docstring else " ".join(comment(field))
    return f"    {field.name} ({field.annotation}): {' '.join(told.split())}"


def comment(field: griffe.Attribute) -> Iterator[str]:
    """The comment at the end of the line of a field."""
    if field.lineno is not None and not isinstance(field.filepath, list):
        text = field.filepath.read_text("utf-8").splitlines()[field.lineno - 1]
        found = re.search(r"  # (?!noqa|type:)(.*)$", text)
        if found:
            yield found[1]
