"""One case of a suite: named by seed and number, so that it can be repeated alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

# Runs one case in a folder of its own; gives what it did, and the promises that were broken.
CaseFunction = Callable[["Case"], "CaseResult"]


@dataclass(frozen=True)
class Case:
    """What a case is made from.

    Attributes:
        seed: Of the whole run.
        number: Of the case.
        folder: Empty folder for its files.
    """

    seed: int
    number: int
    folder: str

    @property
    def rng(self) -> random.Random:
        """The same numbers for the same seed and case."""
        return random.Random(f"{self.seed}-{self.number}")


@dataclass
class CaseResult:
    """What a case did.

    Attributes:
        counts: How often something happened, such as kills.
        broken: Promises that did not hold, one sentence each.
    """

    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
