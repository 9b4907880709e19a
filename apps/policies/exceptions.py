from apps.core.exceptions import Conflict, InvalidInput


class PolicyInvalid(InvalidInput):
    code = "policies:invalid"
    title = "The policy cannot be stored as it is"


class InputPolicyInvalid(InvalidInput):
    code = "policies:input-policy-invalid"
    title = "The input policy cannot be stored as it is"


class PolicyChanged(Conflict):
    code = "policies:changed"
    title = "Somebody else has changed this policy meanwhile"
