"""Why a change failed, in words of somebody who wanted a notebook: what happened, what was lost, what to do.

Terraform's own diagnostic stays in the change and is folded below these words.
"""

from dataclasses import dataclass

from apps.provisioning.models import Change


@dataclass(frozen=True)
class FailureWords:
    """`what` is one sentence without a full stop's worth of jargon; `do` is the next step."""

    what: str
    do: str

    def __str__(self) -> str:
        return f"{self.what} {self.do}".strip()


BY_CODE: dict[str, FailureWords] = {
    "provisioning:disk-full": FailureWords(
        "The disk is full.",
        "What was finished is kept and your files are safe. Delete what you no longer need or raise the disk limit, "
        "then try again.",
    ),
    "provisioning:time-limit": FailureWords(
        "It took longer than a change may take, and was ended.",
        "What was finished is kept. Try again; if it happens twice, tell a platform engineer: the module hangs, or "
        "needs more minutes in its module.yaml.",
    ),
    "provisioning:stage-memory": FailureWords(
        "Terraform needed more memory than it may have, and was ended.",
        "What was finished is kept. Tell a platform engineer: the module builds something too large, or "
        "STAGE_MEMORY_MB is too small.",
    ),
    "provisioning:processes-limit": FailureWords(
        "The module started too many processes, and was ended.",
        "What was finished is kept. Tell a platform engineer: this is a fault of the module.",
    ),
    "provisioning:disk-limit": FailureWords(
        "The module wrote too much into its work folder, and was ended.",
        "What was finished is kept, the folder was cleared. Tell a platform engineer: this is a fault of the module, "
        "or STAGE_DISK_MB is too small.",
    ),
    "provisioning:plan-too-large": FailureWords(
        "The plan is too large to be looked through.",
        "Nothing was changed. Tell a platform engineer: the module puts too much into its resources.",
    ),
    "provisioning:state-too-large": FailureWords(
        "The state is too large to be kept safely.",
        "It is on this machine alone. Destroy the environment, and tell a platform engineer: the module puts too much "
        "into its resources.",
    ),
    "provisioning:key-lost": FailureWords(
        "A credential that Terraform needs cannot be read any more.",
        "Nothing was changed. Tell a platform engineer: an encryption key is missing, or the value has to be set anew.",
    ),
    "provisioning:repository": FailureWords(
        "The Git repository could not be cloned.",
        "Check that the address is right and that it can be read without a password, then try again.",
    ),
    "provisioning:revision": FailureWords(
        "The Git repository has no such revision.",
        "No files were lost. Give another commit, tag or branch in the settings and try again; a commit that no branch "
        "leads to any more may be gone from the server.",
    ),
    "provisioning:packages": FailureWords(
        "The Python packages could not be installed.",
        "This is a fault of the module or of the package server, not yours. Try again; if it happens twice, tell a "
        "platform engineer.",
    ),
    "provisioning:memory": FailureWords(
        "It ran out of memory while it started.", "Your files are safe. Choose a larger size."
    ),
    "provisioning:early-exit": FailureWords(
        "The application ended right after it was started.",
        "Your files are safe. The last lines of its log say why; try again, or look there first.",
    ),
    "provisioning:health-timeout": FailureWords(
        "The application started but did not answer in time.",
        "Your files are safe. Try again; a larger size or a longer start time-out may help.",
    ),
    "provisioning:port": FailureWords("The machine had no free port for it.", "Nothing was lost. Try again."),
    "provisioning:no-gpu": FailureWords(
        "There is no free GPU.", "Nothing was lost. Choose a CPU size in the settings, or try again later."
    ),
    "provisioning:agent-unreachable": FailureWords(
        "The machine's agent did not answer.", "Nothing was lost. Try again in a minute."
    ),
    "provisioning:invalid-input": FailureWords(
        "A setting has a value that the module does not take.", "Nothing was lost. Change the settings and try again."
    ),
    "provisioning:provider-missing": FailureWords(
        "A part that the module needs is not installed on this machine.",
        "Nothing was lost. Tell a platform engineer.",
    ),
    "provisioning:import": FailureWords(
        "What was to be taken over could not be found or read.",
        "Nothing was changed, here or there. Look at the address and the id, and give the right ones.",
    ),
    "provisioning:plan-stale": FailureWords(
        "What was planned changed each time before it could be done.", "Nothing was lost. Try again."
    ),
    "provisioning:engine-mismatch": FailureWords(
        "The machine's Terraform has changed since this was planned.", "Nothing was lost. Try again."
    ),
    "provisioning:terraform-lost": FailureWords(
        "The machine was interrupted in the middle of it.", "What was finished is kept. Try again to continue."
    ),
    "provisioning:cloud-platform": FailureWords(
        "The platform team has not set this up for your team yet.",
        "Nothing was made. The diagnostic says which settings are missing; tell a platform engineer.",
    ),
    "provisioning:cloud-credentials": FailureWords(
        "The cloud did not take the platform's credentials, or there are none.",
        "What was finished is kept. Tell a platform engineer: the variable set for this target needs them.",
    ),
    "provisioning:cloud-denied": FailureWords(
        "The cloud does not permit Slipway to do this.",
        "What was finished is kept. Tell a platform engineer: the diagnostic names the permission.",
    ),
    "provisioning:cloud-exists": FailureWords(
        "Something of this name is in the cloud already, left by a launch that was interrupted.",
        "Terraform does not know it. A platform engineer can take it over or remove it: the diagnostic names it.",
    ),
    "provisioning:cloud-quota": FailureWords(
        "The cloud account has no more of these machines to give.",
        "What was finished is kept. Choose another size, or ask a platform engineer to have the quota raised.",
    ),
    "provisioning:cloud-capacity": FailureWords(
        "The cloud has no machine of this size free at the moment.",
        "What was finished is kept. Try again later, or choose another size.",
    ),
    "provisioning:cloud-unreachable": FailureWords(
        "The cloud did not answer.", "What was finished is kept. Try again in a minute."
    ),
    "provisioning:internal": FailureWords(
        "Something went wrong inside Slipway.", "What was finished is kept. Try again, and tell a platform engineer."
    ),
}
OTHERWISE = FailureWords(
    "Terraform reported an error.", "What was finished is kept. The diagnostic below says more; try again to continue."
)
CANCELLED = {
    Change.Kind.CREATE: FailureWords("The launch was cancelled.", "What was finished is kept. Try again to continue."),
    Change.Kind.START: FailureWords("The start was cancelled.", "Your files are safe."),
    Change.Kind.UPDATE: FailureWords("The change was cancelled midway.", "Your files are safe. Try again to continue."),
    Change.Kind.STOP: FailureWords("The stop was cancelled midway.", "Your files are safe. Try again to continue."),
    Change.Kind.DESTROY: FailureWords(
        "Destroying was cancelled midway.", "Part of it may be gone already. Try again to finish."
    ),
}


