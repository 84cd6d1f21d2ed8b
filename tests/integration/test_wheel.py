"""The wheel, built and installed in a folder of its own: it carries the monitor project, and runs without this checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from offdag import __version__
from sim import artifacts
from support.command import ROOT, environ

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [built] = folder.glob("*.whl")
    return built


def failure(folder: Path) -> Path:
    return artifacts.write(
        folder,
        manifest=artifacts.manifest([artifacts.node("model.p.m")]),
        run_results=artifacts.run_results([artifacts.result("model.p.m", "error")]),
    )


def test_the_wheel_is_installed_and_run(wheel: Path, tmp_path: Path) -> None:
    assert wheel.name.startswith(f"offdag-{__version__}-")
    home = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(home)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    env = {**environ(tmp_path), "PYTHONPATH": str(home)}
    for name in ("OFFDAG_MONITOR_PROJECT_DIR", "OFFDAG_CONFIG_DIR"):
        del env[name]
    empty = tmp_path / "empty"
    empty.mkdir()

    def run_offdag(*arguments: str) -> str:
        command = [sys.executable, "-m", "offdag", *arguments]
        done = subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        return done.stdout + done.stderr

    assert run_offdag("--version").strip() == f"offdag, version {__version__}"
    target = failure(tmp_path / "target")
    run_offdag("collect", "-e", "prod", str(target))
    assert "incidents: 1 open" in run_offdag("monitor", "--as-of", "2026-02-01T00:00:00")
    project = home / "offdag" / "monitor_project"
    assert {path.name for path in project.iterdir()} == {
        "dbt_project.yml",
        "profiles.yml",
        "macros",
        "models",
        "seeds",
        "tests",
    }
    # The shop's lines are not everyone's.
    for seed in ("run_cadences", "holidays", "observed_tables", "alert_mutes", "business_checks"):
        assert len((project / "seeds" / f"{seed}.csv").read_text().splitlines()) == 1


def test_the_demo_runs_from_the_wheel_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(home)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    env = {**environ(tmp_path), "PYTHONPATH": str(home)}
    command = [sys.executable, "-m", "offdag", "demo"]
    done = subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert "Pothos is out of stock" in done.stdout
    assert "test unique on stg_greenery__orders.order_id fails" in done.stdout
    assert (empty / ".offdag" / "demo" / "report.html").is_file()
    assert [path.name for path in empty.iterdir()] == [".offdag"]


def needed(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """An installed distribution with all that it needs without extras, by name."""
    key = canonicalize_name(name)
    if key not in found:
        found[key] = installed = distribution(name)
        for line in installed.requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed(requirement.name, found)
    return found


def test_without_extras_it_is_a_small_collector(wheel: Path, tmp_path: Path) -> None:
    """Nothing can be imported but the wheel and what it needs without extras."""
    with zipfile.ZipFile(wheel) as packed:
        [metadata] = [name for name in packed.namelist() if name.endswith(".dist-info/METADATA")]
        lines = re.findall(r"^Requires-Dist: (.*)$", packed.read(metadata).decode(), re.M)
        site = tmp_path / "site"
        packed.extractall(site)
    base = [Requirement(line) for line in lines if "extra ==" not in line]
    packages: dict[str, Distribution] = {}
    for requirement in base:
        needed(requirement.name, packages)
    assert not packages.keys() & {"dbt-core", "duckdb", "sqlmesh", "pandas", "slack-sdk"}
    assert len(packages) <= 24
    for package in packages.values():
        for top in {file.parts[0] for file in package.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(package.locate_file(top))
    env = {**environ(tmp_path), "PYTHONPATH": str(site)}
    del env["OFFDAG_MONITOR_PROJECT_DIR"]

    def run_offdag(*arguments: str) -> subprocess.CompletedProcess[str]:
        # Without -S, the libraries beside this Python could be imported too.
        command = [sys.executable, "-S", "-m", "offdag", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    target = failure(tmp_path / "target")
    assert run_offdag("collect", "-e", "prod", str(target)).returncode == 0
    assert run_offdag("verdicts").returncode == 0
    script = tmp_path / "build.sh"
    script.write_text(f"cp {target}/*.json $DBT_TARGET_PATH/")
    (tmp_path / "dbt_project.yml").write_text("name: inventory\n")
    env["DBT_TARGET_PATH"] = str(tmp_path / "new")
    (tmp_path / "new").mkdir()
    env["OFFDAG_HISTORY"] = str(tmp_path / "other")
    ran = run_offdag("run", "-e", "prod", "--", "sh", str(script))
    assert ran.returncode == 0, ran
    # The build is collected, although the tables that the shop's seed lists cannot be observed.
    assert "run_results accepted" in ran.stderr
    assert "was not observed: the manifest has no node" in ran.stderr
    for verb, extra in {"monitor": "monitor", "incidents": "monitor", "report": "report", "ci": "review"}.items():
        ended = run_offdag(verb)
        assert ended.returncode == 2, ended
        assert f'next:  pip install "offdag[{extra}]"' in ended.stderr


def test_the_image_copies_all_that_the_wheel_is_built_from(wheel: Path, tmp_path: Path) -> None:
    """No builder runs here, so the first stage is replayed: its files, and its build of the wheel."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(
                    ROOT / source, tmp_path / target, ignore=shutil.ignore_patterns("target", "logs", "data")
                )
            else:
                shutil.copy(ROOT / source, tmp_path / target)
    command = re.search(r"(-m hatchling build -t wheel) -d /wheel", text)
    assert command
    built = [sys.executable, *command[1].split(), "-d", str(tmp_path / "wheel")]
    subprocess.run(built, cwd=tmp_path, check=True, capture_output=True)
    [image_wheel] = (tmp_path / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as expected, zipfile.ZipFile(image_wheel) as found:
        assert sorted(found.namelist()) == sorted(expected.namelist())
    [version] = set(re.findall(r"^FROM python:3\.(\d+)", text, re.M))
    assert 10 <= int(version) <= 13
