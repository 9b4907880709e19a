"""The base of the three resources: what they share in talking to the agent and in shaping state.

Volatile facts (bytes used, restarts, start times) are left to the portal: in the state every one of them would be
drift.
"""

from typing import Any, ClassVar

from tf.schema import Attribute, Schema
from tf.types import Unknown

from slipway_provider.client import AgentClient, AgentError

State = dict[str, Any]


class AgentResource:
    """One kind of object of the agent. Subclasses name it, its attributes, and which of them the agent is told."""

    NAME: ClassVar[str]
    COLLECTION: ClassVar[str]
    DESCRIPTION: ClassVar[str]
    ATTRIBUTES: ClassVar[list[Attribute]]
    # Sent to the agent in PUT, when not null.
    SENT: ClassVar[tuple[str, ...]]
    # Only known again after an update that changes something.
    COMPUTED_AGAIN: ClassVar[tuple[str, ...]] = ()
    SCHEMA_VERSION: ClassVar[int] = 1

    def __init__(self, provider: Any):
        self.provider = provider

    @property
    def agent(self) -> AgentClient:
        return self.provider.client

    @classmethod
    def get_name(cls) -> str:
        return cls.NAME

    @classmethod
    def get_schema(cls) -> Schema:
        return Schema(attributes=list(cls.ATTRIBUTES), version=cls.SCHEMA_VERSION, description=cls.DESCRIPTION)

    def validate(self, diags: Any, type_name: str, config: State) -> None:
        """Terraform itself has checked types and required attributes; subclasses check values that are known."""

    def plan(self, ctx: Any, current: State | None, planned: State) -> State:
        """What a change of any attribute makes unknown until the agent has answered."""
        if ctx.changed_fields:
            planned.update(dict.fromkeys(self.COMPUTED_AGAIN, Unknown))
        return planned

    def put(self, planned: State) -> State:
        raise NotImplementedError

    def key(self, state: State) -> str:
        """The last part of the object's path."""
        return str(state["name"])

    def create(self, ctx: Any, planned: State) -> State | None:
        try:
            return self.settled(planned, self.put(planned))
        except AgentError as error:
            ctx.diagnostics.add_error(self.headline(error, planned), error.story())
            return self.left_behind(planned)

    def left_behind(self, planned: State) -> State | None:
        """What a failed creation has left on the machine and the state must know of; None where the agent cleans up."""
        return None

    def read(self, ctx: Any, current: State) -> State | None:
        try:
            found = self.agent.get(self.COLLECTION, self.key(current))
        except AgentError as error:
            ctx.diagnostics.add_error(self.headline(error, current), error.story())
            return current
        return None if found is None else self.refreshed(current, found)

    def update(self, ctx: Any, current: State, planned: State) -> State | None:
        try:
            return self.settled(planned, self.put(planned))
        except AgentError as error:
            ctx.diagnostics.add_error(self.headline(error, planned), error.story())
            return self.after_failed_update(current)

    def after_failed_update(self, current: State) -> State:
        """What the machine holds after a refused update, so that the next plan sees the difference."""
        try:
            found = self.agent.get(self.COLLECTION, self.key(current))
        except AgentError:
            return current
        return current if found is None else self.refreshed(current, found)

    def delete(self, ctx: Any, current: State) -> State | None:
        try:
            self.agent.delete(self.COLLECTION, self.key(current))
        except AgentError as error:
            ctx.diagnostics.add_error(self.headline(error, current), error.story())
            return current
        return None

    def import_(self, ctx: Any, id: str) -> State | None:
        """`terraform import slipway_volume.home home`: the name (or "<workspace>/<name>"), for a runtime its digest."""
        key = id.rsplit("/", 1)[-1]
        try:
            found = self.agent.get(self.COLLECTION, key)
        except AgentError as error:
            ctx.diagnostics.add_error(self.headline(error, {"name": key}), error.story())
            return None
        if found is None:
            ctx.diagnostics.add_error(
                f"There is no {self.NAME} {key!r}", "Nothing of this name exists in the environment."
            )
            return None
        if "/" in id and found.get("id") != id:
            # Without this, the id of a neighbour's volume would quietly mean the volume of that name here.
            ctx.diagnostics.add_error(
                f"{id!r} belongs to another environment", "What an environment holds can be taken over by itself only."
            )
            return None
        return self.refreshed({"name": key}, found)

    def upgrade(self, ctx: Any, version: int, old: State) -> State:
        """From an older schema: known attributes are kept, new ones are null until the next refresh."""
        return {attribute.name: old.get(attribute.name) for attribute in self.ATTRIBUTES}

    def observed(self, current: State, found: State) -> State:
        """The agent's answer in the words of the schema."""
        return found

    def refreshed(self, current: State, found: State) -> State:
        return self.settled(current, self.observed(current, found))

    def settled(self, wanted: State, found: State) -> State:
        """State after a call: what the agent says, else what was asked for, and never anything unknown."""
        state = {}
        for attribute in self.ATTRIBUTES:
            name = attribute.name
            value = found[name] if name in found else wanted.get(name)
            state[name] = None if value is Unknown else value
        return state

    def body(self, planned: State) -> State:
        return {name: planned[name] for name in self.SENT if planned.get(name) not in (None, Unknown, {})}

    def headline(self, error: AgentError, state: State) -> str:
        name = state.get("name")
        return f"{self.NAME.capitalize()} {name}: {error.title}" if name else f"{self.NAME.capitalize()}: {error.title}"
