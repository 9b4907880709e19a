"""What a line of requirements may say, and how one that may not is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.runtimes.requirements import MAX_LINE, MAX_LINES, MAX_TEXT, requirements_check

FINE = """# comments are fine
scikit-learn==1.8.*   # also here
pandas[performance]>=2.3,<3
pywin32>=300 ; sys_platform == 'win32'
importlib-metadata; python_version < "3.12"
zope.interface
"""


def test_requirements_with_markers_extras_and_comments_are_taken_as_they_are() -> None:
    assert requirements_check(FINE.replace("\n", "\r\n")) == (FINE, [])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-e .", "“-e” is not possible"),
        ("--editable=/srv/code", "“--editable” is not possible"),
        ("--index-url https://evil.example/simple", "packages come from the index"),
        ("-i https://evil.example/simple", "packages come from the index"),
        ("--extra-index-url=https://evil.example", "packages come from the index"),
        ("--find-links /etc", "packages come from the index"),
        ("-r /etc/passwd", "“-r” is not possible"),
        ("-c other.txt", "“-c” is not possible"),
        ("--trusted-host evil.example", "“--trusted-host” is not possible"),
        ("--no-binary :all:", "“--no-binary” is not possible"),
        ("six @ https://evil.example/six.whl", "“six @ …” names an address"),
        ("six @ file:///etc/passwd", "“six @ …” names an address"),
        ("git+https://evil.example/x", "is a file or an address"),
        ("https://evil.example/x.whl", "is a file or an address"),
        ("file:///etc/passwd", "is a file or an address"),
        ("./wheel", "is a file or an address"),
        ("../six", "is a file or an address"),
        ("/etc/passwd", "is a file or an address"),
        ("~/six", "is a file or an address"),
        ("C:\\six", "is a file or an address"),
        ("six-1.0-py3-none-any.whl", "is a file or an address"),
        ("${UV_INDEX}", "variables are not filled in"),
        ("six==${HOME}", "variables are not filled in"),
        ("six \\", "cannot go on in the next one"),
        ("si\u200bx", "cannot be seen"),
        ("six\x1b[2J", "cannot be seen"),
        ("six ==", "is no requirement"),
        ("six, idna", "is no requirement"),
        ("import os; os.system('id')", "is no requirement"),
        ("x" * (MAX_LINE + 1), "longer than"),
    ],
)
def test_a_hostile_or_wrong_line_is_refused_by_its_number(line: str, said: str) -> None:
    _, problems = requirements_check(f"idna\n{line}\n")
    (problem,) = problems
    assert problem.startswith("Line 2: ")
    assert said in problem


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_nothing_is_named(text: str) -> None:
    assert requirements_check(text)[1] == ["Name at least one package, for example scikit-learn==1.8.*"]


def test_too_much_is_refused() -> None:
    assert "lines" in requirements_check("six\n" * (MAX_LINES + 1))[1][0]
    assert "characters" in requirements_check("s" * (MAX_TEXT + 1))[1][0]
    assert len(requirements_check("-e .\n" * MAX_LINES)[1]) == 21


def test_addresses_can_be_allowed_and_places_of_the_machine_never(settings: object) -> None:
    settings.RUNTIME_ADDRESSES = True  # type: ignore[attr-defined]
    fine = "--index-url https://index.example/simple\nsix @ https://files.example/six.whl\n"
    assert requirements_check(fine) == (fine, [])
    for line in ("--find-links /etc", "--index-url https://u:p@index.example/", "six @ file:///etc/x", "-e .", "./x"):
        assert requirements_check(line)[1], line


@given(st.text(max_size=400))
def test_no_text_breaks_it(text: str) -> None:
    kept, problems = requirements_check(text)
    assert problems or kept.endswith("\n")
