"""An AWS account on this machine: moto's server, with the operations that moto 5.2 lacks and the modules need.

    python -m tests.aws.account PORT

What moto answers is moto's. Stands-in of ours, written after Amazon's API reference, are:

- SageMaker: UpdateNotebookInstance and UpdateNotebookInstanceLifecycleConfig; PlatformIdentifier and
  InstanceMetadataServiceConfiguration of a notebook; tags of a lifecycle configuration; the states Pending, Stopping
  and Updating, which last `SLOW_S` seconds (moto's notebooks are in service and stopped at once), and Amazon's refusal
  to start or stop what is in another state.
- EMR: PutManagedScalingPolicy, GetManagedScalingPolicy, RemoveManagedScalingPolicy, PutAutoTerminationPolicy,
  GetAutoTerminationPolicy, RemoveAutoTerminationPolicy and the AutoTerminationPolicy of RunJobFlow; ListInstanceFleets,
  which Amazon refuses for a cluster of instance groups.

Every request is written to standard output as "operation status", so that a test can say what was asked of AWS.
"""

import json
import sys
import time
from typing import Any

from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.emr.exceptions import InvalidRequestException
from moto.emr.responses import ElasticMapReduceResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import (
    FakeSagemakerNotebookInstance,
    FakeSageMakerNotebookInstanceLifecycleConfig,
    SageMakerModelBackend,
)
from moto.sagemaker.responses import SageMakerResponse

SLOW_S = 0.7


# SageMaker ------------------------------------------------------------------------------------------------------------

_backend_create = SageMakerModelBackend.create_notebook_instance
_from_arn = SageMakerModelBackend._get_resource_from_arn
_create_notebook = SageMakerResponse.create_notebook_instance
_create_lifecycle = SageMakerResponse.create_notebook_instance_lifecycle_config
_to_dict = FakeSagemakerNotebookInstance.to_dict
_lifecycle_shown = FakeSageMakerNotebookInstanceLifecycleConfig.response_object.fget


def _move(notebook: Any, through: str, to: str) -> None:
    notebook.status, notebook.moving_to, notebook.arrives_at = through, to, time.monotonic() + SLOW_S


def _arrive(notebook: Any) -> None:
    if getattr(notebook, "moving_to", "") and time.monotonic() >= notebook.arrives_at:
        notebook.status, notebook.moving_to = notebook.moving_to, ""


def _notebook_shown(notebook: Any) -> dict[str, Any]:
    _arrive(notebook)
    own = {
        "PlatformIdentifier": getattr(notebook, "platform_identifier", None),
        "InstanceMetadataServiceConfiguration": getattr(notebook, "metadata_service", None),
    }
    return {**_to_dict(notebook), **{name: value for name, value in own.items() if value}}


def _require(notebook: Any, wanted: str, to: str) -> None:
    _arrive(notebook)
    if notebook.status != wanted:
        raise ValidationError(
            message=f"Status ({notebook.status}) not in ([{wanted}]). Unable to transition to ({to}) for Notebook "
            f"Instance ({notebook.arn})"
        )


def _start(backend: Any, notebook_instance_name: str) -> None:
    notebook = backend.get_notebook_instance(notebook_instance_name)
    _require(notebook, "Stopped", "Pending")
    _move(notebook, "Pending", "InService")


def _stop(backend: Any, notebook_instance_name: str) -> None:
    notebook = backend.get_notebook_instance(notebook_instance_name)
    _require(notebook, "InService", "Stopping")
    _move(notebook, "Stopping", "Stopped")


def _notebook_create(response: Any) -> ActionResult:
    answer = _create_notebook(response)
    notebook = response.sagemaker_backend.get_notebook_instance(response._get_param("NotebookInstanceName"))
    notebook.platform_identifier = response._get_param("PlatformIdentifier")
    notebook.metadata_service = response._get_param("InstanceMetadataServiceConfiguration")
    _move(notebook, "Pending", "InService")
    return answer


CHANGED = {
    "InstanceType": "instance_type",
    "RoleArn": "role_arn",
    "LifecycleConfigName": "lifecycle_config_name",
    "VolumeSizeInGB": "volume_size_in_gb",
    "DefaultCodeRepository": "default_code_repository",
    "RootAccess": "root_access",
}


def _notebook_update(response: Any) -> EmptyResult:
    notebook = response.sagemaker_backend.get_notebook_instance(response._get_param("NotebookInstanceName"))
    _require(notebook, "Stopped", "Updating")
    for name, attribute in CHANGED.items():
        if response._get_param(name) is not None:
            setattr(notebook, attribute, response._get_param(name))
    if response._get_param("DisassociateLifecycleConfig"):
        notebook.lifecycle_config_name = None
    _move(notebook, "Updating", "Stopped")
    return EmptyResult()


