"""Policies to begin with, offered where there are none yet. Each is tested against a plan that it is about."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    slug: str
    title: str
    about: str
    rego: str


EXAMPLES = (
    Example(
        slug="no-public-buckets",
        title="No public S3 bucket",
        about="Denies a bucket that everybody could read, by its access list or by a public access block left open.",
        rego="""package slipway

open_lists := {"public-read", "public-read-write", "authenticated-read"}

deny contains {
	"rule": "public-bucket",
	"msg": sprintf("%s could be read by everybody.", [change.address]),
	"cure": "Leave its access list private and share single objects by a signed address.",
	"address": change.address,
} if {
	some change in input.plan.resource_changes
	change.type in {"aws_s3_bucket", "aws_s3_bucket_acl"}
	change.change.after.acl in open_lists
}

deny contains {
	"rule": "public-access-block",
	"msg": sprintf("%s lets a bucket be made public.", [change.address]),
	"cure": "Set all four settings of the public access block to true.",
	"address": change.address,
} if {
	some change in input.plan.resource_changes
	change.type == "aws_s3_bucket_public_access_block"
	some setting in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]
	change.change.after[setting] == false
}
""",
    ),
    Example(
        slug="large-memory",
        title="Memory above 64 GB only for one team",
        about="Denies a size above 64 GB to everybody but the team named in it, and warns that team above 128 GB.",
        rego="""package slipway

large_teams := {"research"}

deny contains {
	"rule": "large-memory",
	"msg": sprintf("%v GB of memory is more than the 64 GB your team may use.", [input.request.inputs.memory_gb]),
	"cure": "Choose a size of 64 GB or less, or ask the platform team.",
} if {
	input.request.inputs.memory_gb > 64
	not input.request.team in large_teams
}

warn contains {
	"rule": "very-large-memory",
	"msg": sprintf("%v GB of memory is expensive.", [input.request.inputs.memory_gb]),
	"cure": "Stop it when you do not need it.",
} if {
	input.request.inputs.memory_gb > 128
	input.request.team in large_teams
}
""",
    ),
    Example(
        slug="required-tags",
        title="Required tags",
        about="Denies a resource that can be tagged and does not say its team and its cost centre.",
        rego="""package slipway

required := {"team", "cost_centre"}

deny contains {
	"rule": "required-tags",
	"msg": sprintf("%s has no tag “%s”.", [change.address, tag]),
	"cure": "Fill in the team and the cost centre in the settings.",
	"address": change.address,
} if {
	some change in input.plan.resource_changes
	some action in change.change.actions
	action in {"create", "update"}
	some name, _ in change.change.after
	name in {"tags", "tags_all"}
	some tag in required
	not has_tag(change.change.after, tag)
}

has_tag(after, tag) if after.tags[tag] != ""

has_tag(after, tag) if after.tags_all[tag] != ""
""",
    ),
)


def example(slug: str) -> Example | None:
    return next((one for one in EXAMPLES if one.slug == slug), None)
