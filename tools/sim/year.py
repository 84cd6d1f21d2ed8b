"""A year of a data team: its commands in order, and what was true while they ran."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sim import artifacts, faults
from sim.faults import Fault
from sim.shapes import VERSIONS, written_by
from sim.team import ERROR_AFTER, SOURCES, WARN_AFTER, Habits, Node, manifest, nodes

BEGIN = datetime(2025, 1, 6)
_OUTAGE = "could not connect to server: Connection refused"
_UNCHECKED_AFTER = timedelta(hours=26)
_SATURDAY = 5
_STOPS = ("error", "fail", "partial success")
_MASS, _FLAKY_FLIPS = 5, 5

_BEFORE_UPGRADE = next(version for version in VERSIONS if version.name == "1.7")

# Bad or good, as a command showed it.
Observation = tuple[datetime, bool]


@dataclass
class Command:
    """A command of the team, when it ended.

    Attributes:
        id: invocation_id.
        ended_at: Naive UTC.
        environment: prod or dev.
        documents: Artifacts that it left.
        job_run: What `offdag run` recorded of a command that a signal ended.
    """

    id: str
    ended_at: datetime
    environment: str = "prod"
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    job_run: dict[str, Any] | None = None


@dataclass
class Year:
    """What happened in a year.

    Attributes:
        habits: How the team works.
        nodes: All that its project ever has.
        commands: The oldest first.
        faults: What broke on purpose.
        observations: What each command showed of a kind of signal and a node, the oldest first.
        builds: Ends of the builds that the cadence waits for.
    """

    habits: Habits
    nodes: dict[str, Node]
    faults: list[Fault]
    commands: list[Command] = field(default_factory=list)
    observations: dict[tuple[str, str | None], list[Observation]] = field(default_factory=lambda: defaultdict(list))
    builds: list[datetime] = field(default_factory=list)


@dataclass(frozen=True)
class _Run:
    """A dbt command before it runs.

    Attributes:
        day: Of the year.
        at: When it starts.
        which: dbt's word for it.
        chosen: Nodes that it selects, each after its parents.
        flags: Its arguments, as run_results has them.
        is_nightly: Whether the cadence waits for it.
    """

    day: int
    at: datetime
    which: str
    chosen: list[Node]
    flags: dict[str, Any] = field(default_factory=dict)
    is_nightly: bool = True


def simulated_year(
    rng: random.Random,
    days: int,
    rate: float = 1.0,
    size: int = 1,
    habits: Habits | None = None,
    kinds: Collection[str] | None = None,
) -> Year:
    """A year of ``days`` days.

    Args:
        rng: Draws everything.
        days: Its length.
        rate: Times the usual number of faults.
        size: Times the usual number of nodes.
        habits: The team's; None to draw them.
        kinds: Of the faults; None for all.
    """
    project = nodes(rng, days, size)
    year = Year(habits or Habits.drawn(rng, days), project, faults.drawn(rng, project, days, rate, kinds))
    team = _Team(rng, year)
    for day in range(days):
        team.work(day)
    year.commands.sort(key=lambda command: command.ended_at)
    return year


class _Team:
    """The team at work."""

    def __init__(self, rng: random.Random, year: Year) -> None:
        self._rng = rng
        self._year = year
        self._habits = year.habits
        self._edits: dict[str, int] = defaultdict(int)
        self._last_good: set[str] = set()
        self._checked_at: dict[str, datetime] = {}
        self._columns: dict[str, str] = {}
        self._count = 0

    def work(self, day: int) -> None:
        """All commands of a day."""
        night = BEGIN + timedelta(days=day, hours=4, minutes=self._rng.randint(0, 20))
        # A test that flips after an edit is not flaky.
        may_edit = not any(fault.kind == "test_flaky" and fault.is_on(day) for fault in self._year.faults)
        for node in self._present(day):
            self._edits[node.id] += may_edit and self._rng.random() < 0.005
        if self._habits.has_developers and self._rng.random() < 0.3:
            self._develop(day, night + timedelta(hours=6))
        if not self._habits.builds_on(night.date()) or day in self._habits.holidays:
            return
        whole = faults.on(self._year.faults, day).get(None)
        if whole and whole.kind == "run_missing":
            return
        self._check_freshness(day, night - timedelta(minutes=5))
        if whole and whole.kind == "run_incomplete":
            self._kill_build(night)
            return
        self._build(day, night)
        if self._habits.has_parts and self._habits.style == "build":
            part = [node for node in self._present(day) if node.id.rsplit(".", 1)[-1].startswith("stg_")]
            noon = BEGIN + timedelta(days=day, hours=12)
            self._run(_Run(day, noon, "build", part, {"select": ["tag:hourly"]}, is_nightly=False))

    def _present(self, day: int) -> list[Node]:
        """Nodes in the order in which dbt builds them: each after its parents, and tests before what reads their model."""
        present = [node for node in self._year.nodes.values() if node.days[0] <= day < node.days[1]]
        tests = [node for node in present if node.is_test]
        return [
            n for node in present if not node.is_test for n in (node, *(t for t in tests if t.parents == (node.id,)))
        ]

    def _build(self, day: int, night: datetime) -> None:
        present, style = self._present(day), self._habits.style
        flags: dict[str, Any] = {}
        if self._habits.full_refresh_days and day % self._habits.full_refresh_days == 3:
            flags["full_refresh"] = True
        dropped = faults.on(self._year.faults, day).get(None)
        if style != "models" and dropped and dropped.kind == "node_drop":
            present = [node for node in present if node.id.endswith("stg_0")]
        if style == "commands":
            ran = self._run(_Run(day, night, "run", [node for node in present if not node.is_test], flags))
            if not self._has_failed(ran):
                tests = [node for node in present if node.is_test]
                self._run(_Run(day, ran.ended_at + timedelta(seconds=20), "test", tests))
        elif style == "models":
            self._build_models(day, night, present, flags)
        else:
            ran = self._run(_Run(day, night, "build", present, flags))
            if self._habits.retries and self._has_failed(ran):
                self._retry(day, ran)

    def _build_models(self, day: int, night: datetime, present: list[Node], flags: dict[str, Any]) -> None:
        """A command for each model with its tests; what is downstream of a failed one is not started."""
        at, stopped = night, set[str]()
        for model in [node for node in present if not node.is_test]:
            if stopped & set(model.parents):
                stopped.add(model.id)
                continue
            chosen = [model, *(node for node in present if node.is_test and node.parents == (model.id,))]
            ran = self._run(_Run(day, at, "build", chosen, {**flags, "select": [model.id.rsplit(".", 1)[-1]]}))
            at = ran.ended_at + timedelta(seconds=20)
            if self._has_failed(ran):
                stopped.add(model.id)

    def _retry(self, day: int, ran: Command) -> None:
        """`dbt retry`; some faults are gone by then."""
        results = ran.documents["run_results"]["results"]
        again = {r["unique_id"] for r in results if r["status"] in (*_STOPS, "skipped")}
        for fault in faults.on(self._year.faults, day).values():
            if fault.kind in ("node_failed", "mass_failure") and self._rng.random() < 0.4:
                fault.last_day = day - 1
        chosen = [node for node in self._present(day) if node.id in again]
        self._run(_Run(day, ran.ended_at + timedelta(minutes=15), "retry", chosen, is_nightly=False))

    @staticmethod
    def _has_failed(ran: Command) -> bool:
        return any(r["status"] in _STOPS for r in ran.documents["run_results"]["results"])

    def _run(self, run: _Run) -> Command:
        """A dbt command: one node after the other, as its faults will have it."""
        at, results, stopped = run.at + timedelta(seconds=5), [], set[str]()
        today = faults.on(self._year.faults, run.day)
        whole = today.get(None)
        outage = whole if whole and whole.kind == "mass_failure" else None
        ids = {node.id for node in run.chosen}
        shown: list[tuple[Node, Fault | None, dict[str, Any], datetime]] = []
        is_interrupted = run.is_nightly and run.day in self._habits.interrupted
        for node in run.chosen[: len(run.chosen) // 2] if is_interrupted else run.chosen:
            fault = today.get(node.id)
            if stopped & set(node.parents) & ids and not self._habits.continues:
                stopped.add(node.id)
                results.append(artifacts.result(node.id, "skipped", at))
                continue
            row, seconds = self._ran(run, node, fault, outage)
            at += timedelta(seconds=seconds, milliseconds=self._rng.randint(1, 200))
            result = artifacts.result(node.id, row.pop("status"), at, execution_time=seconds, **row)
            started = artifacts.instant(at - timedelta(seconds=seconds))
            result["timing"][1] |= {"started_at": started}
            result["timing"][0] |= {"started_at": started, "completed_at": started}
            results.append(result)
            shown.append((node, fault, result, at))
            if result["status"] in _STOPS:
                # A failed test stops what reads its model.
                stopped.add(node.parents[0] if node.is_test else node.id)
        command = self._ended(run, results, at + timedelta(seconds=1))
        if is_interrupted:
            stopped_run = self._stopped_run(run.at, command.ended_at)
            command.job_run = stopped_run | {"has_results": True, "invocation_id": command.id}
        elif run.is_nightly and run.which != "test":
            self._year.builds.append(command.ended_at)
        self._observe("run_incomplete", None, command.ended_at, is_interrupted)
        if whole and whole.kind == "node_drop" and self._habits.style != "models" and run.is_nightly:
            whole.seen.append(command.ended_at)
        is_mass = outage is not None and sum(r["status"] == "error" for _, _, r, _ in shown) >= _MASS
        if is_mass or not is_interrupted:
            self._observe("mass_failure", None, command.ended_at, is_mass)
        for node, fault, result, ended in [] if is_mass else shown:
            self._show(node, fault, result, ended)
        return command

    def _ran(self, run: _Run, node: Node, fault: Fault | None, outage: Fault | None) -> tuple[dict[str, Any], float]:
        """What a node leaves, and its seconds."""
        rng, kind = self._rng, fault.kind if fault else ""
        growth = (1 + self._habits.daily_growth) ** run.day
        seconds = node.seconds * (1 if node.is_test else growth) * rng.lognormvariate(0, node.noise)
        if outage:
            return {"status": "error", "message": f"Database Error in {node.id}\n  {_OUTAGE}"}, 0.5
        if kind == "node_failed":
            assert fault
            why = f"column c{fault.first_day} does not exist in {node.id}"
            if self._habits.has_batches and node.rows:
                batches = {"successful": [["2025-01-01", "2025-01-02"]], "failed": [["2025-01-02", "2025-01-03"]]}
                return {
                    "status": "partial success",
                    "message": "PARTIAL SUCCESS (1/2)",
                    "batch_results": batches,
                }, seconds
            return {"status": "error", "message": f"Database Error in {node.id}\n  {why}"}, seconds
        if node.is_test:
            is_bad = kind == "test_failed" or (kind == "test_flaky" and rng.random() < 0.45)
            status = "pass" if not is_bad else "warn" if kind == "test_failed" and run.day % 5 == 0 else "fail"
            message = f"Got 3 results, configured to {status} if != 0" if is_bad else None
            return {"status": status, "failures": 3 if is_bad else 0, "message": message}, seconds
        if self._habits.style == "reused" and not fault and node.id in self._last_good and rng.random() < 0.5:
            return {"status": "reused", "message": "Reused from cache"}, 0.05
        is_full = bool(run.flags.get("full_refresh"))
        seconds *= (fault.factor if fault and kind == "model_slow" else 1) * (4 if is_full and node.rows else 1)
        seconds += 90 if kind == "model_slow" else 0
        more: dict[str, Any] = {"status": "success"}
        if node.rows:
            volume = self._habits.weekend_volume if run.at.weekday() >= _SATURDAY else 1
            seconds *= volume
            odd = fault.factor if fault and kind == "volume_odd" else 1
            rows = node.rows * growth * volume * odd * rng.lognormvariate(0, node.noise) * (20 if is_full else 1)
            more["adapter_response"] = {"rows_affected": round(rows)}
        return more, seconds

    def _show(self, node: Node, fault: Fault | None, result: dict[str, Any], at: datetime) -> None:
        """What a result shows of a node."""
        status = result["status"]
        if status == "reused":
            return
        kind = "test_failed" if node.is_test else "node_failed"
        is_bad = status in (*_STOPS, "warn")
        self._observe(kind, node.id, at, is_bad)
        (self._last_good.discard if is_bad else self._last_good.add)(node.id)
        if not fault:
            return
        fault.results.append(is_bad)
        is_shown = {
            "test_flaky": fault.flips >= _FLAKY_FLIPS,
            "model_slow": status == "success",
            "volume_odd": bool(node.rows) and status == "success",
        }
        if is_shown.get(fault.kind):
            fault.seen.append(at)

    def _observe(self, kind: str, node_id: str | None, at: datetime, is_bad: bool) -> None:
        self._year.observations[kind, node_id].append((at, is_bad))

    def _ended(self, run: _Run, results: list[dict[str, Any]], at: datetime) -> Command:
        self._count += 1
        command = Command(f"{run.which}-{self._count:05}", at)
        command.documents = {
            "manifest": self._manifest(run.day, command),
            "run_results": artifacts.run_results(
                self._threaded(results),
                at,
                run.which,
                invocation_id=command.id,
                invocation_started_at=artifacts.instant(run.at),
            ),
        }
        args = command.documents["run_results"]["args"]
        args |= {"which": run.which, "invocation_command": f"dbt {run.which}", **run.flags}
        self._year.commands.append(self._of_version(run.day, command))
        return command

    def _of_version(self, day: int, command: Command) -> Command:
        """Written by the dbt that the team has on that day: 1.7 before its upgrade, else 1.11."""
        if self._habits.upgrade_day is not None and day < self._habits.upgrade_day:
            command.documents = written_by(_BEFORE_UPGRADE, command.documents)
        return command

    def _manifest(self, day: int, command: Command) -> dict[str, Any]:
        changes = [f for f in self._year.faults if f.kind == "schema_changed" and f.first_day <= day]
        columns = {"id": "BIGINT", "amount": "VARCHAR" if len(changes) % 2 else "BIGINT"}
        if command.environment == "prod":
            if self._columns and columns != self._columns:
                max(changes, key=lambda fault: fault.first_day).seen.append(command.ended_at)
            self._columns = columns
        return manifest(self._present(day), dict(self._edits), columns, command.ended_at, command.id)

    def _check_freshness(self, day: int, at: datetime) -> None:
        """`dbt source freshness`: dbt leaves out a source whose query failed."""
        today, rows = faults.on(self._year.faults, day), []
        self._count += 1
        command = Command(f"freshness-{self._count:05}", at)
        for source in SOURCES:
            fault = today.get(source)
            if fault and fault.kind == "source_unchecked":
                is_bad = at >= self._checked_at.get(source, BEGIN) + _UNCHECKED_AFTER
                self._observe("source_unchecked", source, at, is_bad)
                continue
            loaded_on = fault.first_day - 1 if fault and fault.kind == "source_stale" else day
            age = at - (BEGIN + timedelta(days=loaded_on, hours=3))
            status = "error" if age > ERROR_AFTER else "warn" if age > WARN_AFTER else "pass"
            rows.append(artifacts.freshness(source, status, age.total_seconds(), at))
            self._checked_at[source] = at
            self._observe("source_unchecked", source, at, False)
            self._observe("source_stale", source, at, status != "pass")
        command.documents = {
            "manifest": self._manifest(day, command),
            "sources": artifacts.sources(rows, at, invocation_id=command.id),
        }
        self._year.commands.append(self._of_version(day, command))

    def _kill_build(self, night: datetime) -> None:
        """`offdag run` saw that a signal ended the build before it left anything."""
        self._count += 1
        at = night + timedelta(minutes=3)
        self._observe("run_incomplete", None, at, True)
        self._year.commands.append(Command(f"killed-{self._count:05}", at, job_run=self._stopped_run(night, at)))

    def _stopped_run(self, started_at: datetime, ended_at: datetime) -> dict[str, Any]:
        return {
            "job_run_id": f"job-run-{self._count}",
            "command": "dbt build",
            "is_build": True,
            "started_at": started_at,
            "ended_at": ended_at,
            "exit_code": 137,
            "signal": "SIGKILL",
            "has_results": False,
            "log_tail": "Running with dbt=1.11.16",
        }

    def _threaded(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With several threads, neighbours end in another order."""
        found = list(results)
        for number in range(0, len(found) - 1, 2) if self._habits.threads > 1 else ():
            if self._rng.random() < 0.5:
                found[number], found[number + 1] = found[number + 1], found[number]
        for number, result in enumerate(found):
            result["thread_id"] = f"Thread-{number % self._habits.threads + 1} (worker)"
        return found

    def _develop(self, day: int, at: datetime) -> None:
        """Somebody builds in dev, and most of it fails."""
        self._count += 1
        command = Command(f"develop-{self._count:05}", at, "dev")
        rows = []
        for node in self._present(day):
            is_bad = self._rng.random() < 0.6
            good, bad = ("pass", "fail") if node.is_test else ("success", "error")
            rows.append(artifacts.result(node.id, bad if is_bad else good, at, message=f"{node.id} broke"))
        command.documents = {
            "manifest": self._manifest(day, command),
            "run_results": artifacts.run_results(rows, at, invocation_id=command.id),
        }
        self._year.commands.append(self._of_version(day, command))
