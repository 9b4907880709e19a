"""Which names a variable of a set may have: what is given to Terraform must not turn Terraform or Slipway around.

A name that a program takes for an order (what to preload, which file to run first, which command asks for a password)
would let whoever writes a set run programs where the values of other sets are.
"""

import re

from apps.catalog.interface.model import RESERVED_VARIABLES

# Never passed on to Terraform: they would turn values and flags around behind the plan's back, or open the portal.
REFUSED_PREFIXES = ("TF_", "LD_", "PYTHON", "SLIPWAY_", "DJANGO_", "DATABASE_", "BROKER_")
# Programs that a provider or a provisioner starts take these for orders.
ORDER_PREFIXES = (
    "BASH_", "DYLD_", "GIT_", "GLIBC_", "JAVA_", "_JAVA_", "MALLOC_", "NODE_", "NPM_", "PERL", "RUBY", "SSH_", "SUDO_",
)  # fmt: skip
ORDERS = frozenset((
    "PATH", "HOME", "TMPDIR", "SHELL", "SHELLOPTS", "ENV", "IFS", "PS4", "USER", "LOGNAME", "PWD", "PROMPT_COMMAND",
    "CDPATH", "GCONV_PATH", "LOCPATH", "NLSPATH", "HOSTALIASES", "RES_OPTIONS", "GODEBUG", "GOTRACEBACK", "GOMEMLIMIT",
    "GOMAXPROCS", "EDITOR", "VISUAL", "PAGER", "BROWSER", "CHECKPOINT_DISABLE", "CLASSPATH", "JDK_JAVA_OPTIONS",
    "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES",
))  # fmt: skip
# A file that configures a client may name a program to run (`credential_process` of AWS, for one).
POINTERS = ("_FILE", "_PATH", "_DIR", "_CONFIG", "_CREDENTIALS")

ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TERRAFORM_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
NO_VARIABLE = frozenset({"source", "version", "providers", "count", "for_each", "lifecycle", "depends_on", "locals"})
LONGEST_NAME = 100


def environment_name_problem(name: str) -> str:
    """Why a variable of the environment cannot be called so; empty where it can."""
    if not ENVIRONMENT_NAME.fullmatch(name):
        return "Use letters, digits and underscores, and begin with a letter, for example AWS_ACCESS_KEY_ID."
    if len(name) > LONGEST_NAME:
        return f"At most {LONGEST_NAME} characters."
    upper = name.upper()
    if upper.startswith("TF_VAR_"):
        return f"For a variable of a module choose the kind “Terraform variable” and the name {name[7:] or 'it has'}."
    refused = next((prefix for prefix in REFUSED_PREFIXES if upper.startswith(prefix)), "")
    if refused:
        return f"Names that begin with {refused} are Slipway's own or Terraform's. Choose another name."
    if upper in ORDERS or upper.startswith(ORDER_PREFIXES):
        return f"{name} tells programs what to run or where to look, so a set cannot give it."
    return ""


def pointer_problem(name: str) -> str:
    """Why a manager cannot set this name: it points to a file, which may in turn name a program to run."""
    if name.upper().endswith(POINTERS):
        return f"{name} points to a file, which may name programs to run. A platform engineer can set it."
    return ""


def terraform_name_problem(name: str) -> str:
    """Why no module can have a variable of that name."""
    if not TERRAFORM_NAME.fullmatch(name):
        return "Use letters, digits, underscores and hyphens, and begin with a letter, as modules name their variables."
    if len(name) > LONGEST_NAME:
        return f"At most {LONGEST_NAME} characters."
    if name in NO_VARIABLE:
        return f"Terraform keeps {name} for itself, so no module has a variable of that name."
    if name in RESERVED_VARIABLES:
        return f"Slipway fills in {name} by itself."
    return ""


def file_name_problem(name: str) -> str:
    """Why a file cannot be called so."""
    if not FILE_NAME.fullmatch(name):
        return "Use letters, digits, dots, underscores and hyphens, without folders, for example credentials.json."
    if len(name) > LONGEST_NAME:
        return f"At most {LONGEST_NAME} characters."
    return ""
