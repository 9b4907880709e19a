"""Values to try a module with: its defaults, its default size, its `examples`, and made-up ones for what is left."""

from typing import Any

from apps.catalog.interface import ModuleInterface, TerraformType, Variable
from apps.catalog.interface.inputs import Errors, inputs_clean

FILLED_IN: dict[str, Any] = {
    "slipway": {
        "environment_id": "00000000-0000-4000-8000-000000000000",
        "name": "trial",
        "slug": "trial-0000",
        "team": "trial",
        "owner": "trial",
        "running": True,
        "app_url": "http://trial-0000.apps.localhost/",
        "mlflow_tracking_uri": "http://localhost/mlflow",
        "mlflow_experiment": "trial/default",
    },
    "slipway_secrets": {"mlflow_tracking_token": "trial-token-that-opens-nothing"},
    "slipway_runtime": None,
}


def example_values(interface: ModuleInterface) -> tuple[dict[str, Any], Errors]:
    """(every variable's value for a trial plan, what is wrong with them by input)."""
    preset = interface.preset()
    data: dict[str, Any] = {**(preset.inputs if preset else {}), **interface.examples}
    for variable in interface.inputs:
        if variable.required and variable.name not in data:
            data[variable.name] = example_of(variable)
    values, errors = inputs_clean(interface, data)
    return values | {name: FILLED_IN[name] for name in interface.reserved if name in FILLED_IN}, errors


def example_of(variable: Variable) -> Any:
    """Something of the variable's type; its own rules may still refuse it, which is what `examples` are for."""
    options = variable.presentation.options
    return options[0].value if options else _of_type(variable.type)


def _of_type(of: TerraformType) -> Any:
    if of.kind in ("list", "set"):
        return []
    if of.kind == "map":
        return {}
    if of.kind == "tuple":
        return [_of_type(element) for element in of.elements]
    if of.kind == "object":
        return {name: _of_type(item.type) for name, item in of.attributes.items() if not item.optional}
    return {"number": 1, "bool": False}.get(of.kind, "example")
