AUDIT_WORDS = {
    "variable_sets:variable-set:created": "made the variable set",
    "variable_sets:variable-set:changed": "changed the variable set",
    "variable_sets:variable-set:deleted": "deleted the variable set",
    "variable_sets:variable:set": "set the variable",
    "variable_sets:variable:replaced": "set a new value of",
    "variable_sets:variable:changed": "changed what is around",
    "variable_sets:variable:deleted": "deleted the variable",
}
