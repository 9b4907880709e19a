from apps.core.exceptions import Conflict, InvalidInput, NotAllowed


class ChangeActive(Conflict):
    code = "provisioning:change-active"
    title = "Another change is still going on; wait for it or cancel it"


class PlanOutOfDate(Conflict):
    code = "provisioning:plan-stale"
    title = "The plan has changed since it was shown; look at the new one"


class ConfirmationMissing(InvalidInput):
    code = "provisioning:confirm-name"
    title = "Type the name of the environment: this change would lose what it holds"


class ChangeNotCancellable(Conflict):
    code = "provisioning:not-cancellable"
    title = "This change has already ended"


class ChangeNotWaiting(Conflict):
    code = "provisioning:not-waiting"
    title = "This change does not wait for a decision any more"


class KillNotAllowed(NotAllowed):
    code = "provisioning:kill-not-allowed"
    title = "Only a platform engineer can end Terraform by force, and only after a cancel that was not heeded"


class LeaseLost(Exception):
    """Another agent holds this machine now; whoever sees this must stop writing and end."""
