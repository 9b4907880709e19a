"""Put the provider into a filesystem mirror, where `terraform init` finds it without a network.

python terraform/providers/local/install.py <mirror directory>
"""

import argparse
import compileall
import os
import platform
import shlex
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = "0.1.0"
ADDRESS = "slipway.local/slipway/slipway"
LAUNCHER = """#!/bin/sh
# Written by Slipway: starts the slipway provider with the Python it was installed for.
exec {python} -I -S {main} --site {site}
"""


def install_mirror(plugins_dir: Path, *, python: str = sys.executable) -> Path:
    """Write the launcher below `plugins_dir` where it is not as it should be, and return its path.

    The launcher names the interpreter and this directory; running it again after either has moved is all that a move
    needs.
    """
    system = f"{platform.system().lower()}_{_machine()}"
    launcher = Path(plugins_dir) / ADDRESS / VERSION / system / f"terraform-provider-slipway_v{VERSION}"
    text = LAUNCHER.format(
        python=shlex.quote(python), main=shlex.quote(str(HERE / "main.py")), site=shlex.quote(str(_site_packages()))
    )
    # A read-only sandbox cannot keep byte code, and compiling costs more than starting.
    compileall.compile_dir(HERE / "slipway_provider", quiet=2)
    try:
        if launcher.read_text() == text and os.access(launcher, os.X_OK):
            return launcher
    except OSError:
        pass
    launcher.parent.mkdir(parents=True, exist_ok=True)
    # Not beside the launcher: Terraform hashes the whole directory.
    temporary = Path(plugins_dir) / f".{launcher.name}.{os.getpid()}"
    temporary.write_text(text)
    temporary.chmod(0o755)
    temporary.replace(launcher)
    return launcher


def _site_packages() -> Path:
    """Where the library `tf` of this interpreter lies."""
    from importlib.util import find_spec

    spec = find_spec("tf")
    if spec is None or not spec.origin:
        raise RuntimeError("The Python library `tf` is not installed: the slipway provider cannot run without it.")
    return Path(spec.origin).parent.parent


def _machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mirror", type=Path)
    print(install_mirror(parser.parse_args().mirror.resolve()))
