"""Small modules written to disk, for tests that read them."""

from pathlib import Path

from apps.catalog.interface import ModuleInterface, module_parse

MANIFEST = """\
title: Sample
version: 1.0.0
kind: notebook
target: local
summary: A module for tests.
ttl: {default: 8h, maximum: 7d}
"""
VERSIONS = 'terraform {\n  required_version = ">= 1.9"\n}\n'


def module_write(path: Path, variables: str = "", manifest: str = "", **files: str) -> Path:
    """A module directory; `manifest` is added to a valid module.yaml, `files` maps names with _ for . to texts."""
    path.mkdir(parents=True, exist_ok=True)
    texts = {
        "variables.tf": variables or "# none\n",
        "versions.tf": VERSIONS,
        "README.md": "# Sample\n",
        "module.yaml": MANIFEST + manifest,
    }
    for name, text in {**texts, **files}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def variable(name: str, of: str = "string", *lines: str, rules: tuple[tuple[str, str], ...] = ()) -> str:
    """The source of one variable; `lines` are further attributes, `rules` conditions with their messages."""
    blocks = [f'  validation {{\n    condition = {rule}\n    error_message = "{text}"\n  }}' for rule, text in rules]
    body = "\n".join([f'  description = "About {name}."', f"  type = {of}", *(f"  {line}" for line in lines), *blocks])
    return f'variable "{name}" {{\n{body}\n}}\n'


def interface_of(tmp_path: Path, *variables: str, manifest: str = "") -> ModuleInterface:
    return module_parse(module_write(tmp_path / "sample", "\n".join(variables), manifest))
