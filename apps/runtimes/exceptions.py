from apps.core.exceptions import Conflict, InvalidInput


class RuntimeInvalid(InvalidInput):
    code = "runtimes:invalid"
    title = "The Python environment cannot be made like this"


class RuntimeTaken(Conflict):
    code = "runtimes:taken"
    title = "A Python environment of this name is there already"


class RuntimeUnchanged(Conflict):
    code = "runtimes:unchanged"
    title = "Nothing differs from the newest version"


class RuntimeWrongStatus(Conflict):
    code = "runtimes:wrong-status"
    title = "This is not possible now"


class RuntimeBusy(Conflict):
    code = "runtimes:busy"
    title = "A version is being made just now"
