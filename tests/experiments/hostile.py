"""What somebody logs who means harm, or did not think: for the tests of pages, and for those in a browser."""

import re
from typing import Any

SCRIPT = "<script>window.__pwned=1</script>"
MARKUP = f'<img src=x onerror="window.__pwned=1">{SCRIPT}</td></script>\'"`{{{{7*7}}}}${{7*7}}'
# Turns what follows around: ends in "gpj.exe" to the eye.
TURNED = "report \u202egpj.exe"
FORMULAS = ('=HYPERLINK("http://evil.example")', "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1")
LONG = "x" * 2000 + MARKUP + "y" * (4000 - len(MARKUP))
PARAMS = {
    "a.b c/d: e": "3",
    "long": LONG,
    "markup": MARKUP,
    "turned": TURNED,
    **{f"formula {number}": value for number, value in enumerate(FORMULAS)},
    "empty": "",
}
METRICS: dict[str, Any] = {"nothing": "NaN", "endless": "Infinity", "bottom": "-Infinity", "a metric/of: x": 0.5}
TAGS = {"about: x / y": MARKUP, "mlflow.note.content": f"{MARKUP}\n\n[y](javascript:window.__pwned=1) {SCRIPT}"}
HTML = f"""<!doctype html><title>Report</title><h1 id="inside">Report</h1>{SCRIPT}
<script>
(async () => {{
  const found = {{origin: String(self.origin), cookie: "", parent: "", top: "", api: "", storage: ""}};
  try {{ found.cookie = document.cookie; }} catch (error) {{ found.cookie = "refused"; }}
  try {{ found.parent = parent.document.body.innerText; }} catch (error) {{ found.parent = "refused"; }}
  try {{ found.storage = String(localStorage.length); }} catch (error) {{ found.storage = "refused"; }}
  for (const way of ["include", "omit"]) {{
    try {{
      const url = new URL("/api/v1/environments/", document.referrer || location.href);
      found.api += (await (await fetch(url, {{credentials: way}})).text());
    }} catch (error) {{ found.api += "refused"; }}
  }}
  try {{ top.location = "about:blank#taken"; }} catch (error) {{ found.top = "refused"; }}
  try {{ parent.window.__pwned = 1; }} catch (error) {{ /* as it should be */ }}
  try {{ window.open("/accounts/"); }} catch (error) {{ /* as it should be */ }}
  try {{ alert(1); }} catch (error) {{ /* as it should be */ }}
  const form = document.createElement("form");
  form.action = "/accounts/sign-out/"; form.method = "post"; form.target = "_top";
  document.body.append(form);
  try {{ form.submit(); }} catch (error) {{ /* as it should be */ }}
  document.getElementById("inside").textContent = "told " + JSON.stringify(found);
}})();
</script>
"""
SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" width="80" height="80" onload="try{{top.__pwned=1}}catch(e){{}}">
<circle cx="40" cy="40" r="30" fill="teal"/>{SCRIPT}
<foreignObject width="9" height="9"><body xmlns="http://www.w3.org/1999/xhtml">{SCRIPT}</body></foreignObject></svg>"""
FILES = {
    "report.html": HTML.encode(),
    "drawing.svg": SVG.encode(),
    "table.csv": ("name,value\n" + "\n".join(f'"{value}",1' for value in ("=1+1", MARKUP))).encode(),
    "notes.md": TAGS["mlflow.note.content"].encode(),
    "<b>bold<b> & \u202egpj.txt": b"plain",
}
EXECUTABLE = re.compile(r"<img src=x|<script>window\.__pwned|(href|src)=[\"']?javascript:|onerror=\"window")


def markup_in(page: str) -> list[str]:
    """Where a page holds what was logged as markup, rather than as text."""
    return [page[max(0, found.start() - 80) : found.end() + 40] for found in EXECUTABLE.finditer(page)]
