"""The review as JSON, for other programs: the same facts as the summary."""

from __future__ import annotations

import json
from dataclasses import asdict

from offdag.review.review import Review


def document(project: str, exit_code: int, review: Review | None, is_refused: bool) -> str:
    """Write the document.

    Args:
        project: Name of the dbt project.
        exit_code: dbt's own.
        review: What was found; None where dbt left no results.
        is_refused: ``--fail-on`` does not allow what differs, or what could not be compared.
    """
    facts = {
        "project": project,
        "dbt_exit_code": exit_code,
        "is_refused": is_refused,
        "is_reviewed": review is not None,
    }
    if review:
        facts |= {
            "production_commit": review.base.production,
            "comparisons": [asdict(comparison) for comparison in review.comparisons],
            "explanations": {
                unique_id: {"cause": found.cause.value, "detail": found.detail, "rows_without_code": found.without_code}
                for unique_id, found in review.explanations.items()
            },
            "unchanged": sorted(review.unchanged),
            "new": {unique_id: asdict(made) for unique_id, made in review.made.items()},
            "removed": review.removed,
            "renamed": review.renamed,
            "not_compared": review.not_compared,
            "breaking": [{"unique_id": unique_id, "what": what} for unique_id, what in review.breaking],
            "impact": {unique_id: asdict(effect) for unique_id, effect in review.impact.items()},
            "remarks": list(review.remarks),
            "is_blind": review.is_blind,
        }
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
