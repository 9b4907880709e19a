"""Terraform files as plain data: python-hcl2's grammar, reduced to the few node kinds the portal looks at.

The nodes are JSON lists, so that a validation rule can be stored with the module version and evaluated by the web
process without parsing anything again (building the parser takes a second, evaluating takes microseconds):

    ["lit", value]                 number, string, true, false, null
    ["template", [node, ...]]      a string with ${...} in it
    ["name", name]                 a variable of a `for`, or the root of a traversal such as `var`
    ["attr", node, name]           node.name
    ["index", node, node]          node[key]
    ["splat", node, [name, ...]]   node[*].name
    ["tuple", [node, ...]]         [a, b]
    ["object", [[node, node] ...]] {a = b}
    ["call", name, [node, ...], expand]
    ["unary", op, node]  ["binary", op, node, node]  ["if", condition, then, else]
    ["for", key name or null, value name, collection, result key or null, result, condition or null, grouped]
    ["unsupported", what]          parsed, but outside of what the portal evaluates
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Node = list[Any]

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_HEREDOC = re.compile(r"<<-?(?P<mark>[A-Za-z][\w.-]*)\r?\n(?P<body>.*?)^[ \t]*(?P=mark)\s*\Z", re.DOTALL | re.MULTILINE)


class HclSyntaxError(Exception):
    """The text is not HCL (or not the part of it that python-hcl2 reads); `line` and `column` count from 1."""

    def __init__(self, message: str, line: int | None, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True)
class Attribute:
    """`name = expression`, with the expression as written and as a node."""

    name: str
    node: Node
    text: str
    line: int


@dataclass(frozen=True)
class Block:
    """`kind "label" { ... }`."""

    kind: str
    labels: tuple[str, ...]
    attributes: dict[str, Attribute]
    blocks: tuple["Block", ...]
    line: int

    def named(self, kind: str) -> Iterator["Block"]:
        return (block for block in self.blocks if block.kind == kind)


def hcl_parse(text: str) -> Block:
    """The body of a .tf file as a block without a name. Raises `HclSyntaxError`."""
    # Imported here: the grammar costs memory and time that only a registration needs.
    import hcl2
    from lark.exceptions import LarkError, UnexpectedInput

    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        tree = hcl2.parses_to_tree(text)
        return _body(tree.children[0], text, "", (), 1)
    except UnexpectedInput as error:
        raise HclSyntaxError(
            "this is not valid Terraform", *(_counted(getattr(error, name, None)) for name in ("line", "column"))
        ) from None
    except (LarkError, RecursionError, ValueError) as error:
        raise HclSyntaxError(f"this could not be read ({type(error).__name__})", None) from None


def expression_parse(text: str) -> Node:
    """One expression as a node. Raises `HclSyntaxError`, with the place in `text`."""
    before = "expression = "
    try:
        body = hcl_parse(f"{before}{text}\n")
    except HclSyntaxError as error:
        shifted = error.column is not None and error.line == 1
        column = max(1, (error.column or 0) - len(before)) if shifted else error.column
        raise HclSyntaxError(str(error), error.line, column) from None
    if len(body.attributes) != 1 or body.blocks:
        raise HclSyntaxError("this is more than one value", None)
    return body.attributes["expression"].node


def _counted(place: Any) -> int | None:
    return place if isinstance(place, int) and place > 0 else None


def _body(tree: Any, text: str, kind: str, labels: tuple[str, ...], line: int) -> Block:
    attributes: dict[str, Attribute] = {}
    blocks: list[Block] = []
    for child in tree.children:
        rule = _rule(child)
        if rule == "attribute":
            name, expression = _word(child.children[0]), child.children[-1]
            source = text[expression.meta.start_pos : expression.meta.end_pos].strip()
            attributes[name] = Attribute(name, _node(expression), source, child.meta.line)
        elif rule == "block":
            words = [
                part for part in child.children if _rule(part) in {"identifier", "keyword", "literal_value", "string"}
            ]
            body = next(part for part in child.children if _rule(part) == "body")
            names = tuple(_string_text(word) if _rule(word) == "string" else _word(word) for word in words)
            blocks.append(_body(body, text, names[0], names[1:], child.meta.line))
    return Block(kind, labels, attributes, tuple(blocks), line)


def _rule(child: Any) -> str:
    """The grammar rule of a subtree, or "" for a token."""
    return str(getattr(child, "data", ""))


def _word(tree: Any) -> str:
    return str(tree.children[0])


def _trees(tree: Any) -> list[Any]:
    """The subtrees that carry meaning: no tokens, no comments."""
    return [child for child in tree.children if _rule(child) and _rule(child) != "new_line_or_comment"]


def _node(tree: Any) -> Node:
    rule = _rule(tree)
    handler = _HANDLERS.get(rule)
    if handler is not None:
        return handler(tree)
    return ["unsupported", rule]


def _single(tree: Any) -> Node:
    return _node(_trees(tree)[0])


def _number(tree: Any) -> Node:
    text = _word(tree)
    return ["lit", int(text) if re.fullmatch(r"-?\d+", text) else float(text)]


def _literal(tree: Any) -> Node:
    return ["lit", {"true": True, "false": False, "null": None}[_word(tree)]]


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] in "uU":
            return chr(int(code[1:], 16))
        return _ESCAPES.get(code, match.group(0))

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", one, text, flags=re.DOTALL)


def _string(tree: Any) -> Node:
    parts: list[Node] = []
    for part in tree.children:
        if _rule(part) != "string_part":
            continue
        inner = part.children[0]
        if _rule(inner) == "interpolation":
            parts.append(_single(inner))
        elif _rule(inner):
            return ["unsupported", "template directive"]
        elif inner.type in {"ESCAPED_INTERPOLATION", "ESCAPED_DIRECTIVE"}:
            parts.append(["lit", str(inner)[1:]])
        else:
            parts.append(["lit", _unescape(str(inner))])
    return _template(parts)


def _template(parts: list[Node]) -> Node:
    if all(part[0] == "lit" and isinstance(part[1], str) for part in parts):
        return ["lit", "".join(part[1] for part in parts)]
    return ["template", parts]


def _string_text(tree: Any) -> str:
    node = _string(tree)
    return str(node[1]) if node[0] == "lit" else ""


def _heredoc(tree: Any) -> Node:
    raw = _word(tree)
    match = _HEREDOC.match(raw)
    if match is None or "${" in match["body"].replace("$${", "") or "%{" in match["body"].replace("%%{", ""):
        return ["unsupported", "heredoc template"]
    lines = match["body"].splitlines(keepends=True)
    if raw.startswith("<<-"):
        indents = [len(line) - len(line.lstrip(" ")) for line in lines if line.strip()]
        lines = [line[min(indents, default=0) :] if line.strip() else line.lstrip(" ") for line in lines]
    return ["lit", "".join(lines).replace("$${", "${").replace("%%{", "%{")]


def _object(tree: Any) -> Node:
    items = []
    for element in _trees(tree):
        key_tree, value_tree = _trees(element)
        key = _trees(key_tree)[0]
        # A bare word as key is that word; in parentheses it is a reference.
        name = _bare_word(key)
        items.append([["lit", name] if name is not None else _node(key), _node(value_tree)])
    return ["object", items]


def _bare_word(tree: Any) -> str | None:
    if _rule(tree) == "keyword":
        return _word(tree)
    if (
        _rule(tree) == "expr_term"
        and len(tree.children) == 1
        and _rule(tree.children[0]) in {"identifier", "literal_value"}
    ):
        return _word(tree.children[0])
    return None


def _call(tree: Any) -> Node:
    parts = _trees(tree)
    names = [_word(part) for part in parts if _rule(part) == "identifier"]
    arguments = next((part for part in parts if _rule(part) == "arguments"), None)
    nodes = [_node(part) for part in _trees(arguments)] if arguments is not None else []
    expand = arguments is not None and any(str(part) == "..." for part in arguments.children if not _rule(part))
    return ["call", "::".join(names), nodes, expand]


def _access(tree: Any) -> Node:
    base, step = _trees(tree)
    return _step(_node(base), step)


def _step(node: Node, step: Any) -> Node:
    rule = _rule(step)
    if rule == "get_attr":
        return ["attr", node, _word(_trees(step)[0])]
    if rule == "braces_index":
        return ["index", node, _single(step)]
    if rule == "short_index":
        return ["index", node, ["lit", int(str(step.children[-1]))]]
    return ["unsupported", rule]


def _splat(tree: Any) -> Node:
    base, splat = _trees(tree)
    names = []
    for step in _trees(splat):
        if _rule(step) != "get_attr":
            return ["unsupported", "splat with an index"]
        names.append(_word(_trees(step)[0]))
    return ["splat", _node(base), names]


def _unary(tree: Any) -> Node:
    return ["unary", str(tree.children[0]), _single(tree)]


def _binary(tree: Any) -> Node:
    left, term = _trees(tree)
    operator, right = _trees(term)
    return ["binary", _word(operator), _node(left), _node(right)]


def _conditional(tree: Any) -> Node:
    return ["if", *(_node(part) for part in _trees(tree))]


def _for(tree: Any) -> Node:
    parts = _trees(tree)
    condition = next((_single(part) for part in parts if _rule(part) == "for_cond"), None)
    results = [_node(part) for part in parts if _rule(part) not in {"for_intro", "for_cond"}]
    *names, collection = _trees(parts[0])
    words = [_word(name) for name in names]
    grouped = any(str(child) == "..." for child in tree.children if not _rule(child))
    key_result = results[0] if len(results) == 2 else None
    return [
        "for",
        words[0] if len(words) == 2 else None,
        words[-1],
        _node(collection),
        key_result,
        results[-1],
        condition,
        grouped,
    ]


_HANDLERS = {
    "expr_term": _single,
    "interpolation": _single,
    "identifier": lambda tree: ["name", _word(tree)],
    "int_lit": _number,
    "float_lit": _number,
    "literal_value": _literal,
    "string": _string,
    "heredoc_template": _heredoc,
    "heredoc_template_trim": _heredoc,
    "tuple": lambda tree: ["tuple", [_node(part) for part in _trees(tree)]],
    "object": _object,
    "function_call": _call,
    "index_expr_term": _access,
    "get_attr_expr_term": _access,
    "attr_splat_expr_term": _splat,
    "full_splat_expr_term": _splat,
    "unary_op": _unary,
    "binary_op": _binary,
    "conditional": _conditional,
    "for_tuple_expr": _for,
    "for_object_expr": _for,
}
