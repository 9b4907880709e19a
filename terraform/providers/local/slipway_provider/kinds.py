"""slipway_volume, slipway_runtime, slipway_service."""

import re
from typing import Any, ClassVar

from tf.schema import Attribute
from tf.types import Bool, List, Map, Number, String

from slipway_provider.client import AgentError
from slipway_provider.resources import AgentResource, State

NAME_PATTERN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
RUNTIME_TIMEOUT_S = 3600.0
CLONE_TIMEOUT_S = 1800.0
DEFAULT_HEALTH_TIMEOUT_S = 60
# On top of the wait for health: ending what ran before, and restarting.
SERVICE_MARGIN_S = 120.0


def name_check(diags: Any, config: State) -> None:
    name = config.get("name")
    if isinstance(name, str) and not NAME_PATTERN.fullmatch(name):
        diags.add_error(
            f"{name!r} is not a usable name",
            "Use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends.",
            path=["name"],
        )


class Volume(AgentResource):
    NAME = "volume"
    COLLECTION = "volumes"
    DESCRIPTION = "A directory on the machine that outlives a stop. Destroying it deletes its files."
    SENT = ("size_limit_mb", "repository", "revision", "files")
    ATTRIBUTES: ClassVar[list[Attribute]] = [
        Attribute("id", String(), "`<environment>/<name>`", computed=True),
        Attribute("name", String(), "Unique in the environment", required=True, requires_replace=True),
        Attribute("size_limit_mb", Number(), "Most megabytes it may hold; unlimited when null", optional=True),
        Attribute(
            "repository", String(), "Git repository cloned when it is created", optional=True, requires_replace=True
        ),
        Attribute("revision", String(), "Commit, tag or branch checked out after the clone", optional=True),
        Attribute("files", Map(String()), "Files written when it is created, never over existing ones", optional=True),
        Attribute("path", String(), "Where it lies on the machine", computed=True),
        Attribute("repository_commit", String(), "The commit that was cloned", computed=True),
    ]

    def validate(self, diags: Any, type_name: str, config: State) -> None:
        name_check(diags, config)

    def put(self, planned: State) -> State:
        timeout = CLONE_TIMEOUT_S if planned.get("repository") else 120.0
        return self.agent.put("volumes", planned["name"], body=self.body(planned), timeout=timeout)

    def settled(self, wanted: State, found: State) -> State:
        # Seed files and repository are facts of the creation: what a person changed in them since is theirs.
        kept = {key: value for key, value in found.items() if key not in self.SENT}
        return super().settled(wanted, kept)


class Runtime(AgentResource):
    NAME = "runtime"
    COLLECTION = "runtimes"
    DESCRIPTION = "A Python environment built by uv from locked requirements; built once for each distinct content."
    SENT = ("requirements", "python", "files")
    COMPUTED_AGAIN = ("id", "path", "python_version")
    ATTRIBUTES: ClassVar[list[Attribute]] = [
        Attribute("id", String(), "Digest of its content", computed=True),
        Attribute("requirements", String(), "A lock file with hashes", required=True),
        Attribute("python", String(), "Python version wanted, the machine's own unless given", optional=True),
        Attribute("python_version", String(), "Python version it has", computed=True),
        Attribute("files", Map(String()), "Python modules laid over its site-packages", optional=True),
        Attribute("path", String(), "Where it lies on the machine", computed=True),
        Attribute("reused", Bool(), "It was there already when it was asked for", computed=True),
    ]

    def key(self, state: State) -> str:
        return str(state["id"])

    def put(self, planned: State) -> State:
        return self.agent.put("runtimes", body=self.body(planned), timeout=RUNTIME_TIMEOUT_S)

    def observed(self, current: State, found: State) -> State:
        # `reused` tells of one call, so that a refresh has nothing to say about it.
        return {key: value for key, value in found.items() if key != "reused"}

    def settled(self, wanted: State, found: State) -> State:
        # The agent's `python` is the exact version; the attribute of that name is what was wanted.
        told = {key: value for key, value in found.items() if key not in self.SENT}
        return super().settled(wanted, told | {"python_version": found.get("python")})

    def update(self, ctx: Any, current: State, planned: State) -> State | None:
        """The new one is built before the old one's reference is dropped, so that a failed build breaks nothing."""
        try:
            state = self.settled(planned, self.put(planned))
        except AgentError as error:
            ctx.diagnostics.add_error(self.headline(error, planned), error.story())
            return current
        if state["id"] != current["id"]:
            try:
                self.agent.delete("runtimes", self.key(current))
            except AgentError as error:
                ctx.diagnostics.add_warning("The previous runtime was kept", error.story())
        return state

    def after_failed_update(self, current: State) -> State:
        return current


