"""A published module, a workspace and a change, without the environment above them."""

import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.provisioning.leases import Lease
    from apps.provisioning.models import Change, Workspace


@pytest.fixture
def dana(db: None) -> "User":
    from apps.accounts.models import User

    return User.objects.create_user("dana", password="x")


@pytest.fixture
def pete(db: None) -> "User":
    from apps.accounts.models import User

    return User.objects.create_user("pete", password="x", is_platform_engineer=True)


@pytest.fixture
def workspace(dana: "User") -> "Workspace":
    from apps.accounts.models import Membership, Team
    from apps.catalog.models import Module, ModuleVersion
    from apps.provisioning.services import workspace_create

    team = Team.objects.create(slug="vision", name="Vision")
    Membership.objects.create(user=dana, team=team)
    module = Module.objects.create(slug="m", title="M", kind="notebook", target="local")
    version = ModuleVersion.objects.create(
        module=module, version="1.0.0", source="m", digest="0" * 64, interface={"variables": []}, archive=b""
    )
    return workspace_create(id=uuid.uuid4(), name="nb", team=team, owner=dana, module_version=version, target="local")


@pytest.fixture
def change(workspace: "Workspace", dana: "User") -> "Change":
    from apps.provisioning.services import change_request

    return change_request(workspace=workspace, kind="create", values={"cpu": 1}, requested_by=dana)


@pytest.fixture
def lease(db: None) -> "Lease":
    from apps.provisioning.leases import lease_acquire

    taken = lease_acquire(machine_name="box")
    assert taken is not None
    return taken
