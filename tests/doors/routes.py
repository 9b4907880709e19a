"""Every address of the portal with the methods it may be asked by, from the URL resolver; nothing is listed by hand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

PAGE_METHODS = ("GET", "POST")


@dataclass(frozen=True, order=True)
class Route:
    """`template` is the address with `{name}` for what varies; `names` are those names."""

    template: str
    names: tuple[str, ...]
    methods: tuple[str, ...]

    @property
    def is_api(self) -> bool:
        return self.template.startswith("/api/v1/")

    @property
    def has_object(self) -> bool:
        return bool(self.names)

    def path(self, values: dict[str, str]) -> str:
        return self.template.format(**values)


def routes() -> list[Route]:
    found: dict[str, Route] = {}
    for template, callback in _patterns(get_resolver().url_patterns, "/"):
        names = tuple(re.findall(r"\{(\w+)\}", template))
        methods = _methods(callback)
        before = found.get(template)
        merged = tuple(sorted({*methods, *(before.methods if before else ())}))
        found[template] = Route(template, names, merged)
    return sorted(found.values())


def _patterns(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        template = prefix + _template(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns, template)
        elif isinstance(pattern, URLPattern):
            yield template, pattern.callback


def _template(pattern: Any) -> str:
    if hasattr(pattern, "_route"):
        return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern._route))
    return _unregex(str(pattern._regex))


def _unregex(text: str) -> str:
    """The address that a regular expression of named groups stands for."""
    out, index = "", 0
    while index < len(text):
        if text.startswith("(?P<", index):
            name = text[index + 4 : text.index(">", index)]
            depth, end = 0, index
            while True:
                if text[end] == "\\":
                    end += 1
                elif text[end] == "[":
                    end = text.index("]", end + 2)
                else:
                    depth += {"(": 1, ")": -1}.get(text[end], 0)
                end += 1
                if depth == 0:
                    break
            out, index = f"{out}{{{name}}}", end
        else:
            out, index = out + text[index], index + 1
    return out.replace("^", "").replace("$", "").replace("\\Z", "").replace("\\.", ".").replace("/?", "/")


def _methods(callback: Any) -> tuple[str, ...]:
    actions = getattr(callback, "actions", None)
    if actions:
        return tuple(sorted(name.upper() for name in actions if name not in ("head", "options")))
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if view is not None and hasattr(view, "http_method_names"):
        has = [name for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)]
        return tuple(name.upper() for name in has) or PAGE_METHODS
    return PAGE_METHODS
