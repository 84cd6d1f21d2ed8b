"""Rows that a failed test gives, for reviewers who ask for them: never values of hidden columns."""

from __future__ import annotations

import logging

from offdag.artifacts.compiled import CompiledNode
from offdag.review.build import Build
from offdag.review.databases import Databases, driver_message
from offdag.review.figures import Precision, shown_value

_log = logging.getLogger(__name__)

# Columns of dbt's own tests, which hold values of the tested column.
_OF_DBT = ("unique_field", "value_field", "from_field", "n_records")


def failing_rows(
    databases: Databases, builds: tuple[Build, Build], test: CompiledNode, precision: Precision, most: int
) -> list[tuple[str, ...]]:
    """The first rows that a test's query gives, the names of its columns first; none where it cannot be run again.

    Args:
        databases: The connection that reads the review.
        builds: Production's, whose marks of private columns count too, and the review's.
        test: With its compiled code.
        precision: Names the hidden columns.
        most: Rows at most.
    """
    from sqlglot import exp

    before, tested = ([b.nodes[parent] for parent in test.parents if parent in b.nodes] for b in builds)
    hidden = precision.hidden.union(*(node.private_columns for node in (*before, *tested)))
    if test.code is None or (test.column_name or "").lower() in hidden:
        return []
    table = databases.temporary(test.code)
    if table is None:
        return []
    # Drivers raise many classes of errors.
    try:
        names = list(databases.adapter.columns(table))
        if hidden:
            # Under another name a value may be a hidden one.
            known = {name.lower() for node in tested for name in databases.columns(node)} - hidden
            known |= set(_OF_DBT) if test.column_name else set()
            names = [name for name in names if name.lower() in known]
        if not names:
            return []
        query = exp.select(*(exp.column(name, quoted=True) for name in names)).from_(table).limit(most)
        return [tuple(names), *(tuple(map(shown_value, row)) for row in databases.rows(query))]
    except Exception as error:
        _log.info("the rows of %s could not be read: %s", test.name, driver_message(error))
        return []
