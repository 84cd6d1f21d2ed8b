"""The summary as an HTML page that needs no network and runs no script."""

from __future__ import annotations

import base64
import hashlib

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font-size: 1.4rem; } h3 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top; }
th { background: #8882; } code, pre { font: 13px ui-monospace, monospace; }
code { background: #8882; padding: .1rem .25rem; border-radius: 3px; }
pre { background: #8881; padding: .75rem; overflow-x: auto; } pre code { background: none; padding: 0; }
details { margin: .5rem 0; } summary { cursor: pointer; }
"""


def page(markdown: str) -> str:
    """The page.

    Args:
        markdown: The summary, in which text from data is escaped.
    """
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>offdag: review of a dbt change</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{body}</body>\n</html>\n"
    )
