"""What `make up` prints for an empty workspace is a command that works as it is printed."""

import os
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection

from portal.up.children import ROOT
from portal.up.options import UpOptions
from portal.up.places import Places
from portal.up.summary import summary


@pytest.mark.django_db(transaction=True)
def test_the_printed_command_makes_the_first_person(tmp_path: Path) -> None:
    data = tmp_path / "a folder"
    options = UpOptions(bind="127.0.0.1", port=8000, demo=False, given=frozenset())
    told = summary(options, Places(data), "http://localhost:8000/", 8000)
    [line] = [line for line in told.splitlines() if "First person" in line]
    command = line.partition("First person")[2].partition("   (")[0].strip().replace("NAME", "pete")
    database = settings.DATABASE_URL.replace("/slipway?", f"/{connection.settings_dict['NAME']}?")
    environ = {name: value for name, value in os.environ.items() if name != "SLIPWAY_DATA"}
    environ |= {"DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "portal.settings.dev"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, env=environ, input="correct horse battery\n", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert get_user_model().objects.get(username="pete").is_platform_engineer
