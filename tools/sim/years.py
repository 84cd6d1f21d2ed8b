"""A virtual year of a data team: collected, monitored and sent under a virtual clock, with late artifacts, kills and faults."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import time_machine

from offdag.collect.collection import collect
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from offdag.errors import OffdagError
from offdag.history.compaction import compact
from offdag.history.history import History
from offdag.history.retention import prune
from offdag.monitor.build import RunOptions, build_monitor
from offdag.monitor.marts import open_marts
from offdag.monitor.rows import DueNotification
from offdag.notify.delivery import Delivery
from offdag.notify.slack import SlackBot
from offdag.settings import Settings
from sim import artifacts, truth
from sim.case import Case, CaseResult
from sim.kills import SLACK_FAULTS, SimulatedKill, at_once, killed_at, store_fails
from sim.marts import marts
from sim.messages import check_messages
from sim.slack import TOKEN, FakeSlack
from sim.team import PROJECT, Habits
from sim.truth import Episode
from sim.year import BEGIN, Command, Year, simulated_year

_MONITOR_PROJECT = Path(__file__).parents[2] / "monitor_project"
_ROUNDS_TO_SETTLE = 8
# What differs between two histories with the same commands: what was sent, and the names of files.
_NOT_COMPARED = (
    *("fct_notifications_due", "int_open_messages", "stg_history__monitor_runs", "fct_incident_recovery"),
    *("run_date_version", "manifest_hash"),
)


class Place:
    """A history with its monitor, and the steps that run on it.

    Args:
        folder: For everything.
        habits: Give the cadence.
    """

    def __init__(self, folder: Path, habits: Habits) -> None:
        seeds = folder / "offdag" / "seeds"
        seeds.mkdir(parents=True)
        header = (_MONITOR_PROJECT / "seeds" / "run_cadences.csv").read_text(encoding="utf-8")
        (seeds / "run_cadences.csv").write_text(header + habits.cadence(PROJECT), encoding="utf-8")
        self.database = folder / "monitor.duckdb"
        self._targets = folder / "targets"
        self.settings = Settings.load(
            {
                "history": str(folder / "history"),
                "monitor_database": str(self.database),
                "config_dir": str(folder / "offdag"),
                "monitor_project_dir": str(_MONITOR_PROJECT),
            },
            {k: v for k, v in os.environ.items() if not k.startswith(("OFFDAG_", "DBT_"))}
            | {"OFFDAG_MEMORY_LIMIT": "1GB"},
        )
        self.history = History(self.settings.history)

    def collect(self, command: Command) -> int:
        """Collect what a command left; gives the number of artifacts that were refused."""
        given = {"project": PROJECT, "environment": command.environment}
        if command.job_run:
            self.history.put("job_runs", command.ended_at.date(), command.id, [command.job_run], given)
        if not command.documents:
            return 0
        files = find_artifacts([str(self.target(command))], False)
        found = collect(self.history, files, Context(environment=command.environment))
        return len(found.refused)

    def target(self, command: Command) -> Path:
        """The target folder of a command with results; written when it is first needed."""
        folder = self._targets / command.id
        if not folder.is_dir():
            artifacts.write(folder, **command.documents)
        return folder

    def monitor(self, as_of: datetime | None = None) -> None:
        """Run the monitor, for now or for an instant."""
        settings = replace(self.settings, as_of=as_of)
        build_monitor(settings, self.history, RunOptions())

    def incidents(self) -> list[Episode]:
        """Of the last run of the monitor."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            query = "select kind, node_id, started_at, last_bad_at from fct_incidents"
            return [Episode(*row) for row in connection.execute(query).fetchall()]

    def result_count(self) -> int:
        """Results of nodes, as the last run of the monitor has them."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            [(count,)] = connection.execute("select count(*) from fct_node_executions").fetchall()
            return int(count)

    def due(self) -> list[DueNotification]:
        with open_marts(self.database, self.settings.wait_as("sim")) as found:
            return [row for row in found.rows(DueNotification) if row.sink == "slack"]

    def send(self, slack: FakeSlack) -> None:
        """Deliver what is due."""
        sink = SlackBot(TOKEN, f"{slack.url}/api/")
        Delivery(self.history, sink, pause=lambda _: None).deliver(self.due())


def incidents_of(year: Year, place: Place, days: int, every_days: int) -> set[Episode]:
    """All incidents of a year in which each command is collected in order, by a monitor that runs every few days."""
    found: dict[Any, Episode] = {}
    with time_machine.travel(BEGIN) as clock:
        rest = list(year.commands)
        for day in range(every_days, days + every_days, every_days):
            now = BEGIN + timedelta(days=min(day, days))
            while rest and rest[0].ended_at < now:
                clock.move_to(rest[0].ended_at + timedelta(minutes=1))
                place.collect(rest.pop(0))
            clock.move_to(now)
            place.monitor()
            for incident in place.incidents():
                # The beginning of one that ended weeks ago can be before the judged days.
                found.setdefault((incident.kind, incident.node_id, incident.last_bad_at), incident)
    return _whole(found.values())


def _whole(incidents: Iterable[Episode]) -> set[Episode]:
    """Of the states of an incident that went on, seen by one run of the monitor after the other, the last one."""
    last: dict[Any, Episode] = {}
    for incident in sorted(incidents, key=lambda one: one.last_bad_at):
        last[incident.kind, incident.node_id, incident.started_at] = incident
    return set(last.values())


class _Disturbed:
    """A year in which what can go wrong with offdag's own steps does.

    Attributes:
        place: History and monitor.
        result: What it did.
        sent: When senders ran to their end, with a Slack that took everything.
    """

    def __init__(self, case: Case, year: Year, slack: FakeSlack) -> None:
        self.result = CaseResult()
        self.sent: list[datetime] = []
        self._collected: list[Command] = []
        self._year = year
        self.place = Place(Path(case.folder) / "disturbed", year.habits)
        self._rng = case.rng
        self._slack = slack

    def run(self, clock: time_machine.Traveller, commands: list[Command], end: datetime) -> list[Command]:
        """Collect, monitor and send until ``end``; gives the commands that are not collected by then."""
        self._slack.choose = self._choose
        ahead = self._rng.uniform(-3300, 3300)
        self._slack.now = lambda: time.time() + ahead
        left: list[Command] = []
        arrivals = self._arrivals(commands)
        for watched_at in self._watches(arrivals[0][0], end):
            while arrivals and arrivals[0][0] < watched_at:
                at, command = arrivals.pop(0)
                clock.move_to(at)
                tried = [*left, command]
                left = [one for one in tried if not self._collect(one)]
                self._collected += [one for one in tried if one not in left]
            clock.move_to(watched_at)
            self._watch()
            self._check_step(left, [one for _, one in arrivals if one.ended_at < watched_at])
        self._slack.choose = None
        self._slack.archived = set()
        return [*left, *(command for _, command in arrivals)]

    def _arrivals(self, commands: list[Command]) -> list[tuple[datetime, Command]]:
        """When each command is collected: soon, late, after an outage of the collector, out of order, or before it ended by dbt's clock."""
        rng, found = self._rng, []
        outages = [BEGIN + timedelta(days=rng.uniform(5, 360)) for _ in range(3)]
        for command in commands:
            late = timedelta(minutes=rng.uniform(-8, 8))
            if rng.random() < 0.05:
                late += timedelta(hours=rng.uniform(1, 80))
            elif rng.random() < 0.02:
                self.result.counts["clocks that are ahead"] += 1
                late -= timedelta(hours=rng.uniform(0, 6))
            at = command.ended_at + late
            for outage in outages:
                if outage < at < outage + timedelta(days=4):
                    at = outage + timedelta(days=4, minutes=rng.uniform(0, 9))
            found.append((at, command))
        return sorted(found, key=lambda arrival: arrival[0])

    def _watches(self, first: datetime, end: datetime) -> Iterator[datetime]:
        """When the monitor and the sender run: on their own schedule, at least once a week."""
        at = first + timedelta(days=1)
        while at < end:
            yield at
            at += timedelta(days=self._rng.choice([1, 4, 6]), minutes=self._rng.uniform(0, 600))

    def _collect(self, command: Command) -> bool:
        """Whether a command is collected; a kill or a full disk leaves it for later."""
        rng = self._rng
        if command.documents and rng.random() < 0.04:
            self.result.counts["collected by two at once"] += 1
            self.place.target(command)
            at_once([partial(self.place.collect, command)] * 2)
            return True
        with ExitStack() as stack:
            if rng.random() < 0.08:
                stack.enter_context(killed_at(rng.randint(1, 20), rng.random() < 0.5, self.result.counts))
            elif rng.random() < 0.05:
                stack.enter_context(store_fails(rng.randint(1, 12), rng.choice([1, 100]), self.result.counts))
            try:
                if self.place.collect(command):
                    self.result.broken.append(f"{command.id} was refused")
            except (SimulatedKill, OffdagError):
                return False
        if rng.random() < 0.05:
            self.result.counts["collected twice"] += 1
            self.place.collect(command)
        return True

    def _watch(self) -> None:
        """Monitor and send; perhaps two senders at once, perhaps a kill, perhaps a compaction before it."""
        rng, counts = self._rng, self.result.counts
        if rng.random() < 0.2:
            counts["compactions"] += 1
            with suppress(SimulatedKill), ExitStack() as stack:
                if rng.random() < 0.4:
                    stack.enter_context(killed_at(rng.randint(1, 60), rng.random() < 0.5, counts))
                compact(self.place.history, self.place.settings.now)
        counts["monitor runs"] += 1
        self.place.monitor()
        self._slack.archived = set(self._slack.channels) if rng.random() < 0.04 else set()
        counts["archived channels"] += len(self._slack.archived)
        faults_before = counts["Slack faults"]
        if rng.random() < 0.2:
            at_once([partial(self.place.send, self._slack)] * 2)
            self._note_sent(faults_before)
            return
        with suppress(SimulatedKill), ExitStack() as stack:
            if rng.random() < 0.3:
                stack.enter_context(killed_at(rng.randint(1, 25), rng.random() < 0.5, counts))
            self.place.send(self._slack)
            self._note_sent(faults_before)

    def _check_step(self, left: list[Command], late: list[Command]) -> None:
        """Nothing is lost or doubled so far; where nothing is still to come, the incidents are those of the simulator."""
        least = sum(map(_result_count, self._collected))
        # A collector that was killed may have stored what it could not confirm.
        most = least + sum(map(_result_count, left))
        found = self.place.result_count()
        if not least <= found <= most:
            self.result.broken.append(f"{found} results instead of {least} at {self.place.settings.now}")
        if not left and not late:
            self.result.counts["steps compared with the truth"] += 1
            self.result.broken += _unlike_truth(self._year, self.place)

    def _note_sent(self, faults_before: int) -> None:
        """A sender ran to its end; an archived channel takes no details, and one that was refused may have been of details."""
        if not self._slack.archived and self.result.counts["Slack faults"] == faults_before:
            self.sent.append(self.place.settings.now)

    def _choose(self, _method: str) -> str:
        """What Slack does."""
        if self._rng.random() >= 0.1:
            return "ok"
        self.result.counts["Slack faults"] += 1
        return self._rng.choice(SLACK_FAULTS)


