"""Faults from a seed: what must never happen is looked for by machines. `make sim` runs it."""
