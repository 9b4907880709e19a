"""The provider itself: where the agent's socket is, and whose token is used."""

import os
from typing import Any

from tf.schema import Attribute, Schema
from tf.types import String

from slipway_provider import ADDRESS
from slipway_provider.client import PATIENCE_S, AgentClient
from slipway_provider.kinds import Runtime, Service, Volume
from slipway_provider.sagemaker import SageMakerPower


class SlipwayProvider:
    """Configured by its block or by SLIPWAY_AGENT_SOCKET and SLIPWAY_AGENT_TOKEN; the block wins."""

    def __init__(self) -> None:
        self.client = AgentClient("", "")

    def get_model_prefix(self) -> str:
        return "slipway_"

    def full_name(self) -> str:
        return ADDRESS

    def get_provider_schema(self, diags: Any) -> Schema:
        return Schema(
            attributes=[
                Attribute("socket", String(), "The agent's socket (else SLIPWAY_AGENT_SOCKET)", optional=True),
                Attribute(
                    "token",
                    String(),
                    "Token of one environment (else SLIPWAY_AGENT_TOKEN)",
                    optional=True,
                    sensitive=True,
                ),
            ]
        )

    def validate_config(self, diags: Any, config: dict[str, Any]) -> None:
        """Nothing to check before the environment is known."""

    def configure_provider(self, diags: Any, config: dict[str, Any]) -> None:
        socket_path = config.get("socket") or os.environ.get("SLIPWAY_AGENT_SOCKET", "")
        token = config.get("token") or os.environ.get("SLIPWAY_AGENT_TOKEN", "")
        for value, name in ((socket_path, "socket"), (token, "token")):
            if not isinstance(value, str) or not value:
                diags.add_error(
                    f"The slipway provider has no {name}",
                    f'Set {name} in the provider "slipway" block, or SLIPWAY_AGENT_{name.upper()} in the environment.',
                )
        if isinstance(socket_path, str) and isinstance(token, str):
            self.client = AgentClient(socket_path, token, _patience(os.environ.get("SLIPWAY_AGENT_PATIENCE_S", "")))

    def get_data_sources(self) -> list[type]:
        return []

    def get_resources(self) -> list[type]:
        return [Volume, Runtime, Service, SageMakerPower]

    def get_functions(self) -> list[type]:
        return []

    def new_resource(self, kind: type) -> Any:
        return kind(self)


def _patience(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return PATIENCE_S
