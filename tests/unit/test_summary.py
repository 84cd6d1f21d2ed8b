"""The summary, the annotations and the JUnit XML of a review: their content, and that text from data cannot change their form."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xmlschema

from offdag.review.annotations import workflow_commands
from offdag.review.base import Base
from offdag.review.build import Build
from offdag.review.explanation import Cause, Explanation
from offdag.review.figures import ColumnDetail, Comparison, Profile, SampleRow
from offdag.review.impact import Impact
from offdag.review.junit import write_junit
from offdag.review.page import page
from offdag.review.past import Past, Usual
from offdag.review.review import Made, Review
from offdag.review.summary import summary
from sim import artifacts
from support.golden import check

HOSTILE = "`a` | <b> @here ](http://x) \n::error::x %0A\x1b[31m\x00"


def node(name: str, kind: str = "model", *parents: str, **more: Any) -> dict[str, Any]:
    return artifacts.node(f"{kind}.p.{name}", parents, relation_name=name, **more)


PROFILE = Profile(1, 1, 1, HOSTILE, HOSTILE, HOSTILE)


def build(folder: Path, *results: dict[str, Any], nodes: tuple[dict[str, Any], ...] = ()) -> Build:
    nodes_with_tests = [
        node("orders"),
        node("customers"),
        node("revenue"),
        node("not_null_orders_id", "test", "model.p.orders", attached_node="model.p.orders", column_name="id"),
        node("orders_add_up", "unit_test", "model.p.orders"),
        artifacts.node(
            "exposure.p.board",
            ("model.p.revenue",),
            label="Weekly board",
            owner={"name": "Finance"},
            url="https://bi.example.com/1",
        ),
        node("by_chance"),
        node("same"),
        node("fresh", description="One row for each order of today."),
        *nodes,
    ]
    artifacts.write(
        folder,
        manifest=artifacts.manifest(nodes_with_tests),
        run_results=artifacts.run_results(list(results)),
    )
    return Build.read(folder)


@pytest.fixture
def review(tmp_path: Path) -> Review:
    found = build(
        tmp_path / "ci",
        artifacts.result("model.p.orders", execution_time=35.0, adapter_response={"bytes_processed": 1_230_000_000}),
        artifacts.result("model.p.customers"),
        artifacts.result("model.p.revenue", "skipped"),
        artifacts.result("test.p.not_null_orders_id", "fail", failures=3, message="Got 3 results, configured to fail if != 0"),
        artifacts.result("unit_test.p.orders_add_up", "error", message="actual differs from expected:\n\n@@,id\n+,secret row"),
    )  # fmt: skip
    production = build(tmp_path / "prod", artifacts.result("model.p.orders"), artifacts.result("model.p.revenue"))
    return Review(
        build=found,
        production=production,
        comparisons=(
            Comparison(
                "model.p.orders",
                key=("id",),
                before=1000000,
                after=1000001,
                added=3,
                removed=2,
                changed=1500,
                columns={"amount": 1500, "state": 2},
                added_columns={"tax": "DECIMAL(18, 3)"},
                retyped_columns={"note": ("INT", "TEXT")},
                samples=(
                    SampleRow("changed", {"id": "7"}, {"amount": ("1.50", "2.50")}),
                    SampleRow("removed", {"id": "9"}),
                ),
                details={
                    "amount": ColumnDetail(
                        kinds={"was rounded": 1499, "became null": 1},
                        before=Profile(1000000, 0, 900, "0.01", "999.99", "50.5"),
                        after=Profile(1000001, 1, 800, "0", "1000", "50.1"),
                        mapping=(("1.49", "1.5", 1400), ("1.51", "1.5", 100)),
                        query="SELECT 1",
                    )
                },
                remarks=("of another type, and compared as text: note",),
            ),
            Comparison("model.p.same", key=("id",), before=5, after=5, added=0, removed=0, changed=0),
            Comparison(
                "model.p.by_chance", key=("id",), before=5, after=5, added=0, removed=0, changed=2, columns={"n": 2}
            ),
            Comparison("model.p.customers", problem="permission denied for table customers"),
        ),
        base=Base(
            "0123456789abcdef",
            "fedcba9876543210",
            "aaaa",
            frozenset({"models/orders.sql"}),
            frozenset({"models/x.sql"}),
        ),
        explanations={
            "model.p.orders": Explanation(Cause.CODE, "models/orders.sql", 12),
            "model.p.by_chance": Explanation(Cause.CHANCE, "same code and equal inputs, yet other rows"),
        },
        made={"model.p.fresh": Made(7, 3)},
        failing_rows={"test.p.not_null_orders_id": [("id", "amount"), ("null", "3.5")]},
        past=Past(
            {
                "model.p.orders": Usual(20, 3.0, (990000, 995000, 1000000, 999000, 1000000), 9e8, 0, 0),
                "test.p.not_null_orders_id": Usual(20, 0.1, (), None, 4, 6),
            },
            price_per_tebibyte=6.25,
        ),
        cloned=frozenset({"model.p.orders"}),
        unchanged=("model.p.x",),
        not_compared={"model.p.revenue": "was not built: skipped"},
        removed={"model.p.gone": "is no longer in the project"},
        impact={
            "model.p.orders": Impact(columns={"amount": "differs in 1,500 rows", "id": "fails not_null_orders_id"}),
            "model.p.revenue": Impact(columns={"total": "from orders.amount"}, rows="reads rows of orders"),
            "exposure.p.board": Impact(whole="uses revenue"),
        },
        remarks=("Something was left out.",),
    )


@pytest.mark.golden
def test_a_summary_reads_well(review: Review) -> None:
    check("ci/summary.md", summary("shop", 1, review))


def test_without_results_the_summary_shows_it() -> None:
    text = summary("shop", 2, None, ["Everything is built: there is no state of production yet."])
    assert "FAILED (exit code 2)" in text
    assert "dbt left no results" in text
    assert "there is no state of production yet" in text
    named = summary("shop", 2, None, why_not="Compilation Error\n  depends on a node named 'x' which was not found")
    assert "It did not start:\n\n```text\nCompilation Error\n  depends on" in named


def test_without_production_the_summary_shows_it(tmp_path: Path) -> None:
    text = summary("shop", 0, Review(build(tmp_path, artifacts.result("model.p.orders"))))
    assert "passed" in text
    assert "there is no build of production yet" in text
    blind = summary(
        "shop", 0, Review(build(tmp_path, artifacts.result("model.p.orders")), is_blind=True), is_refused=True
    )
    assert "production could not be read" in blind
    assert "passed, REFUSED" in blind


def test_text_from_data_cannot_break_out(tmp_path: Path) -> None:
    found = build(
        tmp_path,
        artifacts.result("model.p.evil", "error", message=HOSTILE),
        nodes=({**node("evil"), "name": HOSTILE, "original_file_path": "../../etc/passwd"},),
    )
    comparison = Comparison(
        "model.p.evil",
        before=1,
        after=1,
        added=0,
        removed=0,
        changed=1,
        columns={HOSTILE: 1},
        added_columns={HOSTILE: HOSTILE},
        samples=(SampleRow("changed", {HOSTILE: HOSTILE}, {HOSTILE: (HOSTILE, HOSTILE)}),),
        details={
            HOSTILE: ColumnDetail(
                {"was null": 1}, PROFILE, PROFILE, ((HOSTILE, HOSTILE, 1),), f"select '{HOSTILE}\n```'"
            )
        },
        unknown_columns={HOSTILE: HOSTILE},
        renamed_columns={HOSTILE: HOSTILE},
        remarks=(HOSTILE,),
    )
    impact = {"model.p.evil": Impact(columns={HOSTILE: HOSTILE}, rows=HOSTILE)}
    reviewed = Review(
        found,
        found,
        Base(HOSTILE, HOSTILE, problem=HOSTILE),
        (comparison,),
        explanations={"model.p.evil": Explanation(Cause.CODE, HOSTILE)},
        made={"model.p.evil": Made(1, 1)},
        removed={"model.p.gone": HOSTILE},
        impact=impact,
        failing_rows={"model.p.evil": [(HOSTILE,), (HOSTILE,)]},
        remarks=(HOSTILE,),
    )
    text = summary(HOSTILE, 1, reviewed, why_not=HOSTILE)
    # Everything outside of code that is not escaped.
    unfenced = re.sub(r"(?ms)^```.*?^```$", "", text)
    bare = re.sub(r"\\.", "", re.sub(r"`[^`\n]*`|<code>[^<\n]*</code>", "", unfenced))
    assert "@here" not in bare
    assert "](http" not in bare
    assert "<b>" not in bare
    tables = [re.sub(r"\\\|", "", line) for line in text.splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in tables} <= {2, 3, 4, 5, 6, 8}
    # The page holds no element of the data's making, and runs no script.
    html = page(text)
    assert "<b>" not in html
    assert 'href="http://x' not in html
    assert "default-src 'none'; style-src 'sha256-" in html
    assert "```" not in re.sub(r"(?m)^```(sql|text|mermaid)?$", "", text)
    assert "\x1b" not in text
    [line] = workflow_commands(found, Base(), tmp_path / "project", tmp_path)
    assert line.startswith("::error title=")
    assert "\n" not in line
    assert line.count("::") == 2 + line.partition("title=")[2].partition("::")[2].count("::")
    write_junit(HOSTILE, found, tmp_path / "junit.xml")
    assert len(read_junit(tmp_path / "junit.xml").testcases) == 1


def test_long_reviews_are_cut_visibly(tmp_path: Path) -> None:
    names = [f"model_{number}" for number in range(200)]
    found = build(
        tmp_path,
        *(artifacts.result(f"model.p.{name}", "error", message="x" * 5000) for name in names),
        nodes=tuple(node(name) for name in names),
    )
    samples = tuple(SampleRow("added", {"id": "y" * 60}) for _ in range(100))
    detail = ColumnDetail({"was null": 1}, PROFILE, PROFILE, (), "select " + "x" * 200)
    comparisons = tuple(
        Comparison(
            f"model.p.{name}",
            before=1,
            after=2,
            added=1,
            removed=0,
            columns={"n": 1},
            details={"n": detail},
            samples=samples,
        )
        for name in names
    )
    text = summary("shop", 1, Review(found, found, comparisons=comparisons))
    assert len(text) < 65_536
    assert "and 160 more" in text
    assert "Left out, since the summary would be too long for a comment: sample rows" in text
    assert "Left out, since the summary would be too long for a comment: columns in detail" in text


def test_annotations_are_at_the_file_that_the_branch_changed(review: Review, tmp_path: Path) -> None:
    project = tmp_path / "shop"
    lines = list(workflow_commands(review.build, review.base, project, tmp_path))
    assert lines == [
        "::error file=shop/models/orders.sql,title=not_null_orders_id%3A fail::Got 3 results, configured to fail if != 0",
        "::error file=shop/models/orders.sql,title=orders_add_up%3A error::actual differs from expected",
    ]
    (project / "models").mkdir(parents=True)
    (project / "models" / "not_null_orders_id.yml").write_text(
        "models:\n  - name: other\n    columns: [{name: id}]\n  - name: orders\n    columns:\n      - name: id\n"
    )
    only_tests = Base(here=frozenset({"models/not_null_orders_id.yml"}))
    [line] = [
        line for line in workflow_commands(with_yml(review.build), only_tests, project, tmp_path) if "not_null" in line
    ]
    assert line.startswith("::error file=shop/models/not_null_orders_id.yml,line=6,title=")


def with_yml(found: Build) -> Build:
    """The same with the generic test in a .yml file, where dbt has it."""
    test = found.nodes["test.p.not_null_orders_id"]
    return replace(found, nodes={**found.nodes, test.unique_id: replace(test, path="models/not_null_orders_id.yml")})


def test_junit_is_valid_and_counts_every_status(review: Review, tmp_path: Path) -> None:
    statuses = ("warn", "pass", "no-op", "brand new status", "partial success", "runtime error")
    found = build(tmp_path / "more", *(artifacts.result(f"model.p.m{i}", s) for i, s in enumerate(statuses)))
    for name, tested, counts in (("one", review.build, (5, 1, 1, 1)), ("two", found, (6, 0, 2, 1))):
        write_junit("shop", tested, tmp_path / f"{name}.xml")
        suite = read_junit(tmp_path / f"{name}.xml")
        assert (suite.tests, suite.failures, suite.errors, suite.skipped) == counts
    text = (tmp_path / "two.xml").read_text()
    assert "unknown status brand new status" in text
    assert "warn: OK" in text
    assert "secret row" not in (tmp_path / "one.xml").read_text()


def read_junit(path: Path) -> Any:
    from junitparser import JUnitXml

    xmlschema.validate(str(path), str(Path(__file__).parents[1] / "fixtures" / "junit-10.xsd"))
    [suite] = JUnitXml.fromfile(str(path))
    suite.testcases = list(suite)
    return suite
