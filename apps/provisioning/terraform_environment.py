"""The environment and the configuration file Terraform gets: an allow-list, and the mirrors providers come from."""

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from apps.variable_sets.names import REFUSED_PREFIXES, environment_name_problem

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ALLOWED = (
    "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
)  # fmt: skip
LOCAL_HOST = "slipway.local"
REGISTRIES = ("registry.terraform.io", "registry.opentofu.org")
USUAL_MIRRORS = ("/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins", "/opt")


def environment_build(
    environ: Mapping[str, str],
    *,
    work: Path,
    rc: Path,
    scratch: Path,
    names: Sequence[str] = (),
    given: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Terraform's whole environment. `names` are let through as well; `given` comes from variable sets and wins over
    this process's own, but over nothing that Terraform is run by."""
    wanted = [*ALLOWED, *(name for name in names if not name.startswith(REFUSED_PREFIXES))]
    own = {name: environ[name] for name in wanted if environ.get(name)}
    # Checked when they were written; checked again, because an older portal may have taken another one.
    own |= {name: value for name, value in (given or {}).items() if not environment_name_problem(name)}
    return own | {
        "PATH": PATH,
        "HOME": str(work / ".home"),
        "TMPDIR": str(scratch),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "TF_CLI_CONFIG_FILE": str(rc),
        "CHECKPOINT_DISABLE": "1",
    }


def certificate_paths(environment: Mapping[str, str]) -> list[Path]:
    """Certificates which the environment names and a sandbox has to show."""
    named = (environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR"))
    # Bundles only: a directory such as /etc would show far more.
    return [
        Path(name) for name in named if name and not name.rstrip("/").startswith("/etc/ssl") and name.count("/") > 2
    ]


def scratch_make() -> Path:
    """A short private directory for sockets where the sandbox has no /tmp of its own."""
    return Path(tempfile.mkdtemp(prefix="slipway-stage-"))


def mirrors_found(environ: Mapping[str, str], plugins: Path) -> dict[Path, tuple[str, ...]]:
    """Filesystem mirrors with the addresses each has: ours, then SLIPWAY_TF_MIRROR, then the usual places."""
    mirrors: dict[Path, tuple[str, ...]] = {plugins: (f"{LOCAL_HOST}/*/*",)}
    home = Path(environ.get("HOME") or "/nonexistent")
    places: list[Path] = [Path(part) for part in environ.get("SLIPWAY_TF_MIRROR", "").split(os.pathsep) if part]
    for usual in map(Path, USUAL_MIRRORS):
        places += [usual, *_subdirectories(usual)]
    places += [home / ".terraform.d" / "plugins", home / ".local/share/terraform/plugins"]
    seen: set[str] = set()
    for place in places:
        addresses = tuple(sorted(set(_addresses(place)) - seen))
        if addresses and place.resolve() not in mirrors:
            mirrors[place.resolve()] = addresses
            seen.update(addresses)
    return mirrors


def _subdirectories(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.is_dir())
    except OSError:
        return []


def _addresses(place: Path) -> Iterable[str]:
    """Providers of the public registries in a mirror: host/namespace/type."""
    for host in REGISTRIES:
        for path in place.glob(f"{host}/*/*"):
            if path.is_dir():
                yield f"{host}/{path.parent.name}/{path.name}"


def rc_text(mirrors: Mapping[Path, Sequence[str]]) -> str:
    """The CLI configuration. What a mirror has comes from there only: there may be no network to ask."""
    lines = ["# Written by Slipway.", "disable_checkpoint = true", "provider_installation {"]
    for path, addresses in mirrors.items():
        included = ", ".join(_quoted(address) for address in addresses)
        lines += ["  filesystem_mirror {", f"    path    = {_quoted(str(path))}", f"    include = [{included}]", "  }"]
    excluded = ", ".join(_quoted(address) for addresses in mirrors.values() for address in addresses)
    lines += ["  direct {", f"    exclude = [{excluded}]", "  }", "}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{") + '"'