def run_case(case: Case, days: int = 365) -> CaseResult:
    """A year with disturbances; then everything is compared with the truth, and with a history in which all came in order."""
    year = simulated_year(random.Random(f"year-{case.seed}-{case.number}"), days)
    end = BEGIN + timedelta(days=days)
    with time_machine.travel(BEGIN) as clock, FakeSlack() as slack:
        disturbed = _Disturbed(case, year, slack)
        place, result = disturbed.place, disturbed.result
        result.counts |= {"days": days, "commands": len(year.commands)}
        left = disturbed.run(clock, [command for command in year.commands if command.ended_at < end], end)
        _settle(place, left, slack, clock, end)
        _check_truth(year, place, result)
        _check_collected(year, place, end, result)
        check_messages(place.history, slack, result, disturbed.sent)
        result.broken += [f"{row.notification_id} was never delivered" for row in place.due()]
        _check_same(year, place, Place(Path(case.folder) / "in_order", year.habits), result)
    return result


def _settle(place: Place, left: list[Command], slack: FakeSlack, clock: time_machine.Traveller, end: datetime) -> None:
    """Without faults, until nothing is left to collect or to send."""
    clock.move_to(end)
    for command in left:
        place.collect(command)
    for hour in range(_ROUNDS_TO_SETTLE):
        clock.move_to(end + timedelta(hours=hour))
        place.monitor()
        place.send(slack)
    place.monitor()


