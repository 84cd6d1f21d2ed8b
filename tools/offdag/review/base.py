"""Whose changes a review shows: those of the branch, or those that the main branch has and production has not. By git."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from offdag.origin import git_output

# A diff of a large repository takes its time.
_SECONDS = 60
_MAIN = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


@dataclass(frozen=True)
class Base:
    """Commits of a review, and the files that changed between them, relative to the dbt project.

    Attributes:
        production: Commit of production's build; None where it is unknown.
        head: Commit of the review; None outside a git checkout.
        fork: Where the branch left the main branch; None where it is unknown.
        here: Files that the branch changed; None where it is unknown.
        moved: Files that differ between production's commit and the fork; None where it is unknown.
        is_behind: Production's commit is not in the branch: it was built from newer code, or from another branch.
        problem: Why something of it is unknown; None where all is known.
    """

    production: str | None = None
    head: str | None = None
    fork: str | None = None
    here: frozenset[str] | None = None
    moved: frozenset[str] | None = None
    is_behind: bool = False
    problem: str | None = None

    def changed_here(self, paths: Iterable[str | None]) -> bool | None:
        """Whether the branch changed one of the files; None where it is unknown."""
        return None if self.here is None else any(path in self.here for path in paths if path)

    def changed_on_main(self, paths: Iterable[str | None]) -> bool | None:
        """Whether one of the files differs between production's commit and the fork; None where it is unknown."""
        return None if self.moved is None else any(path in self.moved for path in paths if path)


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
    here = git.files(inside, Path(top), "diff", "--name-only", fork)
    new = git.files(inside, Path(top), "ls-files", "--others", "--exclude-standard", "--full-name")
    here = here | new if here is not None and new is not None else None
    moved, is_behind, problem = None, False, None
    if production is None:
        problem = "the history has no commit of production's build"
    elif git("cat-file", "-e", f"{production}^{{commit}}") is None:
        problem = f"git does not know production's commit {production[:10]}"
    else:
        moved = git.files(inside, Path(top), "diff", "--name-only", production, fork)
        is_behind = git("merge-base", "--is-ancestor", production, fork) is None
    return Base(production, head, fork, here, moved, is_behind, problem)


class _Git:
    """git in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *arguments: str) -> str | None:
        """Its output; None where it failed."""
        return git_output(self._folder, *arguments, timeout=_SECONDS)

    def files(self, project: Path, top: Path, *arguments: str) -> frozenset[str] | None:
        """Paths that git lists, relative to the project; those outside of it are left out."""
        found = self(*arguments, "-z")
        if found is None:
            return None
        paths = (Path(os.path.relpath(os.path.realpath(top / name), project)) for name in found.split("\0") if name)
        return frozenset(path.as_posix() for path in paths if path.parts[:1] != ("..",))
