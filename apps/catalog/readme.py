"""A module's README as HTML: the part of Markdown that READMEs of modules use, everything else as plain text."""

import re
from collections.abc import Iterator
from itertools import groupby

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

LONGEST = 100_000
ITEM = re.compile(r"\s*[-*] +")
HEADING = re.compile(r"(#{1,6})\s+(.*)", re.DOTALL)
RULE = re.compile(r"\s*\|[\s:|-]+\|\s*")
CODE = re.compile(r"`([^`]+)`")
STRONG = re.compile(r"\*\*([^*]+)\*\*")


def readme_html(text: str) -> SafeString:
    """Headings, paragraphs, lists, tables, fenced code, `code` and **strong**. Never links, pictures or HTML.

    The first heading is left out: the page has the module's title already.
    """
    parts = list(_blocks(text[:LONGEST].splitlines()))
    if parts and parts[0].startswith("<h"):
        parts = parts[1:]
    return mark_safe("\n".join(parts))  # noqa: S308  every part is escaped by _inline or escape


def _blocks(lines: list[str]) -> Iterator[str]:
    fenced = False

    def kind(line: str) -> str:
        nonlocal fenced
        if line.lstrip().startswith("```"):
            fenced = not fenced
            return "fence"
        if fenced:
            return "code"
        if not line.strip():
            return "blank"
        if HEADING.match(line):
            return "heading"
        if line.lstrip().startswith("|"):
            return "table"
        return "item" if ITEM.match(line) else "text"

    before = ""
    kinds: list[tuple[str, str]] = []
    for line in lines:
        found = kind(line)
        # A line that goes on under an item belongs to it.
        found = "item" if found == "text" and before == "item" else found
        kinds.append((found, line))
        before = found
    for name, group in groupby(kinds, key=lambda pair: pair[0]):
        yield from _block(name, [line for _, line in group])


def _block(kind: str, lines: list[str]) -> Iterator[str]:
    if kind == "heading":
        for line in lines:
            marks, words = HEADING.fullmatch(line).groups()  # type: ignore[union-attr]
            level = min(max(len(marks), 2), 4)
            yield f"<h{level}>{_inline(words.strip())}</h{level}>"
    elif kind == "text":
        yield f"<p>{_inline(' '.join(line.strip() for line in lines))}</p>"
    elif kind == "code":
        code = escape("\n".join(lines))
        yield f'<pre tabindex="0"><code>{code}</code></pre>'
    elif kind == "item":
        yield f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in _items(lines))}</ul>"
    elif kind == "table":
        yield _table([line for line in lines if not RULE.fullmatch(line)])


def _items(lines: list[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if ITEM.match(line) or not items:
            items.append(ITEM.sub("", line, count=1).strip())
        else:
            items[-1] += " " + line.strip()
    return items


def _table(lines: list[str]) -> str:
    if not lines:
        return ""
    rows = [[_inline(cell.strip()) for cell in line.strip().strip("|").split("|")] for line in lines]
    head = "".join(f'<th scope="col">{cell}</th>' for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows[1:])
    return (
        '<div class="list" tabindex="0" role="region" aria-label="Table">'
        f'<table class="list-table is-plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _inline(text: str) -> str:
    """Escaped first; then only these two marks become tags."""
    return STRONG.sub(r"<strong>\1</strong>", CODE.sub(r"<code>\1</code>", escape(text)))
