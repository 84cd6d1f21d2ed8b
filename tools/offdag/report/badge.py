"""The health of one exposure as a small picture."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

# Readable on light and dark; the shape says the same as the colour.
_COLORS = {"healthy": "#1f6fb5", "caution": "#8a5a00", "degraded": "#b3261e", "unknown": "#5c6470"}
_SHAPES = {
    "healthy": '<circle cx="16" cy="16" r="8"/>',
    "caution": '<path d="M16 7 25 24H7z"/>',
    "degraded": '<path d="M9 9h14v14H9z"/>',
    "unknown": '<circle cx="16" cy="16" r="7" fill="none" stroke="#5c6470" stroke-width="2.5"/>',
}
_LONGEST_NAME, _LONGEST_REASON = 36, 36


def badge(exposure: dict[str, Any], as_of: datetime) -> str:
    """An SVG of one row of fct_exposure_health: its name, its health, the reason, and for when."""
    health = exposure["health"]
    name, reason = exposure["node_name"] or exposure["node_id"], exposure["reason"] or "no open incident upstream"
    first = f"{health}: {_cut(name, _LONGEST_NAME)}"
    # The date stays whole: an old picture must not look current.
    second = f"{_cut(reason, _LONGEST_REASON)}, as of {as_of:%Y-%m-%d %H:%M} UTC"
    label = escape(f"{health}: {name}. {reason}, as of {as_of:%Y-%m-%d %H:%M} UTC")
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="48" viewBox="0 0 400 48" role="img" '
        f'aria-label="{label}" font-family="system-ui, sans-serif"><title>{label}</title>'
        '<rect x="0.5" y="0.5" width="399" height="47" rx="6" fill="#ffffff" stroke="#767d87"/>'
        f'<g fill="{_COLORS[health]}" transform="translate(0 8)">{_SHAPES[health]}</g>'
        f'<text x="36" y="20" font-size="13" font-weight="600" fill="{_COLORS[health]}">{escape(first)}</text>'
        f'<text x="36" y="37" font-size="11" fill="#40464f">{escape(second)}</text></svg>\n'
    )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
