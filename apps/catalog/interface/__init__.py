"""The interface of a Terraform module: its inputs, outputs and presentation as plain data, without Django models."""

from apps.catalog.interface.files import module_digest, module_files
from apps.catalog.interface.inputs import inputs_clean, option_values
from apps.catalog.interface.model import (
    RESERVED_VARIABLES,
    Application,
    Connection,
    ModuleInterface,
    Option,
    Output,
    Presentation,
    Preset,
    Submodule,
    TimeToLive,
    Validation,
    Variable,
)
from apps.catalog.interface.parser import module_parse
from apps.catalog.interface.problems import ModuleInvalid, Problem
from apps.catalog.interface.type_constraints import TerraformType

__all__ = [
    "RESERVED_VARIABLES",
    "Application",
    "Connection",
    "ModuleInterface",
    "ModuleInvalid",
    "Option",
    "Output",
    "Presentation",
    "Preset",
    "Problem",
    "Submodule",
    "TerraformType",
    "TimeToLive",
    "Validation",
    "Variable",
    "inputs_clean",
    "module_digest",
    "module_files",
    "module_parse",
    "option_values",
]
