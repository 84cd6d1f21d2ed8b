"""What the shop's tools refuse, each time with what failed, where, and the next command."""

from __future__ import annotations


class GreeneryError(Exception):
    """Input that cannot be generated or loaded.

    Attributes:
        what: What failed.
        where: The file, column or table.
        next_command: What to type next.
    """

    def __init__(self, what: str, where: str, next_command: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.next_command = next_command

    def __str__(self) -> str:
        return f"error: {self.what}\nwhere: {self.where}\nnext:  {self.next_command}"
