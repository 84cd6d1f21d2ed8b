"""The review as one Markdown text, for a job's summary page and a pull request's comment. Pure: data in, text out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from offdag.artifacts.compiled import CompiledNode
from offdag.review.build import Build
from offdag.review.comparison import Comparison, SampleRow
from offdag.review.impact import Impact
from offdag.review.review import Review

# GitHub's limit for a comment is 65,536 characters.
_LONGEST = 60_000
_MOST_LINES = 40
# Finds our comment on a pull request among those that the same user wrote for others.
_MARK = "<!-- offdag -->"


def summary(
    project: str, exit_code: int, review: Review | None, remarks: Iterable[str] = (), is_refused: bool = False
) -> str:
    """Write the summary.

    Args:
        project: Name of the dbt project.
        exit_code: dbt's own.
        review: What was found; None where dbt left no results.
        remarks: Shown before those of the review.
        is_refused: ``--fail-on`` does not allow what differs, or what could not be compared.
    """
    verdict = "passed" if exit_code == 0 else f"FAILED (exit code {exit_code})"
    if exit_code == 0 and is_refused:
        verdict = "passed, REFUSED for what differs from production or could not be compared"
    head = [_MARK, f"## dbt build of {_code(project)}: {verdict}", ""]
    remark_lines = [f"- {_text(remark)}" for remark in (*remarks, *(review.remarks if review else ()))]
    if review is None:
        return "\n".join(
            [*head, "dbt left no results: it could not start, or could not read the project.", "", *remark_lines]
        )
    if review.unchanged:
        remark_lines.append(
            f"- Built with the same code and inputs as in production, and not compared: {len(review.unchanged)}"
        )
    head += [*_counts(review), *remark_lines, ""]
    sections = [
        _failed(review.build),
        _schema(review),
        _data(review),
        _samples(review),
        _impact(review),
        _not_compared(review),
    ]
    text = _joined(head, sections)
    if len(text) > _LONGEST:
        sections[3] = ["### Sample rows", "", "Left out: the summary would be too long for a comment.", ""]
        text = _joined(head, sections)
    if len(text) <= _LONGEST:
        return text
    # At a line's end: a cut within a code span would let the rest of it be read as markup.
    return f"{text[:_LONGEST].rpartition(chr(10))[0]}\n\nCut here: too long for a comment.\n"


def _joined(head: list[str], sections: Iterable[list[str]]) -> str:
    return "\n".join([*head, *(line for section in sections for line in section)])


def _counts(review: Review) -> list[str]:
    build, production = review.build, review.production
    statuses = Counter(result.status or "unknown" for result in build.results.values())
    counted = ", ".join(f"{count} {_text(status)}" for status, count in statuses.most_common()) or "nothing was built"
    lines = [f"- Results: {counted}"]
    if production is None:
        why = "production could not be read" if review.is_blind else "there is no build of production yet"
        return [*lines, f"- Compared with nothing: {why}"]
    failed = sum(result.is_failed for result in production.results.values())
    what = f"its `dbt {production.command}`" if production.command in ("build", "run") else "its build"
    lines.append(
        f"- Production: {what} of {production.generated_at:%Y-%m-%d %H:%M} UTC"
        + (f", which had {failed} failures" if failed else "")
    )
    both = [
        (result.seconds, before.seconds)
        for unique_id, result in build.results.items()
        if (before := production.results.get(unique_id)) and result.seconds and before.seconds
    ]
    if both:
        ours, theirs = (sum(seconds) for seconds in zip(*both, strict=True))
        lines.append(
            f"- Duration: {ours:.1f} s here, {theirs:.1f} s in production (nodes that ran on both sides: {len(both)})"
        )
    return lines


def _failed(build: Build) -> list[str]:
    rows = [
        (_label(build.nodes.get(r.unique_id), r.unique_id), _text(r.status or "unknown"), _code(r.brief))
        for r in build.results.values()
        if r.is_failed or r.status == "warn"
    ]
    return _table("Failed and warned", ("node", "status", "message"), sorted(rows, key=lambda row: (row[1], row[0])))


def _schema(review: Review) -> list[str]:
    rows = []
    for c in review.comparisons:
        name = _label(review.build.nodes[c.unique_id], c.unique_id)
        rows += [(name, _code(column), f"added, {_code(kind)}") for column, kind in c.added_columns.items()]
        rows += [(name, _code(column), f"removed, was {_code(kind)}") for column, kind in c.removed_columns.items()]
        rows += [
            (name, _code(column), f"{_code(before)} to {_code(after)}")
            for column, (before, after) in c.retyped_columns.items()
        ]
    rows += [(_code(unique_id), "", _text(why)) for unique_id, why in review.removed.items()]
    return _table("Schema changes", ("model", "column", "change"), rows)


def _data(review: Review) -> list[str]:
    if not review.comparisons:
        return []
    rows = []
    for c in review.comparisons:
        name = _label(review.build.nodes[c.unique_id], c.unique_id)
        if c.problem:
            rows.append((name, "unknown", "unknown", "unknown", "unknown", f"not compared: {_code(c.problem)}"))
            continue
        columns = ", ".join(f"{_code(column)} {rows:,}" for column, rows in _most(c.columns))
        changed = "no key" if c.changed is None else f"{c.changed:,}"
        rows.append((name, _rows(c), _number(c.added), _number(c.removed), changed, columns or "-"))
    header = ("model", "rows", "added", "removed", "changed", "rows that differ, by column")
    table = _table("Data against production", header, rows)
    remarks = [
        f"- {_label(review.build.nodes[c.unique_id], c.unique_id)}: {_text(remark)}"
        for c in review.comparisons
        for remark in c.remarks
    ]
    return [*table, *remarks, *([""] if remarks else [])]


def _rows(c: Comparison) -> str:
    return f"{_number(c.before)} to {_number(c.after)}" if c.before != c.after else _number(c.after)


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _most(columns: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(columns.items(), key=lambda item: -item[1])[:8]


def _samples(review: Review) -> list[str]:
    lines: list[str] = []
    for c in review.comparisons:
        if c.samples:
            name = review.build.nodes[c.unique_id].name
            lines += [f"<details><summary>Sample rows of {_code_html(name)}</summary>", ""]
            lines += [*(f"- {_sample(row)}" for row in c.samples), "", "</details>", ""]
    return lines


def _sample(row: SampleRow) -> str:
    key = ", ".join(f"{_code(name)} = {_code(value)}" for name, value in row.key.items())
    values = "; ".join(f"{_code(n)}: {_code(before)} to {_code(after)}" for n, (before, after) in row.values.items())
    return f"{row.change}: {key}" + (f": {values}" if values else "")


def _impact(review: Review) -> list[str]:
    measured = {c.unique_id: c for c in review.comparisons}
    rows = [
        (
            _label(review.build.nodes[unique_id], unique_id),
            _touched(touched),
            _measured(unique_id, measured, review),
        )
        for unique_id, touched in review.impact.items()
        if review.build.nodes[unique_id].resource_type != "exposure"
    ]
    exposures = [
        (_label(review.build.nodes[unique_id], unique_id), _text(touched.whole or ""))
        for unique_id, touched in review.impact.items()
        if review.build.nodes[unique_id].resource_type == "exposure"
    ]
    return [
        *_table("Exposures touched", ("exposure", "why"), exposures),
        *_table("Impact by column", ("node", "touched", "found in the data"), rows),
    ]


def _touched(touched: Impact) -> str:
    parts = [f"all columns: {_text(touched.whole)}"] if touched.whole else []
    shown = list(touched.columns.items())[:8]
    parts += [f"{_code(name)} {_text(why)}" for name, why in shown]
    if len(touched.columns) > len(shown):
        parts.append(f"and {len(touched.columns) - len(shown)} more columns")
    if touched.rows:
        parts.append(f"rows: {_text(touched.rows)}")
    return "; ".join(parts)


def _measured(unique_id: str, measured: dict[str, Comparison], review: Review) -> str:
    c = measured.get(unique_id)
    if c is None:
        if unique_id in review.unchanged:
            return "same code and inputs, not compared"
        return _text(review.not_compared.get(unique_id, "not built, not compared"))
    if c.problem:
        return "unknown"
    return "differs" if c.has_row_changes or c.has_schema_changes else "no difference"


def _not_compared(review: Review) -> list[str]:
    rows = [(_label(review.build.nodes[i], i), _text(reason)) for i, reason in sorted(review.not_compared.items())]
    return _table("Not compared", ("node", "why"), rows)


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A section with a table, cut visibly; none without rows."""
    if not rows:
        return []
    shown = rows[:_MOST_LINES]
    more = [f"- and {len(rows) - len(shown)} more"] if len(rows) > len(shown) else []
    lines = [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *shown)]
    return [f"### {title}", "", *lines, "", *more]


def _label(node: CompiledNode | None, unique_id: str) -> str:
    return _code(node.name if node else unique_id)


def _code(text: str) -> str:
    """Text from data: in a code span nothing is a link, a mention, HTML or a cell's end."""
    plain = _one_line(text).replace("`", "'").replace("|", "\\|")
    return f"`{plain or ' '}`"


def _code_html(text: str) -> str:
    from html import escape

    return f"<code>{escape(_one_line(text))}</code>".replace("@", "@\u200b")


def _text(text: str) -> str:
    """Words of our own around names from data."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#~" else c for c in _one_line(text)).replace("@", "@\u200b")


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
