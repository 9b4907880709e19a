from apps.core.exceptions import Conflict


class ModuleVersionTaken(Conflict):
    code = "catalog:version-taken"
    title = "This version is already published"
