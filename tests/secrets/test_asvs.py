"""The table of the verification standard: every requirement once, every proof there."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "reference" / "asvs.md"
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| (.+?) \| (yes|partly|no|not applicable) \| (.+) \|$", re.MULTILINE)
# Requirements of levels 1 and 2 in each chapter of 4.0.3, without those it has withdrawn.
CHAPTERS = {1: 38, 2: 53, 3: 18, 4: 9, 5: 30, 6: 13, 7: 12, 8: 15, 9: 7, 10: 5, 11: 8, 12: 15, 13: 13, 14: 23}
# A path below the project's folder, perhaps with the name of a test in it.
PROOF = re.compile(r"`((?:[\w.-]+/)+[\w.-]+(?:::\w+)?|[\w.-]+\.(?:md|toml|lock|json)(?:::\w+)?)`")
# Made by Terraform in each environment's folder.
MADE_LATER = {".terraform.lock.hcl"}


def rows() -> list[tuple[str, str, str, str]]:
    return ROW.findall(TABLE.read_text(encoding="utf-8"))


def test_no_requirement_is_missing() -> None:
    numbers = [number for number, *_ in rows()]
    assert len(numbers) == len(set(numbers))
    assert Counter(int(number.split(".")[0]) for number in numbers) == CHAPTERS
    table_lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if re.match(r"\| \d", line)]
    assert len(table_lines) == len(numbers), "a row is malformed"


def test_the_summary_counts_the_rows() -> None:
    counts = Counter(met for _, _, met, _ in rows())
    text = " ".join(TABLE.read_text(encoding="utf-8").split())
    said = f"Of {len(rows())} requirements: {counts['yes']} yes, {counts['partly']} partly, {counts['no']} no"
    assert said in text
    assert f"{counts['not applicable']} not applicable" in text


def test_every_proof_exists() -> None:
    found = 0
    for number, _, met, proof in rows():
        for place in PROOF.findall(proof):
            path, _, name = place.partition("::")
            if path in MADE_LATER or path.startswith("agent/"):
                continue
            assert (ROOT / path).exists(), f"{number}: {path}"
            if name:
                text = (ROOT / path).read_text(encoding="utf-8")
                assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"{number}: {place}"
            found += 1
        assert met != "no" or len(proof.split()) > 3, f"{number}: say what is missing"
    assert found > 150
