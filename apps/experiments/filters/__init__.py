"""The language runs are filtered with: text to tree (`filter_parse`), tree to condition (`filter_q`), tree to text."""

from apps.experiments.exceptions import FilterInvalid
from apps.experiments.filters.compile import filter_q
from apps.experiments.filters.nodes import All, AnyOf, Comparison, Field, Kind, Node, Not, Words, filter_print
from apps.experiments.filters.parser import filter_parse

__all__ = [
    "All",
    "AnyOf",
    "Comparison",
    "Field",
    "FilterInvalid",
    "Kind",
    "Node",
    "Not",
    "Words",
    "filter_parse",
    "filter_print",
    "filter_q",
]
