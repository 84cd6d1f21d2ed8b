"""Typed rows of the marts that offdag reads: each names its mart, and has the columns that Python uses, as the contract names them."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec


class MartRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a mart; columns that the struct does not name are ignored.

    Attributes:
        mart: Name of the mart.
    """

    mart: ClassVar[str]


class MonitorRun(MartRow, frozen=True, kw_only=True):
    """The instant that the marts were computed for (naive UTC)."""

    mart: ClassVar[str] = "dim_monitor"

    as_of: datetime


class Environment(MartRow, frozen=True, kw_only=True):
    """One environment of one project.

    Attributes:
        project: dbt project that was run; ``unknown`` if neither given nor found in the artifacts.
        environment: Environment of the run, such as prod, as given to offdag; ``unknown`` if not given.
        is_alerting: Whether its problems become incidents.
        is_silent: Whether it has had no build for silent_after_days.
        last_build_at: End of the newest build (naive UTC). None without one.
        build_count: Builds, retries included.
    """

    mart: ClassVar[str] = "dim_environments"

    project: str
    environment: str
    is_alerting: bool
    is_silent: bool
    last_build_at: datetime | None
    build_count: int


class DueNotification(MartRow, frozen=True, kw_only=True):
    """One notification that has to be sent to one channel of one sink.

    Texts come from artifacts and are not escaped.

    Attributes:
        notification_id: Key of one notification: incident, event, sink and channel.
        event: opened, reminder, resolved, closed or digest.
        sink: Where it is delivered: slack, webhook or stdout.
        channel: Channel of the route, or the former channel in which the incident was announced.
        mention: Slack user or group id to mention. None for no mention.
        project: dbt project that was run; ``unknown`` if neither given nor found in the artifacts.
        environment: Environment of the run, such as prod, as given to offdag; ``unknown`` if not given.
        incident_id: Key of the incident. Empty in intents of an earlier version.
        signal_key: Key of what a signal watches: its kind, and one node, product or environment.
        kind: Kind of the signal.
        severity: error or warning.
        title: What is wrong, in one sentence of at most 120 characters.
        detail: One more line, without values from the data. None if there is nothing to add.
        node_id: dbt's unique_id of the node. None for signals without a node.
        owner: Owner of what is watched. None without one.
        evidence: The facts behind the signal, as JSON.
        started_at: First bad observation of the incident (naive UTC).
        last_bad_at: Time of the last bad observation (naive UTC).
        ended_at: When it was resolved or closed (naive UTC). None while open.
        closed_reason: removed, replaced (the same test has a new id), passed (a deadline at risk) or unobserved. None unless closed.
        bad_count: Number of bad observations.
        is_first_report: Whether no successful monitor run has covered the project yet.
        storm_cause: The error message that at least storm_least_incidents incidents of one run share. None for all others.
        git_sha: Commit of the build with the first bad observation. None if unknown.
        repository_url: Web address of its repository. None if unknown.
        ci_url: CI page of the build with the first bad observation. None if unknown.
        target: dbt's --target of the build with the first bad observation. None if it had none, or if unknown.
        last_success_git_sha: Commit of the last run before the incident in which its node succeeded. None if unknown.
        change_count: Nodes that are new or changed since then: its own, the one that it tests, and those upstream. None if unknown.
        changes: The first four of these changes. None where there are none.
        likely_cause: The likeliest cause in words. None if unknown.
        seen_before_count: Incidents of the same signal in the days before. None for none.
        seen_since: When the first of them began (naive UTC). None where there is none.
        last_recovery_seconds: How long the last of them took to recover. None where it did not.
        failing_rows: Up to five stored rows of the failing test, of the columns that its route shows. None without any.
        compiled_path: File of its compiled query, relative to the project's folder. None without one.
        opened_message_channel: Slack's id of the channel of the opening message. None without one.
        opened_message_ts: Slack's id of the opening message. None without one.
    """

    mart: ClassVar[str] = "fct_notifications_due"

    notification_id: str
    event: str
    sink: str
    channel: str
    mention: str | None
    project: str
    environment: str
    incident_id: str = ""
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
    # Intents of a version before 0.2 have it under another name.
    is_first_report: bool = False
    storm_cause: str | None
    git_sha: str | None
    ci_url: str | None
    # Intents of a version before 0.2 lack them.
    repository_url: str | None = None
    target: str | None = None
    last_success_git_sha: str | None = None
    change_count: int | None = None
    changes: str | None = None
    likely_cause: str | None = None
    seen_before_count: int | None = None
    seen_since: datetime | None = None
    last_recovery_seconds: int | None = None
    failing_rows: str | None = None
    compiled_path: str | None
    opened_message_channel: str | None
    opened_message_ts: str | None


