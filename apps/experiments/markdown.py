"""Notes and Markdown files as HTML that can do nothing: no HTML of their own, no pictures, safe links."""

from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.utils.safestring import SafeString, mark_safe

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

LONGEST = 200_000
SCHEMES = frozenset({"http", "https", "mailto"})


def markdown_html(text: str) -> SafeString:
    """CommonMark with tables and strikethrough; headings begin at h3, because the page has h1 and h2 itself."""
    parser = _renderer()
    environment: dict[str, Any] = {}
    tokens = parser.parse(text[:LONGEST], environment)
    _headings_settle(tokens)
    rendered = parser.renderer.render(tokens, parser.options, environment)
    return mark_safe(rendered)  # noqa: S308  # nosec  markdown-it escapes all text, and takes no HTML


@cache
def _renderer() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False})
    parser.enable(["table", "strikethrough"]).disable(["image"])
    parser.validateLink = link_is_safe  # type: ignore[method-assign, assignment]
    parser.add_render_rule("link_open", _link_open)
    for rule in ("th_open", "td_open"):
        parser.add_render_rule(rule, _cell)
    return parser


def link_is_safe(address: str) -> bool:
    """Whether it leads to a page or to a mailbox, or to a place of this portal; never a script, a file or data."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return False
    if any(ord(letter) <= 32 or letter == "\\" for letter in address):
        return False
    return parts.scheme.lower() in SCHEMES if parts.scheme else not address.startswith("//")


def _link_open(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return str(renderer.renderToken(tokens, index, options, env))


def _headings_settle(tokens: Any) -> None:
    """From h3 on and without gaps, whatever levels the text has: readers that jump by headings miss none."""
    open_levels: list[int] = []
    for token in tokens:
        if token.type == "heading_open":
            level = int(token.tag[1])
            while open_levels and open_levels[-1] >= level:
                open_levels.pop()
            open_levels.append(level)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, len(open_levels) + 2)}"


def _cell(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    """Alignment comes as a style, which our policy does not let through."""
    style = tokens[index].attrs.pop("style", "")
    if "right" in str(style):
        tokens[index].attrSet("class", "num")
    return str(renderer.renderToken(tokens, index, options, env))
