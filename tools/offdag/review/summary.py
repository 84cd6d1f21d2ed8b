"""The review as one Markdown text, for a job's summary page and a pull request's comment. Pure: data in, text out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from offdag.artifacts.compiled import CompiledNode
from offdag.notify.markdown import code, code_block, code_html, folded, listed, plain, table, table_lines
from offdag.review.explanation import Cause
from offdag.review.figures import ColumnDetail, Comparison, Profile, SampleRow
from offdag.review.first_screen import first_screen
from offdag.review.impact import Impact
from offdag.review.review import Review

# GitHub's limit for a comment is 65,536 characters.
_LONGEST = 60_000
_MOST_COLUMNS = 8
# Of the graph: more are not readable, and two need none.
_MOST_NODES, _LEAST_NODES = 30, 3
# Finds our comment on a pull request among those that the same user wrote for others.
# A node is slower from twice its usual time on, and five seconds.
_SLOWER, _SLOWER_SECONDS = 2, 5
# As many turns between success and failure are no accident of one outage.
_FLAKY_TURNS = 3
# Fewer changes of the number of rows show no habit.
_LEAST_STEPS = 4


def summary(
    project: str,
    exit_code: int,
    review: Review | None,
    remarks: Iterable[str] = (),
    is_refused: bool = False,
    why_not: str | None = None,
) -> str:
    """Write the summary.

    Args:
        project: Name of the dbt project.
        exit_code: dbt's own.
        review: What was found; None where dbt left no results.
        remarks: Shown before those of the review.
        is_refused: ``--fail-on`` does not allow what differs, or what could not be compared.
        why_not: Why dbt did not start; None where it did, or where it is unknown.
    """
    verdict = "passed" if exit_code == 0 else f"FAILED (exit code {exit_code})"
    if exit_code == 0 and is_refused:
        verdict = "passed, REFUSED for what differs from production or could not be compared"
    head = [f"## dbt build of {code(project)}: {verdict}", ""]
    remark_lines = [f"- {plain(remark)}" for remark in (*remarks, *(review.remarks if review else ()))]
    remark_lines += _slower(review) if review else []
    if review and review.cloned:
        names = listed(sorted(review.build.nodes[i].name for i in review.cloned if i in review.build.nodes))
        remark_lines.append(
            f"- Built on a copy of production's table, as production will (`--full-refresh`: from nothing): {names}"
        )
    if review is None:
        reason = (
            ["It did not start:", "", *code_block(why_not, "text")]
            if why_not
            else ["dbt left no results: it could not start, or could not read the project."]
        )
        return "\n".join([*head, *reason, "", *remark_lines])
    head += [f"- {line}" for line in first_screen(review)]
    head += [""]
    sections = [
        _failed(review),
        _differences(review),
        _breaking(review),
        _schema(review),
        _made(review),
        _details(review),
        _samples(review),
        _impact(review),
        _graph(review),
        _not_compared(review),
        ["### Remarks", "", *remark_lines, ""] if remark_lines else [],
    ]
    text = _joined(head, sections)
    for number, left_out in ((6, "sample rows"), (5, "columns in detail")):
        if len(text) > _LONGEST and sections[number]:
            sections[number] = [f"Left out, since the summary would be too long for a comment: {left_out}.", ""]
            text = _joined(head, sections)
    if len(text) <= _LONGEST:
        return text
    # At a line's end: a cut within a code span would let the rest of it be read as markup.
    return f"{text[:_LONGEST].rpartition(chr(10))[0]}\n\nCut here: too long for a comment.\n"


def _slower(review: Review) -> list[str]:
    """Nodes that took much longer than usual, the slowest first."""
    slow = [
        (result.seconds, known.seconds, unique_id)
        for unique_id, result in review.build.results.items()
        if result.seconds
        and (known := review.past.nodes.get(unique_id))
        and known.seconds is not None
        and result.seconds > max(_SLOWER * known.seconds, known.seconds + _SLOWER_SECONDS)
    ]
    return [
        f"- {_label(review.build.nodes.get(i), i)} took {seconds:.0f} s, usually {usual:.0f} s in production"
        for seconds, usual, i in sorted(slow, reverse=True)[:_MOST_COLUMNS]
    ]


def _joined(head: list[str], sections: Iterable[list[str]]) -> str:
    return "\n".join([*head, *(line for section in sections for line in section)])


def _failed(review: Review) -> list[str]:
    build = review.build
    rows = [
        (
            _label(build.nodes.get(r.unique_id), r.unique_id),
            plain(r.status or "unknown"),
            code(r.brief),
            _in_production(review, r.unique_id),
        )
        for r in build.results.values()
        if r.is_failed or r.status == "warn"
    ]
    lines = table(
        "Failed and warned",
        ("node", "status", "message", "in production"),
        sorted(rows, key=lambda row: (row[1], row[0])),
    )
    for unique_id, (header, *values) in ((i, rows) for i, rows in review.failing_rows.items() if len(rows) > 1):
        cells = [[code(value) for value in row] for row in values]
        shown = table_lines([code(name) for name in header], cells)
        lines += folded(f"Rows of {code_html(build.nodes[unique_id].name)}", shown)
    return lines


def _in_production(review: Review, unique_id: str) -> str:
    """How often a failed node failed in production's last builds."""
    known = review.past.nodes.get(unique_id)
    if known is None or not known.builds:
        return "unknown" if review.production and unique_id in review.production.nodes else "not there"
    builds = "1 build" if known.builds == 1 else f"{known.builds} builds"
    if not known.failures:
        return f"never failed in {builds}"
    flaky = ", flaky" if known.turns >= _FLAKY_TURNS else ""
    return f"failed in {known.failures} of {builds}{flaky}"