class Incident(MartRow, frozen=True, kw_only=True):
    """One incident: a problem from its first bad observation to its end.

    Attributes:
        incident_id: Key of the incident.
        signal_key: Key of what a signal watches: its kind, and one node, product or environment.
        incident_status: open, resolved (observed good again) or closed (see closed_reason).
        kind: Kind of its signal.
        severity: error or warning.
        project: dbt project that was run; ``unknown`` if neither given nor found in the artifacts.
        environment: Environment of the run, such as prod, as given to offdag; ``unknown`` if not given.
        title: What is wrong, in one sentence of at most 120 characters.
        detail: One more line, without values from the data. None if there is nothing to add.
        node_id: dbt's unique_id of the node. None for signals without a node.
        owner: Owner of what is watched. None without one.
        started_at: Time of the first bad observation (naive UTC).
        last_bad_at: Time of the last bad observation (naive UTC).
        ended_at: When it was resolved or closed (naive UTC). None while open.
        closed_reason: removed, replaced (the same test has a new id), passed (a deadline at risk) or unobserved. None unless closed.
    """

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
    """One channel that gets alerts of one node, by severity.

    Attributes:
        project: dbt project that was run; ``unknown`` if neither given nor found in the artifacts.
        environment: Environment of the run, such as prod, as given to offdag; ``unknown`` if not given.
        node_id: dbt's unique_id of the node.
        node_name: Name of the node.
        owner: Owner of the node; for a test without one, of the model that it tests. None without an owner.
        severity: error or warning.
        channel: Channel that an alert would be sent to.
        mention: Slack user or group id to mention. None for no mention.
        is_off: Whether meta.alerts of the node turns its alerts off.
    """

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


class SeedFinding(MartRow, frozen=True, kw_only=True):
    """A value of a seed, or of a deadline in meta.alerts, that nothing has.

    Attributes:
        seed_name: The seed, without .csv; or meta.alerts.
        column_name: Its column, or the setting.
        named_value: What the column holds.
        is_error: Whether the value can never be used.
    """

    mart: ClassVar[str] = "fct_seed_findings"

    seed_name: str
    column_name: str
    named_value: str
    is_error: bool


class ProposedCadence(MartRow, frozen=True, kw_only=True):
    """A line for run_cadences.csv.

    Attributes:
        project: dbt project.
        environment: Environment of its builds.
        every_hours: Hours from the end of one build to the end of the next.
        grace_hours: Hours beyond that.
        days: Days on which builds ended; None for every day.
        evidence: What it was found from.
    """

    mart: ClassVar[str] = "proposed_cadences"

    project: str
    environment: str
    every_hours: float
    grace_hours: float
    days: str | None
    evidence: str


class ProposedRoute(MartRow, frozen=True, kw_only=True):
    """An owner without a line in alert_routes.csv.

    Attributes:
        owner: As nodes name it.
        channel: The owner, where it is a channel; else None.
        node_count: Nodes that it owns.
        evidence: What it was found from.
    """

    mart: ClassVar[str] = "proposed_routes"

    owner: str
    channel: str | None
    node_count: int
    evidence: str


class ProposedVar(MartRow, frozen=True, kw_only=True):
    """A var whose default does not fit.

    Attributes:
        var_name: Its name.
        var_value: A number, or one element of a list.
        evidence: What it was found from.
    """

    mart: ClassVar[str] = "proposed_vars"

    var_name: str
    var_value: str
    evidence: str


class OpenMessage(MartRow, frozen=True, kw_only=True):
    """An open incident that nobody acknowledged, and a message in Slack that announced it.

    Attributes:
        open_message_id: Key of incident and message.
        signal_key: Key of what a signal watches: its kind, and one node, product or environment.
        project: dbt project that was run; ``unknown`` if neither given nor found in the artifacts.
        environment: Environment of the run, such as prod, as given to offdag; ``unknown`` if not given.
        started_at: First bad observation of the incident (naive UTC).
        last_bad_at: Time of the last bad observation (naive UTC).
        title: What is wrong, in one sentence of at most 120 characters.
        message_channel: Slack's id of the channel.
        message_ts: Slack's id of the message.
    """

    mart: ClassVar[str] = "int_open_messages"

    open_message_id: str
    signal_key: str
    project: str
    environment: str
    started_at: datetime
    last_bad_at: datetime
    title: str
    message_channel: str
    message_ts: str


class ProposedQuarantine(MartRow, frozen=True, kw_only=True):
    """A flaky test that may be left out of builds for a while.

    Attributes:
        project: dbt project that was run; ``unknown`` if neither given nor found in the artifacts.
        environment: Environment of the run, such as prod, as given to offdag; ``unknown`` if not given.
        node_id: dbt's unique_id of the test.
        node_name: dbt's name of it.
        owner: Its owner. None without one.
        strip: A letter for each of its newest runs, the oldest first: P, F, W, S, N, R or U. None without a run.
    """

    mart: ClassVar[str] = "proposed_quarantine"

    project: str
    environment: str
    node_id: str
    node_name: str
    owner: str | None
    strip: str | None


class BacktestNotification(MartRow, frozen=True, kw_only=True):
    """One notification that the settings of a backtest would have sent.

    Attributes:
        project: dbt project that was run; ``unknown`` if neither given nor found in the artifacts.
        environment: Environment of the run, such as prod, as given to offdag; ``unknown`` if not given.
        kind: Kind of signal.
        severity: error or warning.
        signal_key: Key of what a signal watches: its kind, and one node, product or environment.
        title: What is wrong, in one sentence of at most 120 characters.
        started_at: First bad observation of the incident (naive UTC).
        channel: Channel of the route.
        event: opened, resolved or closed.
        sent_at: The monitor run that would have sent it (naive UTC).
        is_delivered: Whether such a notification was delivered.
    """

    mart: ClassVar[str] = "backtest_notifications"

    project: str
    environment: str
    kind: str
    severity: str
    signal_key: str
    title: str
    started_at: datetime
    channel: str
    event: str
    sent_at: datetime
    is_delivered: bool
