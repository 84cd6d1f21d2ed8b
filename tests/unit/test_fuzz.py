"""The targets of `make fuzz` over sound inputs, inputs that broke one before, and made-up ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.fuzz import TARGETS, examples

CASES = Path(__file__).parents[1] / "fixtures" / "fuzz"
BYTES = st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))


@pytest.mark.parametrize("target", TARGETS)
def test_sound_inputs_end_well(target: str) -> None:
    for example in examples(target):
        TARGETS[target](example)


@pytest.mark.parametrize("case", sorted(CASES.glob("*/*")), ids=lambda case: f"{case.parent.name}-{case.name}")
def test_what_broke_before_ends_well(case: Path) -> None:
    TARGETS[case.parent.name](case.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=BYTES)
def test_made_up_inputs_end_well(target: str, data: bytes) -> None:
    TARGETS[target](data)
