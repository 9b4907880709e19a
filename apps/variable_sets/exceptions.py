from apps.core.exceptions import Conflict, InvalidInput


class VariableSetInvalid(InvalidInput):
    code = "variable_sets:invalid"
    title = "The variable set needs another value"


class VariableInvalid(InvalidInput):
    code = "variable_sets:variable-invalid"
    title = "The variable needs another value"


class VariableTaken(Conflict):
    code = "variable_sets:variable-taken"
    title = "Something gives this name already"