def _differences(review: Review) -> list[str]:
    """The tables that differ, those with the most rows first; what is equal, or differs by chance, in one line each."""
    nodes = review.build.nodes
    rows = []
    for c in sorted(review.comparisons, key=lambda c: -((c.added or 0) + (c.removed or 0) + (c.changed or 0))):
        if c.is_equal or review.is_by_chance(c):
            continue
        name = _label(nodes[c.unique_id], c.unique_id)
        if c.problem:
            rows.append((name, "unknown", "unknown", "unknown", "unknown", f"not compared: {code(c.problem)}", ""))
            continue
        columns = ", ".join(f"{code(column)} {count:,}" for column, count in _most(c.columns))
        unknown = ", ".join(f"{code(column)} unknown" for column in list(c.unknown_columns)[:_MOST_COLUMNS])
        changed = "no key" if c.changed is None else f"{c.changed:,}"
        named = ", ".join(filter(None, (columns, unknown))) or "-"
        rows.append((name, _rows(review, c), _number(c.added), _number(c.removed), changed, named, _why(review, c)))
    header = ("model", "rows", "added", "removed", "changed", "rows that differ, by column", "why")
    lines = table("Data against production", header, rows)
    equal = [nodes[c.unique_id].name for c in review.comparisons if c.is_equal]
    lines += [f"- Proven equal: {listed(equal)}"] if equal else []
    by_chance = [c for c in review.comparisons if review.is_by_chance(c)]
    for c in by_chance:
        figures = f"{(c.added or 0) + (c.removed or 0) + (c.changed or 0):,} rows"
        why = plain(review.explanations[c.unique_id].detail)
        lines.append(
            f"- Not deterministic, and not counted as a change: {_label(nodes[c.unique_id], c.unique_id)}, {figures}: {why}"
        )
    lines += [
        f"- {_label(nodes[c.unique_id], c.unique_id)}: {plain(remark)}"
        for c in review.comparisons
        if not c.is_equal
        for remark in (*c.remarks, *(f"{name} is unknown: {why}" for name, why in c.unknown_columns.items()))
    ]
    is_list = bool(lines) and lines[-1].startswith("- ")
    return [*lines, ""] if is_list else lines


def _why(review: Review, c: Comparison) -> str:
    found = review.explanations.get(c.unique_id)
    if found is None:
        return ""
    detail = f": {plain(found.detail)}" if found.detail else ""
    if found.cause in (Cause.CODE, Cause.MAIN) and found.without_code:
        detail += f"; with production's code {found.without_code:,} rows would differ too, by data that arrived since"
    return f"{found.cause.value}{detail}"


