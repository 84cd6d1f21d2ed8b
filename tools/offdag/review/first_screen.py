"""The first lines of a summary: what ran, what it is compared with, what differs, who is touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime

from offdag.artifacts.compiled import CompiledNode
from offdag.notify.markdown import code, link, listed, plain
from offdag.review.base import Base
from offdag.review.review import Review

_TESTS = ("test", "unit_test")


def first_screen(review: Review) -> list[str]:
    """Four lines: what ran, what it is compared with, what differs, who is touched."""
    return list(filter(None, (_results(review), _compared_with(review), _data(review), _exposures(review))))


def _results(review: Review) -> str:
    build = review.build
    tests = [r for r in build.results.values() if build.kind_of(r.unique_id) in _TESTS]
    others = [r for r in build.results.values() if build.kind_of(r.unique_id) not in _TESTS]
    parts = [
        f"{words}: {_statuses(r.status for r in results)}" for words, results in (("Built", others), ("Tests", tests))
    ]
    if review.production:
        here, there = ({i for i, n in b.nodes.items() if n.resource_type in _TESTS} for b in (build, review.production))
        changes = [f"{len(ids)} {words}" for words, ids in (("added", here - there), ("removed", there - here)) if ids]
        parts[1] += f" ({', '.join(changes)})" if changes else ""
        parts.append(_duration(review))
    return ". ".join(filter(None, parts))


def _duration(review: Review) -> str:
    """Seconds and bytes here and usually, of the nodes for which both are known."""
    results = [(result, review.past.nodes.get(i)) for i, result in review.build.results.items()]
    timed = [(r.seconds, known.seconds) for r, known in results if known and r.seconds and known.seconds is not None]
    read = [(r.bytes, known.bytes) for r, known in results if known and r.bytes and known.bytes]
    parts = [f"{sum(s for s, _ in timed):.1f} s, usually {sum(s for _, s in timed):.1f} s"] if timed else []
    if read:
        here, there = sum(b for b, _ in read), sum(b for _, b in read)
        parts.append(f"{_size(here)} read, usually {_size(there)}")
        price = review.past.price_per_tebibyte / 2**40
        parts += [f"cost {here * price:.3g}, usually {there * price:.3g}"] if price else []
    return f"{'; '.join(parts)} for these nodes in production" if parts else ""


def _size(count: float) -> str:
    units = ("B", "kB", "MB", "GB", "TB")
    step = next((n for n in range(len(units) - 1) if count < 1000 ** (n + 1)), len(units) - 1)
    return f"{count / 1000**step:.3g} {units[step]}"


def _statuses(statuses: Iterable[str | None]) -> str:
    counted = Counter(status or "unknown" for status in statuses)
    return ", ".join(f"{count} {plain(status)}" for status, count in counted.most_common()) or "none"


def _compared_with(review: Review) -> str:
    production, base = review.production, review.base
    if production is None:
        why = "production could not be read" if review.is_blind else "there is no build of production yet"
        return f"Compared with nothing: {why}"
    failed = sum(result.is_failed for result in production.results.values())
    what = f"`dbt {production.command}`" if production.command in ("build", "run") else "build"
    at = f"{production.generated_at:%Y-%m-%d %H:%M} UTC"
    age = _age(production.generated_at, review.build.generated_at)
    commit = f" of commit {code(base.production[:10])}" if base.production else ""
    parts = [f"Production: its {what} of {at}{commit}, {age} older" + (f", with {failed} failures" if failed else "")]
    if base.problem:
        parts.append(f"Which changes are this branch's is unknown: {plain(base.problem)}")
    elif base.head and base.here is not None:
        parts.append(
            f"This branch, at {code(base.head[:10])}, changes {_files(base.here)} of the project; {_since(base)}"
        )
    return ". ".join(parts)


def _since(base: Base) -> str:
    """How the fork differs from production's commit."""
    moved = _files(base.moved) if base.moved else "nothing"
    since = f"the main branch has changed {moved} since production"
    if base.theirs:
        since += f"; production's commit has changes to {_files(base.theirs)} that this branch does not have"
    return since


def _files(paths: Collection[str]) -> str:
    """Number of files, of those in the project."""
    count = sum(not path.startswith("../") for path in paths)
    return "1 file" if count == 1 else f"{count} files"


def _age(before: datetime, after: datetime) -> str:
    minutes = max(0, round((after - before).total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"


def _data(review: Review) -> str:
    if review.production is None:
        return ""
    equal = [c for c in review.comparisons if c.is_equal]
    unknown = [c for c in review.comparisons if c.is_unknown]
    by_chance = [c for c in review.comparisons if review.is_by_chance(c)]
    counts = [
        (len(review.differing), "differs from production" if len(review.differing) == 1 else "differ from production"),
        (len(equal), "proven equal"),
        (len(unknown) + (sum(i not in review.made for i in review.not_compared)), "unknown"),
        (len(by_chance), "not deterministic"),
        (len(review.made), "new"),
        (len(review.removed), "gone"),
        (len(review.unchanged), "with the same code and inputs, not compared"),
    ]
    return "Tables: " + (", ".join(f"{count:,} {words}" for count, words in counts if count) or "none was built")


def _exposures(review: Review) -> str:
    nodes = [review.build.nodes[i] for i in review.impact]
    touched = [node for node in nodes if node.resource_type == "exposure"]
    if not touched:
        return "Exposures touched: none" if review.production and not review.has_problems else ""
    shown = []
    for node in touched:
        columns = sorted({f"{review.build.nodes[p].name}.{c}" for p, c in _columns_read(review, node)})
        owner = f" ({plain(node.owner)})" if node.owner else ""
        whole = review.impact[node.unique_id].whole or ""
        reason = f" by {listed(columns, 5)}" if columns else "" if whole.startswith("uses ") else f": {plain(whole)}"
        shown.append(f"{link(node.name, node.url)}{owner}{reason}")
    return f"Exposures touched: {'; '.join(shown)}"


def _columns_read(review: Review, exposure: CompiledNode) -> list[tuple[str, str]]:
    touched = {parent: review.impact[parent] for parent in exposure.parents if parent in review.impact}
    return [(parent, column) for parent, effect in touched.items() for column in effect.columns]
