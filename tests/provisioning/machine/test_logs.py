"""Log files read across rotation."""

from apps.provisioning.machine.logs import log_last_lines, log_read


def test_nothing_is_lost_or_repeated_over_a_rotation(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("one\n")
    text, offset = log_read(log, "")
    assert text == "one\n"
    with log.open("a") as stream:
        stream.write("two\n")
    log.rename(tmp_path / "app.log.1")
    log.write_text("three\nfo")
    text, offset = log_read(log, offset)
    assert text == "two\nthree\n"
    with log.open("a") as stream:
        stream.write("ur\n")
    assert log_read(log, offset)[0] == "four\n"


def test_a_file_that_was_cut_is_read_from_its_start(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("a long first line\n")
    offset = log_read(log, "")[1]
    with log.open("w") as stream:
        stream.write("new\n")
    assert log_read(log, offset)[0] == "new\n"


def test_reading_goes_on_in_pieces(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    offset, parts = "", []
    while True:
        text, offset = log_read(log, offset, limit=100)
        if not text:
            break
        parts.append(text)
    assert "".join(parts) == log.read_text()
    assert log_last_lines(log, 2) == ["line 998", "line 999"]


def test_no_log_is_an_empty_one(tmp_path):
    assert log_read(tmp_path / "none.log", "") == ("", "")
    assert log_last_lines(tmp_path / "none.log") == []
