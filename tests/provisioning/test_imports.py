"""Import blocks: nothing but an address and an id can be written with them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.provisioning.imports import IMPORTS_FILE, LONGEST_ID, Import, imports_known, imports_write, quoted


@pytest.mark.parametrize(
    "address",
    [
        "aws_s3_bucket.data",
        "aws_s3_bucket.data[0]",
        'aws_s3_bucket.data["team a/b"]',
        'module.store["x"].module.inner.aws_s3_bucket.data[12]',
    ],
)
def test_addresses_of_resources_are_taken(address: str) -> None:
    assert Import(address, "i-1").problems == {}


@pytest.mark.parametrize(
    "address",
    [
        "",
        "aws_s3_bucket",
        "data.aws_s3_bucket.x",
        "aws_s3_bucket.data\n}\nresource",
        'aws_s3_bucket.data["${file("/etc/passwd")}"]',
        'aws_s3_bucket.data["a\\"b"]',
        "aws_s3_bucket.data[each.key]",
        "module.a",
        "aws_s3_bucket.dätä",
        "a." + "b" * 300,
    ],
)
def test_anything_else_is_no_address(address: str) -> None:
    assert "to" in Import(address, "i-1").problems


@pytest.mark.parametrize("id", ["", "  ", "a\nb", "a\0b", "${var.x}", "%{if true}", "x" * (LONGEST_ID + 1), "a\u202eb"])
def test_an_id_is_plain_text(id: str) -> None:
    assert "id" in Import("aws_s3_bucket.data", id).problems


@given(st.text(min_size=1, max_size=60))
def test_no_id_ends_its_literal(id: str) -> None:
    if Import("aws_s3_bucket.data", id).problems:
        return
    inside = quoted(id)[1:-1]
    plain = inside.replace("\\\\", "").replace('\\"', "")
    assert '"' not in plain
    assert "\\" not in plain
    assert "\n" not in plain


def test_the_file_is_written_privately_and_goes_with_the_next_change(tmp_path: Path) -> None:
    imports_write(tmp_path, [Import("terraform_data.old", 'a"b\\')])
    path = tmp_path / IMPORTS_FILE
    assert path.read_text() == 'import {\n  to = terraform_data.old\n  id = "a\\"b\\\\"\n}\n'
    assert path.stat().st_mode & 0o777 == 0o600
    imports_write(tmp_path, [])
    assert not path.exists()


def test_a_row_that_should_not_be_there_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be taken over"):
        imports_known([{"to": "x", "id": "y"}])
