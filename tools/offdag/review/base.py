"""Whose changes a review shows: those of the branch, or those that the main branch has and production has not. By git."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from offdag.origin import git_output

# A diff of a large repository takes its time.
_SECONDS = 60
# Files of packages are below it, whatever folder they are installed in.
PACKAGES = "dbt_packages/"
_PACKAGE_FILES = ("packages.yml", "dependencies.yml", "package-lock.yml")
_MAIN = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


@dataclass(frozen=True)
class Base:
    """Commits of a review, and the files that changed between them, relative to the dbt project.

    Attributes:
        production: Commit of production's build; None where it is unknown.
        head: Commit of the review; None outside a git checkout.
        fork: Where the branch left the main branch; None where it is unknown.
        here: Files that the branch changed, those of packages outside of the project too; None where it is unknown.
        moved: Files that the main branch changed since it parted from production's commit; None where it is unknown.
        theirs: Files that production's commit has otherwise, and the branch has not: it was built from newer code, or from another
            branch. None where it is unknown.
        problem: Why something of it is unknown; None where all is known.
    """

    production: str | None = None
    head: str | None = None
    fork: str | None = None
    here: frozenset[str] | None = None
    moved: frozenset[str] | None = None
    theirs: frozenset[str] | None = None
    problem: str | None = None

    @staticmethod
    def among(files: Mapping[str, str], changed: frozenset[str] | None) -> dict[str, str]:
        """Those of some files, by path, that a set of changed ones holds.

        Args:
            files: See :func:`offdag.review.changes.changed_files`; one of a package is below ``dbt_packages``.
            changed: Relative to the project; a local package is a folder of it, and others come by ``packages.yml``.
        """
        known = changed or frozenset()
        found: dict[str, str] = {}
        for path, what in files.items():
            package, _, inside = (
                path.removeprefix(PACKAGES).partition("/") if path.startswith(PACKAGES) else ("", "", "")
            )
            is_by_package = bool(package) and (
                not known.isdisjoint(_PACKAGE_FILES) or any(name.endswith(f"/{inside}") for name in known)
            )
            found |= {path: what} if path in known or is_by_package else {}
        return found


def base_of(project_dir: Path, production: str | None, given: str | None, environ: Mapping[str, str]) -> Base:
    """Find the commits of a review.

    Args:
        project_dir: Folder of the dbt project, in a git checkout.
        production: Commit of production's build, as the history has it.
        given: Branch or commit that the branch will be merged into; None for what the CI system names, else the main branch.
        environ: Variables of the CI system.
    """
    git = _Git(project_dir)
    head, top = git("rev-parse", "HEAD"), git("rev-parse", "--show-toplevel")
    if head is None or top is None:
        return Base(production, problem="this is no git checkout")
    named = given or environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA") or ""
    if not named and environ.get("GITHUB_BASE_REF"):
        named = f"origin/{environ['GITHUB_BASE_REF']}"
    candidates = [named] if named else list(_MAIN)
    fork = next(filter(None, (git("merge-base", "HEAD", name) for name in candidates)), None)
    if fork is None:
        what = f"git does not know {named}" if named else "git knows no main branch"
        return Base(
            production, head, problem=f"{what}; give --base, and check out with the whole history (fetch-depth: 0)"
        )
    inside = Path(os.path.realpath(project_dir))
    here = git.files(inside, Path(top), "diff", "--no-renames", "--name-only", fork)
    new = git.files(inside, Path(top), "ls-files", "--others", "--exclude-standard", "--full-name")
    here = here | new if here is not None and new is not None else None
    moved, theirs, problem = None, None, None
    if production is None:
        problem = "the history has no commit of production's build"
    elif git("cat-file", "-e", f"{production}^{{commit}}") is None:
        problem = f"git does not know production's commit {production[:10]}"
    else:
        parted = git("merge-base", production, fork)
        if parted is None:
            problem = f"git knows no common commit of production's {production[:10]} and this branch"
        else:
            moved, theirs = (
                git.files(inside, Path(top), "diff", "--no-renames", "--name-only", parted, c)
                for c in (fork, production)
            )
    return Base(production, head, fork, here, moved, theirs, problem)


class _Git:
    """git in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *arguments: str) -> str | None:
        """Its output; None where it failed."""
        return git_output(self._folder, *arguments, timeout=_SECONDS)

    def files(self, project: Path, top: Path, *arguments: str) -> frozenset[str] | None:
        """Paths that git lists, relative to the project; those outside of it begin with ``..``."""
        found = self(*arguments, "-z")
        if found is None:
            return None
        paths = (os.path.relpath(os.path.realpath(top / name), project) for name in found.split("\0") if name)
        return frozenset(Path(path).as_posix() for path in paths)
