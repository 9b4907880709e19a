"""How many GPUs are free: what agents saw when they last renewed the lease of their machine."""

from dataclasses import dataclass

from django.db.models.functions import Now

from apps.provisioning.models import Machine


@dataclass(frozen=True)
class GpusCounted:
    """`most_free` is what one environment can get: devices of two machines are never joined."""

    free: int
    total: int
    most_free: int
    names: tuple[str, ...]

    @property
    def words(self) -> str:
        if not self.total:
            return "This machine has no GPU."
        kinds = f" ({', '.join(self.names)})" if self.names else ""
        if not self.free:
            return f"No GPU is free now: all {self.total} are in use{kinds}."
        return f"{self.free} of {self.total} {'is' if self.free == 1 else 'are'} free now{kinds}."


def gpus_counted() -> GpusCounted:
    """Of the machines whose agents answer."""
    free, total, most, names = 0, 0, 0, set()
    for rows in Machine.objects.filter(expires_at__gt=Now()).values_list("gpus", flat=True):
        unused = sum(1 for row in rows if not row.get("workspace"))
        free, total, most = free + unused, total + len(rows), max(most, unused)
        names |= {str(row.get("name", "")) for row in rows}
    return GpusCounted(free, total, most, tuple(sorted(names - {""}))[:3])
