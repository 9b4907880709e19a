from apps.core.exceptions import Conflict, InvalidInput, UserError


class LastManager(Conflict):
    code = "accounts:last-manager"
    title = "A team keeps at least one manager"


class AlreadyMember(Conflict):
    code = "accounts:already-member"
    title = "This person is in the team already"


class PersonUnknown(InvalidInput):
    code = "accounts:person-unknown"
    title = "Nobody has this username or e-mail address"


class AccountInvalid(InvalidInput):
    code = "accounts:invalid"
    title = "Some fields need another value"


class PasswordWrong(InvalidInput):
    code = "accounts:password-wrong"
    title = "The current password is another one"


class TokenLimit(UserError):
    code = "accounts:token-limit"
    status = 409
    title = "You have as many tokens as a person may have; revoke one first"