def _lifecycle_create(response: Any) -> ActionResult:
    answer = _create_lifecycle(response)
    name = response._get_param("NotebookInstanceLifecycleConfigName")
    known = response.sagemaker_backend.notebook_instance_lifecycle_configurations
    known[name].tags = response._get_param("Tags") or []
    return answer


def _lifecycle_update(response: Any) -> EmptyResult:
    name = response._get_param("NotebookInstanceLifecycleConfigName")
    known = response.sagemaker_backend.notebook_instance_lifecycle_configurations[name]
    known.on_create, known.on_start = response._get_param("OnCreate"), response._get_param("OnStart")
    return EmptyResult()


def _of_arn(backend: Any, arn: str) -> Any:
    kind, _, name = arn.split(":")[-1].partition("/")
    if kind == "notebook-instance-lifecycle-config":
        return backend.notebook_instance_lifecycle_configurations[name]
    return _from_arn(backend, arn)


def _tags_add(backend: Any, arn: str, tags: list[dict[str, str]]) -> list[dict[str, str]]:
    """A tag of the same key is replaced, as Amazon does it; moto keeps both."""
    resource = backend._get_resource_from_arn(arn)
    named = {tag["Key"]: tag for tag in [*resource.tags, *tags]}
    resource.tags = list(named.values())
    return resource.tags


def _lifecycle_without_tags(config: Any) -> dict[str, Any]:
    assert _lifecycle_shown is not None
    return {name: value for name, value in _lifecycle_shown(config).items() if name != "Tags"}


def sagemaker_complete() -> None:
    SageMakerModelBackend.start_notebook_instance = _start
    SageMakerModelBackend.stop_notebook_instance = _stop
    SageMakerModelBackend._get_resource_from_arn = _of_arn
    SageMakerModelBackend.add_tags = _tags_add
    SageMakerResponse.create_notebook_instance = _notebook_create
    SageMakerResponse.update_notebook_instance = _notebook_update
    SageMakerResponse.create_notebook_instance_lifecycle_config = _lifecycle_create
    SageMakerResponse.update_notebook_instance_lifecycle_config = _lifecycle_update
    FakeSagemakerNotebookInstance.to_dict = _notebook_shown
    FakeSageMakerNotebookInstanceLifecycleConfig.response_object = property(_lifecycle_without_tags)


# EMR ------------------------------------------------------------------------------------------------------------------

_run_job_flow = ElasticMapReduceResponse.run_job_flow


def _cluster(response: Any) -> Any:
    return response.backend.clusters[json.loads(response.body)["ClusterId"]]


def _policy_put(name: str) -> Any:
    def put(response: Any) -> EmptyResult:
        setattr(_cluster(response), name, json.loads(response.body)[POLICIES[name]])
        return EmptyResult()

    return put


def _policy_get(name: str) -> Any:
    def get(response: Any) -> ActionResult:
        policy = getattr(_cluster(response), name, None)
        return ActionResult({POLICIES[name]: policy} if policy else {})

    return get


def _policy_remove(name: str) -> Any:
    def remove(response: Any) -> EmptyResult:
        setattr(_cluster(response), name, None)
        return EmptyResult()

    return remove


def _cluster_create(response: Any) -> ActionResult:
    answer = _run_job_flow(response)
    asked = json.loads(response.body)
    cluster = response.backend.clusters[answer.result["JobFlowId"]]
    cluster.auto_termination_policy = asked.get("AutoTerminationPolicy")
    return answer


def _fleets_list(response: Any) -> ActionResult:
    raise InvalidRequestException("Instance fleets and instance groups are mutually exclusive.")


POLICIES = {"managed_scaling_policy": "ManagedScalingPolicy", "auto_termination_policy": "AutoTerminationPolicy"}


def emr_complete() -> None:
    ElasticMapReduceResponse.run_job_flow = _cluster_create
    ElasticMapReduceResponse.list_instance_fleets = _fleets_list
    for name in POLICIES:
        setattr(ElasticMapReduceResponse, f"put_{name}", _policy_put(name))
        setattr(ElasticMapReduceResponse, f"get_{name}", _policy_get(name))
        setattr(ElasticMapReduceResponse, f"remove_{name}", _policy_remove(name))


# The server -----------------------------------------------------------------------------------------------------------

_dispatch = DomainDispatcherApplication.__call__


def _noted(application: Any, environ: dict[str, Any], start_response: Any) -> Any:
    operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]

    def start(status: str, headers: Any, *more: Any) -> Any:
        print(f"{operation or environ.get('PATH_INFO')} {status[:3]}", flush=True)
        return start_response(status, headers, *more)

    return _dispatch(application, environ, start)


def main(port: str) -> None:
    from moto.server import main as serve

    assert issubclass(SageMakerResponse, BaseResponse)
    sagemaker_complete()
    emr_complete()
    DomainDispatcherApplication.__call__ = _noted
    serve(["-H", "127.0.0.1", "-p", port])


if __name__ == "__main__":
    main(sys.argv[1])
