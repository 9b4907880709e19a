"""How much of a change's build log is kept: enough to find a mistake, never so much that nobody can open the page."""

from apps.provisioning.models import Change, LogLine
from apps.provisioning.terraform_log import LogEntry

MOST_LINES = 20_000
MOST_ERRORS = 500
# Of one message, which may be a whole file.
LINES_OF_MESSAGE = 200
LEFT_OUT = f"This log is longer than {MOST_LINES:,} lines: what follows is left out, errors excepted."


class LogBudget:
    """Lines that a change may still store; counted on from what an agent before this one has stored."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self.stored: int | None = None
        self.errors = 0

    def texts(self, entry: LogEntry) -> list[str]:
        lines = entry.message.splitlines() or [""]
        if len(lines) <= LINES_OF_MESSAGE:
            return lines
        return [*lines[:LINES_OF_MESSAGE], f"… ({len(lines) - LINES_OF_MESSAGE:,} more lines of this message)"]

    def admit(self, level: str) -> str | None:
        """ "" for a line that is stored, None for one that is not, a text for what is stored in its place."""
        if self.stored is None:
            self.stored = LogLine.objects.filter(change=self.change, stream=LogLine.Stream.BUILD).count()
        self.stored += 1
        if self.stored <= MOST_LINES:
            return ""
        if self.stored == MOST_LINES + 1:
            return LEFT_OUT
        if level == "error" and self.errors < MOST_ERRORS:
            self.errors += 1
            return ""
        return None
