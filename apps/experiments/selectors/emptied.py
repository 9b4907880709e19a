"""Which term of a filter left nothing: the one to be taken out."""

from dataclasses import dataclass, replace

from apps.experiments.filters import All, filter_print
from apps.experiments.selectors.runs import RunQuery

MOST_TERMS = 10


@dataclass(frozen=True)
class Term:
    """A part of the filter that stands between ANDs, and the filter without it."""

    text: str
    rest: str


def terms_of(query: RunQuery) -> list[Term]:
    node = query.node
    parts = node.parts if isinstance(node, All) else (node,)
    return [
        Term(filter_print(part), filter_print(All(parts[:index] + parts[index + 1 :])))
        for index, part in enumerate(parts)
    ]


def term_that_emptied(query: RunQuery) -> Term | None:
    """The first term without which something is left; else the last."""
    terms = terms_of(query)
    for term in terms[:MOST_TERMS]:
        if len(terms) == 1 or replace(query, filter=term.rest).rows().exists():
            return term
    return terms[-1] if terms else None
