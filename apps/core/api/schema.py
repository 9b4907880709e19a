"""What the generated OpenAPI document cannot see: every operation may answer with a problem document."""

from typing import Any

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `errors` names the fields that need another value.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "code": {"type": "string", "pattern": "^[a-z_]+:[a-z-]+$"},
        "correlation_id": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    },
}
ANSWER = {
    "description": "Refused: 400, 401, 403, 404, 405, 409, 413, 415, 422 or 429, with the reason.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 200 visible ASCII characters; the same key is carried out once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[\\x21-\\x7e]+$"},
}
METHODS = frozenset({"get", "post", "put", "patch", "delete"})


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A drf-spectacular postprocessing hook."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    for operations in result["paths"].values():
        for method, operation in operations.items():
            if method not in METHODS:
                continue
            operation["responses"] = {
                status: ANSWER | {"description": answer.get("description") or ANSWER["description"]}
                if status.startswith(("4", "5"))
                else answer
                for status, answer in operation["responses"].items()
            }
            operation["responses"]["default"] = ANSWER
            if method != "get":
                operation["parameters"] = [*operation.get("parameters", []), KEY]
    return result
