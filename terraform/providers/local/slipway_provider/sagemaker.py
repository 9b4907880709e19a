"""slipway_sagemaker_power: whether a SageMaker notebook instance runs, which the AWS provider does not manage."""

import time
from typing import Any, ClassVar

from tf.schema import Attribute, Schema
from tf.types import Bool, Number, String, Unknown

from slipway_provider.aws import AwsClient, AwsError

State = dict[str, Any]

WAIT_S = 900
# AWS throttles those who ask often; starting takes minutes there.
POLLS_S = (0.5, 1, 2, 4, 8, 10)
ON_THE_WAY = ("Pending", "Stopping", "Updating", "Deleting")
RUNS = ("InService", "Pending", "Updating")


class NotebookGone(AwsError):
    """No notebook instance has this name."""


class SageMakerPower:
    """Starts or stops a notebook instance that something else creates, and waits until it is so.

    Destroying it leaves the notebook as it is: the AWS provider stops what it deletes by itself.
    """

    ATTRIBUTES: ClassVar[list[Attribute]] = [
        Attribute("id", String(), "`<region>/<notebook>`", computed=True),
        Attribute("notebook", String(), "Name of the notebook instance", required=True, requires_replace=True),
        Attribute("region", String(), "Its region (else AWS_REGION)", optional=True, requires_replace=True),
        Attribute("running", Bool(), "Whether it should run", required=True),
        Attribute("timeout_s", Number(), "Seconds that starting or stopping may take; 900 unless given", optional=True),
        Attribute("status", String(), "SageMaker's word, such as InService or Stopped", computed=True),
    ]

    def __init__(self, provider: Any) -> None:
        self.provider = provider

    @classmethod
    def get_name(cls) -> str:
        return "sagemaker_power"

    @classmethod
    def get_schema(cls) -> Schema:
        description = "Whether a SageMaker notebook instance runs."
        return Schema(attributes=list(cls.ATTRIBUTES), version=1, description=description)

    def validate(self, diags: Any, type_name: str, config: State) -> None:
        timeout = config.get("timeout_s")
        if isinstance(timeout, int | float) and not 1 <= timeout <= 7200:
            diags.add_error("timeout_s must be between 1 and 7200", path=["timeout_s"])

    def plan(self, ctx: Any, current: State | None, planned: State) -> State:
        if ctx.changed_fields:
            planned["status"] = Unknown
        return planned

    def create(self, ctx: Any, planned: State) -> State | None:
        # A notebook that would not start is tainted by the error; one that is not there leaves nothing to remember.
        return self._bring(ctx, planned)

    def update(self, ctx: Any, current: State, planned: State) -> State | None:
        return self._bring(ctx, planned) or current

    def read(self, ctx: Any, current: State) -> State | None:
        """One that was stopped behind Terraform's back is drift in `running`, so that the next apply starts it."""
        try:
            return self._observed(current, _Notebook(current).describe())
        except NotebookGone:
            return None
        except AwsError as error:
            ctx.diagnostics.add_error(f"SageMaker notebook {current.get('notebook')}: {error.title}", str(error))
            return current

    def delete(self, ctx: Any, current: State) -> State | None:
        return None

    def import_(self, ctx: Any, id: str) -> State | None:
        """`terraform import slipway_sagemaker_power.this us-east-1/name`, or the name alone."""
        region, _, name = id.rpartition("/")
        wanted: State = {"notebook": name, "region": region or None}
        try:
            return self._observed(wanted, _Notebook(wanted).describe())
        except AwsError as error:
            ctx.diagnostics.add_error(f"SageMaker notebook {name}: {error.title}", str(error))
            return None

    def upgrade(self, ctx: Any, version: int, old: State) -> State:
        return {attribute.name: old.get(attribute.name) for attribute in self.ATTRIBUTES}

    def _bring(self, ctx: Any, planned: State) -> State | None:
        """The state it ended in, also where it is not the one asked for; None where there is no such notebook."""
        running = planned.get("running") is not False
        notebook: _Notebook | None = None
        try:
            notebook = _Notebook(planned)
            return self._observed(planned, notebook.bring(running))
        except AwsError as error:
            what = "start" if running else "stop"
            ctx.diagnostics.add_error(
                f"SageMaker notebook {planned.get('notebook')} could not {what}: {error.title}", str(error)
            )
        try:
            return self._observed(planned, notebook.describe()) if notebook else None
        except AwsError:
            return None

    def _observed(self, wanted: State, told: State) -> State:
        status = str(told.get("NotebookInstanceStatus", ""))
        name, region = wanted["notebook"], wanted.get("region")
        return {
            "id": f"{_Notebook.region_in(told) or region}/{name}",
            "notebook": name,
            "region": region,
            "running": status in RUNS,
            "timeout_s": wanted.get("timeout_s"),
            "status": status,
        }


class _Notebook:
    """One notebook instance in AWS."""

    def __init__(self, wanted: State) -> None:
        self.name = str(wanted["notebook"])
        self.timeout_s = float(wanted.get("timeout_s") or WAIT_S)
        self.client = AwsClient("sagemaker", wanted.get("region"))

    @staticmethod
    def region_in(told: State) -> str:
        parts = str(told.get("NotebookInstanceArn", "")).split(":")
        return parts[3] if len(parts) > 3 else ""

    def describe(self) -> State:
        try:
            return self.client("describe_notebook_instance", NotebookInstanceName=self.name)
        except AwsError as error:
            if error.code == "ValidationException" and "RecordNotFound" in str(error):
                raise NotebookGone(
                    "There is no such notebook instance", f"{self.name} is not in {self.client.region}."
                ) from None
            raise

    def bring(self, running: bool) -> State:
        """Running or stopped, once it is; on its way elsewhere it gets there first."""
        deadline = time.monotonic() + self.timeout_s
        told = self._settled(deadline)
        wanted = "InService" if running else "Stopped"
        if told["NotebookInstanceStatus"] != wanted:
            operation = "start_notebook_instance" if running else "stop_notebook_instance"
            self.client(operation, NotebookInstanceName=self.name)
            told = self._settled(deadline)
        if told["NotebookInstanceStatus"] != wanted:
            reason = told.get("FailureReason") or "AWS gives no reason."
            raise AwsError(f"it is {told['NotebookInstanceStatus']}", str(reason))
        return told

    def _settled(self, deadline: float) -> State:
        """What it is once it is not on its way any more."""
        polls = list(POLLS_S)
        while True:
            told = self.describe()
            status = told["NotebookInstanceStatus"]
            if status not in ON_THE_WAY:
                return told
            pause = polls.pop(0) if len(polls) > 1 else polls[0]
            if time.monotonic() + pause > deadline:
                raise AwsError(
                    f"it is still {status} after {self.timeout_s:.0f} s", "It may still get there: try again."
                )
            time.sleep(pause)