def _check_truth(year: Year, place: Place, result: CaseResult) -> None:
    result.counts["incidents"] += len(_exact(place))
    result.broken += _unlike_truth(year, place)


def _exact(place: Place) -> list[Episode]:
    """Incidents of the kinds that leave nothing to judge."""
    return [incident for incident in place.incidents() if incident.kind in (*truth.EXACT, "run_missing")]


def _unlike_truth(year: Year, place: Place) -> list[str]:
    """Where they differ from those of the simulator."""
    now = place.settings.now
    alone, missing = truth.unlike(_exact(place), truth.episodes(year, now))
    broken = [f"an incident that was none: {e.kind} of {e.node_id} at {e.started_at}, by {now}" for e in alone]
    return broken + [f"no incident: {e.kind} of {e.node_id} at {e.started_at}, by {now}" for e in missing]


def _result_count(command: Command) -> int:
    return len((command.documents or {}).get("run_results", {}).get("results", []))


def _check_collected(year: Year, place: Place, end: datetime, result: CaseResult) -> None:
    """Every command is in the history once."""
    found = place.history.read("invocations", ["invocation_id"])["invocation_id"].to_pylist()
    expected = {command.id for command in year.commands if command.documents and command.ended_at < end}
    result.broken += [f"{name} was lost" for name in expected - set(found)]
    result.broken += [
        f"{name} is in the history {found.count(name)} times" for name in {*found} if found.count(name) > 1
    ]
    results = place.history.read("node_results", ["invocation_id", "unique_id"]).to_pylist()
    keys = [(row["invocation_id"], row["unique_id"]) for row in results]
    if len(keys) != len(set(keys)):
        result.broken.append(f"{len(keys) - len(set(keys))} results are in the history twice")


def _check_same(year: Year, disturbed: Place, in_order: Place, result: CaseResult) -> None:
    """All tables are those of a monitor that is built at once, from a history in which all came in order."""
    now = disturbed.settings.now
    for command in year.commands:
        in_order.collect(command)
    for place in (disturbed, in_order):
        prune(place.history, (now - timedelta(days=200)).date())
        place.monitor(now)
    found, expected = marts(disturbed.database, _NOT_COMPARED), marts(in_order.database, _NOT_COMPARED)
    for table in expected:
        if found[table] != expected[table]:
            result.broken.append(f"{table} differs from that of a history in order")
