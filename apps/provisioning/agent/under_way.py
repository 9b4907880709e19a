"""Which resources an apply works on at this moment, by its log."""

from collections.abc import Iterable, Mapping

from apps.provisioning.terraform_log import LogEntry


class UnderWay:
    """Addresses of resources that were begun and have not ended, oldest first."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def follow(self, entries: Iterable[LogEntry]) -> int:
        """Takes new lines of the log; returns how many resources they finished."""
        finished = 0
        for entry in entries:
            if entry.hook == "apply_start":
                self.addresses.append(entry.resource)
            elif entry.hook in ("apply_complete", "apply_errored") and entry.resource in self.addresses:
                self.addresses.remove(entry.resource)
            finished += entry.hook == "apply_complete"
        return finished

    def newest(self, labels: Mapping[str, str]) -> str:
        """What people read of the one begun last; empty between two."""
        if not self.addresses:
            return ""
        address = self.addresses[-1]
        return labels.get(address.partition("[")[0], address)
