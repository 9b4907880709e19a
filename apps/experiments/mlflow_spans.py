"""Spans that come over OpenTelemetry's protocol, read the way MLflow reads them.

What is handed on is written anew from what was understood, so that MLflow cannot see another trace in the same bytes.
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import base64
import json
import zlib
from collections.abc import Iterator
from typing import Any

from apps.experiments.mlflow_rules import HIDDEN_TRACE_TAGS, Kind, NotUnderstood, Reference

PROTOBUF = "application/x-protobuf"
SPANS_BYTES = 64 * 1024 * 1024  # unpacked
_TAG_PREFIX = "mlflow.traceTag."
_HEX_IDS = ("traceId", "spanId", "parentSpanId")


def spans_read(body: bytes, *, content_type: str, content_encoding: str) -> tuple[bytes, frozenset[Reference]]:
    """The request as plain protobuf, and the traces it writes to. Megabytes take a while: not in the event loop."""
    # Comes with MLflow; takes a tenth of a second to import, which only those who log spans wait for.
    from google.protobuf import json_format  # type: ignore[import-untyped]
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    plain = _unpacked(body, content_encoding.strip().lower())
    request = ExportTraceServiceRequest()
    try:
        if content_type.partition(";")[0].strip() == "application/json":
            json_format.Parse(_with_base64_ids(plain), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(plain)
    except (DecodeError, json_format.Error, ValueError, TypeError, AttributeError, RecursionError):
        raise NotUnderstood("The body holds no spans that can be read") from None
    found = set()
    for span in _spans(request):
        found.add(Reference(Kind.TRACE, f"tr-{int.from_bytes(span.trace_id, 'big'):032x}"))
        kept = [attribute for attribute in span.attributes if not _is_hidden(attribute.key)]
        if len(kept) < len(span.attributes):
            del span.attributes[:]
            span.attributes.extend(kept)
    return request.SerializeToString(), frozenset(found)


def _spans(request: Any) -> Iterator[Any]:
    return (span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans)


def _is_hidden(key: str) -> bool:
    return key.startswith(_TAG_PREFIX) and key.removeprefix(_TAG_PREFIX) in HIDDEN_TRACE_TAGS


def _unpacked(body: bytes, encoding: str) -> bytes:
    if not encoding:
        return body
    windows = {"gzip": (zlib.MAX_WBITS | 16,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}.get(encoding, ())
    for window in windows:
        unpacker = zlib.decompressobj(window)
        try:
            plain = unpacker.decompress(body, SPANS_BYTES)
        except zlib.error:
            continue
        if unpacker.unconsumed_tail:
            raise NotUnderstood(f"The spans are more than {SPANS_BYTES // 2**20} MB")
        return plain
    raise NotUnderstood("The spans cannot be unpacked: gzip and deflate are understood")


def _with_base64_ids(body: bytes) -> str:
    """OpenTelemetry writes ids as hexadecimal in JSON, protobuf reads bytes as base64."""
    data = json.loads(body)
    for resource in data.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                for name in _HEX_IDS:
                    if value := span.get(name):
                        span[name] = base64.b64encode(bytes.fromhex(value)).decode("ascii")
    return json.dumps(data)
