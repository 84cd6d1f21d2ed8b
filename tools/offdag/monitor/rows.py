"""Typed rows of the marts that offdag reads: each names its mart, and has the columns that Python uses, as the contract names them."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

import msgspec


class MartRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a mart; columns that the struct does not name are passed over.

    Attributes:
        mart: Name of the mart.
    """

    mart: ClassVar[str]


class MonitorRun(MartRow, frozen=True, kw_only=True):
    """The instant that the marts were computed for (naive UTC)."""

    mart: ClassVar[str] = "dim_monitor"

    as_of: datetime


class DueNotification(MartRow, frozen=True, kw_only=True):
    """One notification that has to be sent to one channel of one sink.

    Texts come from artifacts and are not escaped. Times are naive UTC; ``ended_at`` and ``closed_reason`` are None while the incident is
    open, ``opened_message_*`` where its first message is unknown, ``changed_node_count`` where what changed is unknown.
    """

    mart: ClassVar[str] = "fct_notifications_due"

    notification_id: str
    event: str
    sink: str
    channel: str
    mention: str | None
    project: str
    environment: str
    signal_key: str
    kind: str
    severity: str
    title: str
    detail: str | None
    node_id: str | None
    owner: str | None
    evidence: str | None
    started_at: datetime
    last_bad_at: datetime
    ended_at: datetime | None
    closed_reason: str | None
    bad_count: int
    is_first_report: bool
    storm_cause: str | None
    git_sha: str | None
    prior_git_sha: str | None
    ci_url: str | None
    changed_node_count: int | None
    is_own_code_changed: bool | None
    compiled_path: str | None
    opened_message_channel: str | None
    opened_message_ts: str | None


class Incident(MartRow, frozen=True, kw_only=True):
    """One incident: a problem from its first bad observation to its end. Times are naive UTC."""

    mart: ClassVar[str] = "fct_incidents"

    incident_id: str
    signal_key: str
    incident_status: str
    kind: str
    severity: str
    project: str
    environment: str
    title: str
    detail: str | None
    node_id: str | None
    owner: str | None
    started_at: datetime
    last_bad_at: datetime
    ended_at: datetime | None
    closed_reason: str | None

    @property
    def is_open(self) -> bool:
        return self.incident_status == "open"


class NodeRoute(MartRow, frozen=True, kw_only=True):
    """One channel that is alerted of one node, by severity."""

    mart: ClassVar[str] = "dim_node_routes"

    project: str
    environment: str
    node_id: str
    node_name: str
    owner: str | None
    severity: str
    channel: str
    mention: str | None
    is_off: bool


class IncidentContext(MartRow, frozen=True, kw_only=True):
    """What is known around one incident: whether it is muted, until when and why."""

    mart: ClassVar[str] = "fct_incident_context"

    incident_id: str
    is_muted: bool
    muted_until: date | None
    mute_reason: str | None


class Invocation(MartRow, frozen=True, kw_only=True):
    """One dbt invocation, or one run of a command that left no results. Counts are of nodes and tests."""

    mart: ClassVar[str] = "fct_invocations"

    project: str
    environment: str
    run_id: str
    job_id: str | None
    command: str | None
    is_build: bool
    is_retry: bool
    started_at: datetime | None
    ended_at: datetime
    invocation_status: str
    elapsed_seconds: float | None
    dbt_version: str | None
    git_sha: str | None
    git_branch: str | None
    pull_request: str | None
    ci_url: str | None
    success_count: int
    failure_count: int
    warning_count: int
    skipped_count: int
    no_op_count: int
    unknown_count: int
    result_count: int


class NodeExecution(MartRow, frozen=True, kw_only=True):
    """One result of one node in one of the newest builds; times are None for a node that was skipped."""

    mart: ClassVar[str] = "fct_newest_executions"

    node_execution_id: str
    invocation_id: str
    node_id: str
    resource_type: str
    outcome: str
    failure_count: int | None
    execution_seconds: float | None
    started_at: datetime | None
    completed_at: datetime | None
    thread_id: str | None
    message: str | None


class FailureImpact(MartRow, frozen=True, kw_only=True):
    """What one failed execution took down."""

    mart: ClassVar[str] = "fct_failure_impact"

    node_execution_id: str
    skipped_model_count: int
    exposure_names: str | None


class SourceCheck(MartRow, frozen=True, kw_only=True):
    """One freshness check of one source. The age is None where the check failed, thresholds where there is none."""

    mart: ClassVar[str] = "fct_source_freshness"

    project: str
    environment: str
    node_id: str
    freshness_status: str | None
    outcome: str
    is_empty: bool
    age_seconds: float | None
    warn_after_seconds: int | None
    error_after_seconds: int | None
    observed_at: datetime


class StockCount(MartRow, frozen=True, kw_only=True):
    """One count of one product's stock; the count before is None for its first."""

    mart: ClassVar[str] = "fct_stock_counts"

    product_id: str
    product_name: str
    counted_at: datetime
    inventory_count: int
    prior_inventory_count: int | None
    is_latest: bool
    is_still_sold: bool
    last_observed_at: datetime
