import pytest

from apps.environments.failure_words import BY_CODE
from apps.provisioning.failures import OF_MACHINE, RULES, failure_code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "Volume home: no\nThe repository could not be cloned.\n\nCode: machine:clone-failed",
            "provisioning:repository",
        ),
        (
            "Volume home: no\nThe repository x has no revision v9.\n\nCode: machine:revision-not-found",
            "provisioning:revision",
        ),
        ("Service app: no\n\nCode: machine:service-ended", "provisioning:early-exit"),
        ("write terraform.tfstate: no space left on device", "provisioning:disk-full"),
        ("Error: Saved plan is stale", "provisioning:plan-stale"),
        (
            "Request cancelled\nThe plugin6.(*GRPCProvider).ApplyResourceChange request was cancelled.",
            "provisioning:terraform-lost",
        ),
        (
            "Resource precondition failed\nThe platform has not said which role, KMS key, subnet …",
            "provisioning:cloud-platform",
        ),
        (
            "No valid credential sources found\nError: failed to refresh cached credentials",
            "provisioning:cloud-credentials",
        ),
        ("SageMaker notebook nb could not stop: There are no AWS credentials", "provisioning:cloud-credentials"),
        ("api error AccessDeniedException: User: arn:… is not authorized to perform", "provisioning:cloud-denied"),
        (
            "api error ValidationException: Cannot create a duplicate Notebook Instance (arn:aws:…)",
            "provisioning:cloud-exists",
        ),
        ("ResourceLimitExceeded: The account-level service limit 'ml.p3 …' is 0", "provisioning:cloud-quota"),
        ("AWS could not be asked for sagemaker\nconnection refused", "provisioning:cloud-unreachable"),
        ("The machine agent cannot be reached\nconnection refused", "provisioning:agent-unreachable"),
        ("Something nobody has seen before", "provisioning:terraform"),
        ("A log line that says Code: machine:clone-failed in its middle", "provisioning:terraform"),
    ],
)
def test_a_failure_has_a_stable_code(text: str, code: str) -> None:
    assert failure_code(text) == code


def test_terraform_that_was_killed_says_nothing() -> None:
    assert failure_code("", exit_code=137) == "provisioning:terraform-lost"
    assert failure_code("", exit_code=1) == "provisioning:terraform"


def test_there_are_words_for_every_code() -> None:
    assert {*OF_MACHINE.values(), *(rule.code for rule in RULES)} <= set(BY_CODE)
