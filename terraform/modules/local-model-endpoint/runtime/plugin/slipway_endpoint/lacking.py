"""What the model was made with and this Python has not, in sentences."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Names of requirements that something else of the environment stands for.
STANDS_FOR = {"mlflow": "mlflow-skinny"}


def differences(model_folder):
    """One sentence for each package of requirements.txt that is missing or of another version."""
    path = Path(model_folder) / "requirements.txt"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return [sentence for sentence in map(_difference, lines) if sentence]


def _difference(line):
    from packaging.requirements import InvalidRequirement, Requirement

    text = line.partition("#")[0].strip()
    try:
        wanted = Requirement(text) if text and not text.startswith("-") else None
    except InvalidRequirement:
        return ""
    if wanted is None or (wanted.marker is not None and not wanted.marker.evaluate()):
        return ""
    held = _held(wanted.name)
    if held is None:
        return f"The model asks for {text}, which this Python environment has not."
    if not wanted.specifier.contains(held, prereleases=True):
        return f"The model asks for {text}, and this Python environment has {held}."
    return ""


def _held(name):
    for each in (name, STANDS_FOR.get(name.lower(), "")):
        if each:
            try:
                return version(each)
            except PackageNotFoundError:
                continue
    return None


def sentence(error, model_folder):
    """What to do about a module that is missing."""
    missing = (error.name or str(error)).partition(".")[0]
    asked = [line for line in differences(model_folder) if "has not" in line]
    said = f" {asked[0]}" if asked else ""
    return (
        f"The model needs the Python module “{missing}”, which this Python environment has not.{said} Choose a Python "
        "environment that has it."
    )