class Service(AgentResource):
    NAME = "service"
    COLLECTION = "services"
    DESCRIPTION = "A supervised long-running process; its creation waits until it answers its health check."
    SENT = (
        "command", "environment", "secret_environment", "volume", "runtime", "running", "cpu", "memory_mb",
        "health_path", "health_timeout_s", "app_port", "gpus",
    )  # fmt: skip
    COMPUTED_AGAIN = ("status", "port", "address", "secret", "isolation")
    ATTRIBUTES: ClassVar[list[Attribute]] = [
        Attribute("id", String(), "`<environment>/<name>`", computed=True),
        Attribute("name", String(), "Unique in the environment", required=True, requires_replace=True),
        Attribute(
            "command", List(String()), "Program and arguments; `{port}` and the like are filled in", required=True
        ),
        Attribute("environment", Map(String()), "Environment variables", optional=True),
        Attribute("secret_environment", Map(String()), "The secret ones", optional=True, sensitive=True),
        Attribute(
            "volume",
            String(),
            "Id of the volume it works in; another one makes the service anew",
            optional=True,
            requires_replace=True,
        ),
        Attribute("runtime", String(), "Id of the runtime it runs with", optional=True),
        Attribute("running", Bool(), "Whether it should run; null means that it should", optional=True),
        Attribute("cpu", Number(), "Most processors it may use", optional=True),
        Attribute("memory_mb", Number(), "Most megabytes of memory it may use", optional=True),
        Attribute("health_path", String(), "Path that answers below 400 when it is ready", optional=True),
        Attribute("health_timeout_s", Number(), "Seconds it may take to get ready", optional=True),
        Attribute("app_port", Number(), "A fixed port instead of a free one", optional=True),
        Attribute("gpus", Number(), "Whole GPUs of the machine it has to itself while it runs", optional=True),
        Attribute("status", String(), "running, starting, stopped, crashed, out_of_memory, out_of_disk", computed=True),
        Attribute("port", Number(), "Port on the loopback interface", computed=True),
        Attribute("address", String(), "`127.0.0.1:<port>`", computed=True),
        Attribute("secret", String(), "Random, a new one with every start asked for", computed=True, sensitive=True),
        Attribute("isolation", String(), "How it is kept apart from the rest of the machine", computed=True),
    ]

    def validate(self, diags: Any, type_name: str, config: State) -> None:
        name_check(diags, config)
        for name in ("cpu", "memory_mb", "health_timeout_s"):
            value = config.get(name)
            if isinstance(value, int | float) and value <= 0:
                diags.add_error(f"{name} must be more than 0", path=[name])
        if config.get("command") == []:
            diags.add_error("command must name a program", path=["command"])

    def put(self, planned: State) -> State:
        timeout = (planned.get("health_timeout_s") or DEFAULT_HEALTH_TIMEOUT_S) + SERVICE_MARGIN_S
        return self.agent.put("services", planned["name"], body=self.body(planned), timeout=timeout)

    def body(self, planned: State) -> State:
        return super().body(planned) | {"running": planned.get("running") is not False}

    def left_behind(self, planned: State) -> State | None:
        """A service that never got healthy exists all the same: in the state it is tainted, and a destroy finds it."""
        try:
            found = self.agent.get("services", planned["name"])
        except AgentError:
            return None
        return None if found is None else self.settled(planned, found)

    def refreshed(self, current: State, found: State) -> State:
        """A service that should run and does not is drift in `running`, so that the next apply starts it again."""
        state = self.settled(current, found)
        runs = found.get("status") in ("running", "starting")
        if (current.get("running") is not False) != runs:
            state["running"] = runs
        return state

    def settled(self, wanted: State, found: State) -> State:
        # The configuration is what the agent was told; what it says is all the rest.
        return super().settled(wanted, {key: value for key, value in found.items() if key not in self.SENT})