DENIED = "policies:denied"


def _refusal_words(change: Change) -> FailureWords:
    """Which rule said no, what it said and what to do: a refusal never stands without them."""
    denied = [one for one in change.findings if one["effect"] == "deny"]
    if not denied:
        return FailureWords(change.failure_summary or "A policy does not allow this.", "Nothing was changed.")
    first = denied[0]
    named = f"The policy “{first['policy']}”" + (f", rule “{first['rule']}”," if first["rule"] else "")
    is_broken = first["rule"] == "cannot-be-evaluated"
    what = first["message"] if is_broken else f"{named} does not allow this: {first['message']}"
    more = f" So do {len(denied) - 1} more." if len(denied) > 1 and not is_broken else ""
    return FailureWords(what[:300] + more, first["cure"][:180])


EFFECTS = {
    "deny": ("bad", "Denied"),
    "warn": ("warn", "Warning"),
    "require_approval": ("warn", "Would ask for approval"),
}


def findings_shown(change: Change) -> list[dict[str, str]]:
    """What policies said of its plan, with the word and tone of each effect."""
    found = []
    for one in change.findings:
        tone, word = EFFECTS.get(one["effect"], ("neutral", one["effect"]))
        found.append({**one, "tone": tone, "word": word})
    return found


def diagnostic_label(change: Change) -> str:
    """Whose words the details of its failure are."""
    return "What the policies said" if change.failure_code == DENIED else "What Terraform said"


def failure_words(change: Change) -> FailureWords:
    """The words for a change that failed or was cancelled on its way."""
    if change.status == Change.Status.CANCELLED:
        return CANCELLED.get(Change.Kind(change.kind), FailureWords("It was cancelled.", ""))
    if change.failure_code == DENIED:
        return _refusal_words(change)
    return BY_CODE.get(change.failure_code, OTHERWISE)
