"""From an address to a row the person may see."""

from uuid import UUID

from django.http import Http404, HttpRequest

from apps.environments.models import Environment
from apps.environments.selectors import environment_get
from apps.provisioning.models import Change


def find(request: HttpRequest, pk: UUID) -> Environment:
    environment = environment_get(user=request.user, environment_id=pk)  # type: ignore[arg-type]
    if environment is None:
        raise Http404
    return environment


def find_change(environment: Environment, change_id: UUID) -> Change:
    """A change of that environment, which the person may see."""
    rows = Change.objects.filter(workspace_id=environment.pk, pk=change_id).defer("values")
    change = rows.select_related(
        "workspace", "requested_by", "approved_by", "cancel_requested_by", "module_version__module"
    ).first()
    if change is None:
        raise Http404
    return change
