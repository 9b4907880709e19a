"""The configuration table of the README, made from the readers in `portal.env` that the settings call."""

BEGIN, END = "<!-- configuration -->", "<!-- /configuration -->"


def configuration_table() -> str:
    """A Markdown table of every variable the portal reads, in alphabetical order."""
    from portal.env import SETTINGS
    from portal.up.options import options_read

    options_read()
    rows = [
        f"| `{setting.name}` | {setting.kind} | {setting.default or '–'} | {setting.help} |"
        for setting in sorted(SETTINGS.values(), key=lambda item: item.name)
    ]
    return "\n".join(["| Variable | Value | Default | What it does |", "|---|---|---|---|", *rows])


def readme_with_table(text: str) -> str:
    """`text` with a fresh table between the two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{configuration_table()}\n{END}{after}"
