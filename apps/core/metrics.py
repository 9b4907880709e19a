"""Figures for Prometheus. Apps register gauges whose values are read from the database when they are asked for.

Request counts are of this process; gauges are the same whichever process answers.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector

log = logging.getLogger(__name__)

# Pairs of label values and the figure.
Samples = Iterable[tuple[tuple[str, ...], float]]
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

registry = CollectorRegistry(auto_describe=False)
ProcessCollector(namespace="slipway", registry=registry)
requests_total = Counter(
    "slipway_http_requests", "Requests answered, by method and status.", ["method", "status"], registry=registry
)
request_seconds = Histogram(
    "slipway_http_request_seconds",
    "Time to answer.",
    ["method"],
    registry=registry,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


@dataclass(frozen=True)
class Gauge:
    name: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[], Samples]


_gauges: dict[str, Gauge] = {}


def register_gauge(name: str, help: str, read: Callable[[], Samples], *, labels: tuple[str, ...] = ()) -> None:
    """Add the gauge `slipway_<name>`; `read` returns a figure for each combination of label values."""
    _gauges[name] = Gauge(name, help, labels, read)


class _Registered:
    """Collects what apps registered; a gauge that cannot be read is left out, the others are shown."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for gauge in _gauges.values():
            family = GaugeMetricFamily(f"slipway_{gauge.name}", gauge.help, labels=gauge.labels)
            try:
                for values, figure in gauge.read():
                    family.add_metric(values, figure)
            except Exception:
                log.exception("the gauge %s cannot be read", gauge.name)
                continue
            yield family


registry.register(_Registered())  # type: ignore[arg-type]


def request_observe(method: str, status: int, seconds: float) -> None:
    method = method if method in METHODS else "other"
    requests_total.labels(method, str(status)).inc()
    request_seconds.labels(method).observe(seconds)


def metrics_text() -> bytes:
    return generate_latest(registry)
