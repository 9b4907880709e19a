"""Further versions of the notebook module, made by editing the interface of the real one."""

import copy
from collections.abc import Callable
from typing import Any

from apps.catalog.interface.model import Presentation, Variable
from apps.catalog.interface.type_constraints import TerraformType
from apps.catalog.models import Module, ModuleVersion
from tests.factories import notebook_version

Edit = Callable[[list[dict[str, Any]]], None]


def version_with(number: str, *edits: Edit, status: str = "published", changelog: str = "") -> ModuleVersion:
    """A version whose variables are edited; the latest one where it is published."""
    known = ModuleVersion.objects.filter(version=number).first()
    if known is not None:
        return known
    first = notebook_version()
    interface = copy.deepcopy(first.interface)
    interface["version"] = number
    for edit in edits:
        edit(interface["variables"])
    version = notebook_version(version=number, interface=interface, status=status, changelog=changelog)
    if status != "published":
        Module.objects.filter(pk=first.module_id).update(latest_version=first)
    return version


def without(name: str) -> Edit:
    def edit(variables: list[dict[str, Any]]) -> None:
        variables[:] = [item for item in variables if item["name"] != name]

    return edit


def required(name: str) -> Edit:
    """A new text that has to be given."""

    def edit(variables: list[dict[str, Any]]) -> None:
        blank = Variable(name, TerraformType("string"), nullable=False, presentation=Presentation(group="basic"))
        variables.append(blank.to_json())

    return edit


def renamed(old: str, new: str, *, default: bool = True) -> Edit:
    def edit(variables: list[dict[str, Any]]) -> None:
        one = next(item for item in variables if item["name"] == old)
        one |= {"name": new, "validations": []}
        if not default:
            one |= {"has_default": False, "default": None, "nullable": False}

    return edit
