from pathlib import Path

import pytest
from django.conf import settings

from apps.core.configuration import configuration_table, readme_with_table
from portal import env


def test_the_table_in_the_readme_is_the_one_the_settings_make() -> None:
    text = (Path(settings.BASE_DIR) / "README.md").read_text()
    assert readme_with_table(text) == text, "run `manage.py configuration`"


def test_the_table_names_no_path_of_this_machine() -> None:
    assert str(settings.BASE_DIR) not in configuration_table()


@pytest.mark.parametrize(
    ("read", "raw", "cure"),
    [
        (lambda: env.boolean("X_FLAG", default=False, help=""), "perhaps", "write 1 or 0"),
        (lambda: env.integer("X_NUMBER", default=1, maximum=9, help=""), "ten", "whole number from 0 to 9"),
        (lambda: env.integer("X_NUMBER", default=1, maximum=9, help=""), "10", "whole number from 0 to 9"),
        (lambda: env.url("X_URL", default=None, schemes=("https",), help=""), "ftp://x", "starts with https://"),
        (lambda: env.url("X_URL", default=None, schemes=("https",), help=""), "https://a:b", "X_URL"),
        (lambda: env.words("X_LIST", default=(), help=""), "a,,b", "single commas"),
    ],
)
def test_a_malformed_value_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, read: object, raw: str, cure: str
) -> None:
    for name in ("X_FLAG", "X_NUMBER", "X_URL", "X_LIST"):
        monkeypatch.setenv(name, raw)
        monkeypatch.setitem(env.SETTINGS, name, env.Setting(name, "", "", ""))
    with pytest.raises(env.SettingError, match="X_") as caught:
        read()  # type: ignore[operator]
    assert cure in str(caught.value)
