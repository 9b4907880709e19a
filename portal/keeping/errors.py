"""What backup and restore tell people; anything else that is raised is a bug."""


class KeepingError(Exception):
    """A backup or a restore cannot be made; the text says why and what to do, and that nothing was changed."""


class ArchiveRefused(KeepingError):
    """An archive that is damaged, newer than this Slipway, or none at all."""
