"""Projects that are not ours, each with another dbt in a virtual environment of its own: the first right incident, without an edit.

The DuckDB that their dbt brings writes files that offdag's DuckDB cannot open.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from offdag.history.history import History
from support import golden, venvs
from support.command import ROOT, CommandResult, environ, run

pytestmark = [pytest.mark.slow, pytest.mark.golden]

FIXTURES = ROOT / "tests" / "fixtures" / "strangers"
DBTS = {
    "dbt-1.8": ("dbt-core==1.8.10", "dbt-duckdb==1.8.4", "duckdb==2.0.1"),
    "dbt-1.10": ("dbt-core==1.10.23", "dbt-duckdb==1.10.1", "duckdb==2.0.1"),
    "dbt-1.12": ("dbt-core==1.12.0", "dbt-duckdb==1.11.1", "duckdb==2.0.1"),
}


@dataclass(frozen=True)
class Stranger:
    """A project, and what its people type.

    Attributes:
        dbt: Their dbt.
        setup: What they did before offdag came.
        job: The one command for their schedule.
    """

    dbt: str
    setup: tuple[str, ...]
    job: str


STRANGERS = {
    "petals": Stranger("dbt-1.8", (), "offdag job -- dbt --quiet build"),
    "orders": Stranger("dbt-1.10", ("dbt deps",), "offdag job -- dbt --quiet build --target prod"),
    "rides": Stranger("dbt-1.12", ("dbt seed",), "offdag job -- dbt --quiet build"),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return venvs.make(DBTS, tmp_path_factory.mktemp("venvs"))


@dataclass(frozen=True)
class Place:
    """A copy of a project, with the shell of its people."""

    folder: Path
    env: dict[str, str]

    def type(self, line: str) -> CommandResult:
        return run(["sh", "-c", line], self.env, cwd=self.folder)


@pytest.fixture(params=STRANGERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(name: str, programs: dict[str, Path], tmp_path: Path) -> Place:
    folder = shutil.copytree(FIXTURES / name, tmp_path / name)
    kept = {k: v for k, v in environ(tmp_path).items() if not k.startswith(("OFFDAG_", "DBT_T", "DBT_L"))}
    # offdag is on PATH too, behind their own dbt.
    found = Place(folder, {**kept, "PATH": f"{programs[STRANGERS[name].dbt]}:{kept['PATH']}"})
    for line in STRANGERS[name].setup:
        done = found.type(line)
        assert done.code == 0, done
    return found


def test_the_first_right_incident_needs_two_commands_and_no_edit(name: str, place: Place) -> None:
    transcript = []
    for line in (STRANGERS[name].job, "offdag incidents"):
        done = place.type(line)
        transcript += [f"$ {line}", done.out.strip()]
        assert "Traceback" not in done.err, done
    golden.check(f"strangers/{name}.txt", _steady("\n".join(transcript)), is_live=True)
    assert (place.folder / ".offdag" / "report.html").is_file()


def _steady(text: str) -> str:
    """The text without what differs from run to run."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    # What dbt prints of the failure itself.
    text = re.sub(r"(?m)^(\d\d:\d\d:\d\d |dbt ).*\n", "", text)
    text = re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)?", "<time>", text)
    text = re.sub(r"\d{5}\.\d ", "<hours> ", text)
    return re.sub(r"(│ )[0-9a-f]{8}( │ \w+ +│) [0-9]+ \w+ *(│)", r"\1<key>   \2 <age> \3", text)


@pytest.mark.parametrize("name", ["orders"])
def test_a_table_in_a_file_of_a_newer_duckdb_is_read_by_the_users_dbt(place: Place) -> None:
    assert place.type("dbt build --target prod --exclude stg_orders,test_type:generic").code == 0
    seeds = place.folder / "offdag" / "seeds"
    seeds.mkdir(parents=True)
    (seeds / "observed_tables.csv").write_text(
        "observed_table,project,unique_id,columns,max_rows,comment\n"
        "orders,orders_dw,seed.orders_dw.raw_orders,id:int64|customer:string,100,\n"
    )
    target = {path: path.read_bytes() for path in (place.folder / "build").rglob("*.json")}
    observed = place.type("offdag observe --target prod -- dbt")
    assert observed.code == 0, observed
    assert "observed 1 tables" in observed.err
    rows = History(str(place.folder / ".offdag" / "history")).read("observed_orders").to_pylist()
    assert [(row["id"], row["customer"], row["_environment"]) for row in rows] == [
        (1, " Ann ", "prod"),
        (2, "ben", "prod"),
        (3, "BEN", "prod"),
    ]
    assert {path: path.read_bytes() for path in target} == target
