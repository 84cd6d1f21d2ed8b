"""What offdag names as the causes of recorded faults, compared with the truth."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.causes.faults import Fault
from offdag.history.history import History
from offdag.monitor.build import RunOptions, build_monitor
from offdag.monitor.plan import Plan
from offdag.settings import Settings

_QUERY = """
    select incidents.environment, incidents.incident_id, causes.cause_kind, causes.cause_node_id
    from fct_incidents as incidents
    left join fct_incident_causes as causes using (incident_id)
    order by incidents.environment, incidents.incident_id, causes.cause_rank
"""
# The models that name causes.
_MODELS = ("int_incident_upstream", "int_incident_errors", "int_incident_words", "fct_incident_causes")

# Kind and node of each cause of an incident, the likeliest first; one without either where none is known.
Causes = list[tuple[str | None, str | None]]


@dataclass(frozen=True)
class Score:
    """One fault and what was named.

    Attributes:
        fault: The truth.
        named: For each of its incidents.
    """

    fault: Fault
    named: Sequence[Causes]

    def has_node(self, first: int) -> bool:
        """Whether each incident has the right node among its first causes."""
        return bool(self.named) and all(
            any(node in self.fault.node for _, node in causes[:first]) for causes in self.named
        )

    @property
    def has_kind(self) -> bool:
        """Whether each incident has the right kind first."""
        return bool(self.named) and all(causes[0][0] == self.fault.kind for causes in self.named)


def name_causes(faults: Sequence[Fault], history: Path, database: Path) -> list[Score]:
    """Run the monitor once over all recorded faults."""
    settings = Settings.load(
        {
            "history": str(history),
            "monitor_database": str(database),
            "monitor_project_dir": str(Path(__file__).parents[3] / "monitor_project"),
        },
        {k: v for k, v in os.environ.items() if not k.startswith(("OFFDAG_", "DBT_"))}
        | {"OFFDAG_ALERTING_ENVIRONMENTS": ",".join(fault.environment for fault in faults)},
    )
    build_monitor(settings, History(settings.history), RunOptions())
    with duckdb.connect(str(database), read_only=True) as connection:
        rows = connection.execute(_QUERY).fetchall()
    named: dict[str, dict[str, Causes]] = {}
    for environment, incident, kind, node in rows:
        named.setdefault(environment, {}).setdefault(incident, []).append((kind, node))
    return [Score(fault, list(named.get(fault.environment, {}).values())) for fault in faults]


def seconds_to_name(database: Path) -> float:
    """CPU seconds of the models that name the causes, over all recorded faults, as dbt compiled them for this database."""
    plan = Plan.read(database.parent / "monitor_target" / "plan.json")
    assert plan is not None, "the monitor wrote no plan"
    steps = [step for step in plan.steps if step.unique_id.split(".")[-1] in _MODELS]
    with duckdb.connect(str(database)) as connection:
        connection.execute("set variable given_as_of = current_timestamp::timestamp")
        before = time.process_time()
        for step in steps:
            for statement in step.before:
                connection.execute(statement)
            connection.execute(f"create or replace table {step.relation} as\n{step.sql}")
        return time.process_time() - before


def counts(scores: Sequence[Score]) -> Counter[str]:
    """How many faults had incidents, and of those how many were named rightly for each incident."""
    seen = [score for score in scores if score.named]
    return Counter(
        {
            "faults": len(scores),
            "seen": len(seen),
            "incidents": sum(len(score.named) for score in seen),
            "node first": sum(score.has_node(1) for score in seen),
            "node in three": sum(score.has_node(3) for score in seen),
            "kind first": sum(score.has_kind for score in seen),
        }
    )
