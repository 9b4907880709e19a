"""Which variables a module has to be given before it can build anything.

module.yaml says so under `needs_variables`; without that it is what the provider of its target signs in with, in any of
the ways that the provider's documentation names.
"""

from collections.abc import Collection

from apps.catalog.interface.model import ModuleInterface

Way = tuple[str, ...]

AWS: tuple[Way, ...] = (
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_SHARED_CREDENTIALS_FILE",),
    ("AWS_CONFIG_FILE",),
    ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
)
AZURE: tuple[Way, ...] = (
    ("ARM_CLIENT_ID", "ARM_CLIENT_SECRET"),
    ("ARM_CLIENT_ID", "ARM_CLIENT_CERTIFICATE"),
    ("ARM_CLIENT_ID", "ARM_CLIENT_CERTIFICATE_PATH"),
    ("ARM_USE_OIDC",),
    ("ARM_USE_MSI",),
)
GOOGLE: tuple[Way, ...] = (
    ("GOOGLE_APPLICATION_CREDENTIALS",),
    ("GOOGLE_CREDENTIALS",),
    ("GOOGLE_OAUTH_ACCESS_TOKEN",),
)
KUBERNETES: tuple[Way, ...] = (
    ("KUBE_CONFIG_PATH",),
    ("KUBE_CONFIG_PATHS",),
    ("KUBE_HOST", "KUBE_TOKEN"),
    ("KUBE_HOST", "KUBE_CLIENT_CERT_DATA", "KUBE_CLIENT_KEY_DATA"),
)
# Clusters of a cloud are signed in to with that cloud's credentials as well.
BY_TARGET = {"aws": AWS, "azure": AZURE, "gcp": GOOGLE, "kubernetes": (*KUBERNETES, *AWS, *AZURE, *GOOGLE)}
WORDS = {"aws": "AWS credentials", "azure": "Azure credentials", "gcp": "Google Cloud credentials",
         "kubernetes": "Kubernetes credentials"}  # fmt: skip


def ways_of(interface: ModuleInterface) -> tuple[Way, ...]:
    """One of these has to be given whole; empty where nothing has to be.

    A module that says nothing and has a secret variable of its own may be given its credentials by that.
    """
    if interface.needs_variables is not None:
        return (interface.needs_variables,) if interface.needs_variables else ()
    if any(variable.sensitive and not variable.reserved for variable in interface.variables):
        return ()
    return BY_TARGET.get(interface.target, ())


def is_given(interface: ModuleInterface, names: Collection[str]) -> bool:
    """Whether variables of these names are enough."""
    ways = ways_of(interface)
    return not ways or any(all(name in names for name in way) for way in ways)


def need_words(interface: ModuleInterface) -> str:
    """ "AWS credentials" """
    return WORDS.get(interface.target, "credentials")


def usual_names(interface: ModuleInterface) -> str:
    """What a set would give, as a sentence names it."""
    ways = ways_of(interface)
    return " and ".join(ways[0]) if ways else ""
