"""What production's last builds show to a review."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from offdag.collect.collection import collect_files
from offdag.collect.context import Context
from offdag.collect.places import artifacts_in
from offdag.history.history import History
from offdag.review.past import Past
from sim import artifacts

STATUSES = ["pass", "fail", "pass", "pass", "fail", "pass"]


def test_usual_figures_come_from_the_builds_of_production_alone(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    for number, status in enumerate(STATUSES):
        at = artifacts.NOW + timedelta(days=number)
        model = artifacts.result(
            "model.p.a", at=at, execution_time=float(number), adapter_response={"rows_affected": 10 * number}
        )
        skipped = artifacts.result("model.p.b", "skipped", at=at, execution_time=0.0)
        test = artifacts.result("test.p.t", status, at=at)
        for environment in ("prod", "ci"):
            folder = artifacts.write(
                tmp_path / f"{environment}{number}",
                manifest=artifacts.manifest([artifacts.node("model.p.a")], at),
                run_results=artifacts.run_results([model, skipped, test], at),
            )
            collect_files(history, artifacts_in(str(folder)), Context(environment=environment))
    found = Past.read(history, "p", "prod", {"model.p.a", "model.p.b", "test.p.t", "model.p.new"}).nodes
    assert set(found) == {"model.p.a", "model.p.b", "test.p.t"}
    assert (found["model.p.a"].builds, found["model.p.a"].seconds, found["model.p.a"].rows) == (
        6,
        2.5,
        (0, 10, 20, 30, 40, 50),
    )
    # What was skipped took no time.
    assert (found["model.p.b"].builds, found["model.p.b"].seconds) == (0, None)
    assert (found["test.p.t"].failures, found["test.p.t"].turns) == (2, 4)
    assert Past.read(history, "p", "staging", {"model.p.a"}).nodes == {}
