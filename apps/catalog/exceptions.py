from apps.core.exceptions import Conflict


class ModuleVersionTaken(Conflict):
    code = "catalog:version-taken"
    title = "This version is already published"


class ModuleArchiveBroken(Exception):
    """A stored version holds something that publishing never puts there."""