def _rows(review: Review, c: Comparison) -> str:
    if c.before == c.after or c.before is None or c.after is None:
        return _number(c.after)
    share = f" ({(c.after - c.before) / c.before:+.1%}{_usual_change(review, c.unique_id)})" if c.before else ""
    return f"{_number(c.before)} to {_number(c.after)}{share}"


def _usual_change(review: Review, unique_id: str) -> str:
    """By how much production's rows change from build to build, where the warehouse reports rows."""
    known = review.past.nodes.get(unique_id)
    counts = known.rows if known else ()
    steps = sorted(abs(after - before) / before for before, after in pairwise(counts) if before)
    return f", usually up to {steps[-1]:.1%}" if len(steps) >= _LEAST_STEPS else ""


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _most(columns: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(columns.items(), key=lambda item: -item[1])[:_MOST_COLUMNS]


def _breaking(review: Review) -> list[str]:
    """What other projects, contracts and readers of a table rely on, and this change takes away."""
    rows = [(code(node), plain(what)) for node, what in review.breaking]
    return table("Breaking changes", ("node", "what"), rows)


def _schema(review: Review) -> list[str]:
    rows = []
    for c in review.comparisons:
        name = _label(review.build.nodes[c.unique_id], c.unique_id)
        new_names = set(c.renamed_columns.values())
        rows += [
            (name, code(column), f"added, {code(kind)}")
            for column, kind in c.added_columns.items()
            if column not in new_names
        ]
        for column, kind in c.removed_columns.items():
            renamed = c.renamed_columns.get(column)
            change = f"renamed to {code(renamed)}, same values" if renamed else f"removed, was {code(kind)}"
            rows.append((name, code(column), change))
        rows += [
            (name, code(column), f"{code(before)} to {code(after)}")
            for column, (before, after) in c.retyped_columns.items()
        ]
    rows += [(_label(review.build.nodes[unique_id], unique_id), "", plain(what)) for unique_id, what in review.moved]
    return table("Schema changes", ("model", "column", "change"), rows)


def _made(review: Review) -> list[str]:
    rows = []
    for unique_id, made in review.made.items():
        node = review.build.nodes[unique_id]
        key = f"{listed(node.key)} ({plain(node.key_origin or '')})" if node.key else "no key test"
        description = plain(node.description[:120]) or "no description"
        rows.append((_label(node, unique_id), _number(made.rows), _number(made.columns), key, description))
    return table("New", ("model", "rows", "columns", "key", "description"), rows)


def _details(review: Review) -> list[str]:
    lines: list[str] = []
    for c in review.comparisons:
        if review.is_by_chance(c):
            continue
        for column, detail in c.details.items():
            name = review.build.nodes[c.unique_id].name
            lines += folded(f"{code_html(f'{name}.{column}')}: {c.columns[column]:,} rows", _column(detail))
    return ["### Columns in detail", "", *lines] if lines else []


def _column(detail: ColumnDetail) -> list[str]:
    kinds = ", ".join(f"{words} {count:,}" for words, count in sorted(detail.kinds.items(), key=lambda item: -item[1]))
    header = ("", "rows", "nulls", "distinct", "min", "max", "mean")
    rows = [_profile("production", detail.before), _profile("here", detail.after)]
    return [
        f"Kind of change: {kinds}",
        "",
        *table_lines(header, rows),
        "",
        *(f"- {code(before)} to {code(after)}: {rows:,} rows" for before, after, rows in detail.mapping),
        *([""] if detail.mapping else []),
        *code_block(detail.query, "sql"),
    ]


def _profile(side: str, p: Profile) -> tuple[str, ...]:
    ends = ("" if value is None else code(value) for value in (p.least, p.greatest, p.mean))
    return (side, f"{p.rows:,}", f"{p.nulls:,}", f"{p.distinct:,}", *ends)


def _samples(review: Review) -> list[str]:
    lines: list[str] = []
    for c in review.comparisons:
        name = review.build.nodes[c.unique_id].name
        lines += folded(f"Sample rows of {code_html(name)}", [f"- {_sample(row)}" for row in c.samples])
    return lines


def _sample(row: SampleRow) -> str:
    key = ", ".join(f"{code(name)} = {code(value)}" for name, value in row.key.items())
    values = "; ".join(f"{code(n)}: {code(before)} to {code(after)}" for n, (before, after) in row.values.items())
    return f"{row.change}: {key}" + (f": {values}" if values else "")


def _impact(review: Review) -> list[str]:
    measured = {c.unique_id: c for c in review.comparisons}
    rows = [
        (_label(review.build.nodes[unique_id], unique_id), _touched(touched), _measured(unique_id, measured, review))
        for unique_id, touched in review.impact.items()
        if review.build.nodes[unique_id].resource_type != "exposure" and _is_news(touched, measured.get(unique_id))
    ]
    return table("Impact by column", ("node", "touched", "found in the data"), rows)


def _is_news(touched: Impact, measured: Comparison | None) -> bool:
    """Whether it shows more than the figures of the same table."""
    fails = [touched.whole or "", *touched.columns.values()]
    return measured is None or measured.problem is not None or any(text.startswith("fails ") for text in fails)


def _graph(review: Review) -> list[str]:
    """From what changed to what it touches, as Mermaid, which GitHub and GitLab draw."""
    shown = [i for i in review.impact if review.build.kind_of(i) in ("model", "seed", "snapshot", "exposure")][
        :_MOST_NODES
    ]
    shown += [
        c.unique_id
        for c in review.comparisons
        if c.is_equal and set(review.build.nodes[c.unique_id].parents) & set(shown)
    ]
    names = {unique_id: f"n{number}" for number, unique_id in enumerate(dict.fromkeys(shown))}
    if len(names) < _LEAST_NODES:
        return []
    equal = {c.unique_id for c in review.comparisons if c.is_equal}
    lines = ["graph LR"]
    for unique_id, name in names.items():
        node = review.build.nodes[unique_id]
        label = "".join(c if c.isalnum() or c in "_-. " else " " for c in node.name)
        shape = f'{name}(["{label}"])' if node.resource_type == "exposure" else f'{name}["{label}"]'
        style = "equal" if unique_id in equal else "touched"
        lines += [f"  {shape}:::{style}"]
        lines += [f"  {names[parent]} --> {name}" for parent in node.parents if parent in names and parent not in equal]
    lines += ["  classDef touched stroke:#c60,stroke-width:2px", "  classDef equal stroke:#393,stroke-dasharray:4"]
    return folded("What is touched (orange) and what was proven equal (green)", ["```mermaid", *lines, "```"])


def _touched(touched: Impact) -> str:
    parts = [f"all columns: {plain(touched.whole)}"] if touched.whole else []
    shown = list(touched.columns.items())[:_MOST_COLUMNS]
    parts += [f"{code(name)} {plain(why)}" for name, why in shown]
    if len(touched.columns) > len(shown):
        parts.append(f"and {len(touched.columns) - len(shown)} more columns")
    if touched.rows:
        parts.append(f"rows: {plain(touched.rows)}")
    return "; ".join(parts)


def _measured(unique_id: str, measured: dict[str, Comparison], review: Review) -> str:
    c = measured.get(unique_id)
    if c is None:
        if unique_id in review.unchanged:
            return "same code and inputs, not compared"
        return plain(review.not_compared.get(unique_id, "not built, not compared"))
    if c.problem:
        return "unknown"
    return (
        "differs"
        if c.has_row_changes or c.has_schema_changes
        else "partly unknown"
        if c.is_unknown
        else "no difference"
    )


def _not_compared(review: Review) -> list[str]:
    rows = [
        (_label(review.build.nodes[i], i), plain(reason))
        for i, reason in sorted(review.not_compared.items())
        if i not in review.made
    ]
    return table("Not compared", ("node", "why"), rows)


def _label(node: CompiledNode | None, unique_id: str) -> str:
    return code(node.name if node else unique_id)
