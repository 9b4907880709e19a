"""Volumes: created once, adopted by name, cloned into, deleted without following links."""

import os
import subprocess
import threading

import pytest

from apps.provisioning.machine.errors import InvalidRequest
from apps.provisioning.machine.repositories import repository_checked, repository_folder, revision_checked
from apps.provisioning.machine.trees import tree_remove, tree_used_bytes
from apps.provisioning.machine.volumes import VolumeSpec


def test_created_read_adopted_and_deleted(bench):
    status, volume = bench.ask("PUT", "/v1/volumes/home", {"files": {"a/b.txt": "hello"}, "size_limit_mb": 100})
    assert status == 201
    assert volume["id"] == f"{bench.workspace}/home"
    assert volume["size_limit_mb"] == 100
    seeded = bench.machine.layout.volume(bench.workspace, "home") / "a" / "b.txt"
    assert seeded.read_text() == "hello"
    seeded.write_text("mine")
    status, adopted = bench.ask("PUT", "/v1/volumes/home", {"files": {"a/b.txt": "other", "new": "x"}})
    assert (status, adopted["id"]) == (200, volume["id"])
    assert seeded.read_text() == "mine"
    assert not (seeded.parent.parent / "new").exists()
    status, read = bench.ask("GET", "/v1/volumes/home")
    assert (status, read["used_bytes"] > 0) == (200, True)
    assert bench.ask("DELETE", "/v1/volumes/home") == (204, None)
    assert bench.ask("DELETE", "/v1/volumes/home") == (204, None)
    status, problem = bench.ask("GET", "/v1/volumes/home")
    assert (status, problem["code"]) == (404, "machine:volume-not-found")


def test_two_creations_at_once_make_one(bench):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(bench.ask("PUT", "/v1/volumes/home", {})[0])) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 201]


def test_one_begins_while_the_only_other_one_goes(bench):
    volumes, failed = bench.machine.volumes, []

    def again_and_again(name):
        try:
            for _ in range(300):
                volumes.put(bench.workspace, name, VolumeSpec())
                volumes.delete(bench.workspace, name)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=again_and_again, args=(name,)) for name in ("files", "home")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_volume_in_use_is_not_deleted(bench):
    bench.service()
    status, problem = bench.ask("DELETE", "/v1/volumes/home")
    assert (status, problem["code"]) == (409, "machine:volume-in-use")
    bench.ask("DELETE", "/v1/services/app")
    assert bench.ask("DELETE", "/v1/volumes/home")[0] == 204


def test_deleting_follows_no_link(bench, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    bench.run(
        f"import os; os.symlink({str(precious)!r}, 'link'); os.symlink({str(precious / 'file')!r}, 'file')\n"
        "os.makedirs('sub/shut'); open('sub/shut/x','w').write('x'); os.chmod('sub/shut', 0o500); os.chmod('sub', 0)\n"
    )
    bench.ask("DELETE", "/v1/services/app")
    assert bench.ask("DELETE", "/v1/volumes/home")[0] == 204
    assert (precious / "file").read_text() == "keep"
    assert not bench.machine.layout.volume(bench.workspace, "home").exists()


def test_a_volume_replaced_by_a_link_loses_only_the_link(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "volume").symlink_to(target)
    tree_remove(tmp_path / "volume")
    assert target.is_dir()
    assert not (tmp_path / "volume").is_symlink()


def test_used_bytes_counts_what_is_inside_only(tmp_path):
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "small").write_bytes(b"x" * 10_000)
    (volume / "away").symlink_to(tmp_path)
    os.link(volume / "small", volume / "twice")
    assert 10_000 <= tree_used_bytes(volume) < 100_000


@pytest.fixture
def repository(tmp_path_factory):
    path = tmp_path_factory.mktemp("git") / "churn-model.git"
    path.mkdir()
    for parent in (path.parent, path.parent.parent):
        parent.chmod(0o755)
    git = ["git", "-c", "user.name=dana", "-c", "user.email=dana@example.org", "-C", str(path)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    (path / "train.py").write_text("print('training')\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    return f"file://{path}", head


def test_a_repository_is_cloned_on_creation_only(bench, repository):
    url, head = repository
    status, volume = bench.ask("PUT", "/v1/volumes/home", {"repository": url, "files": {"welcome.md": "hi"}})
    assert status == 201, volume
    assert volume["repository_commit"] == head
    home = bench.machine.layout.volume(bench.workspace, "home")
    assert (home / "churn-model" / "train.py").read_text() == "print('training')\n"
    assert (home / "welcome.md").exists()
    assert (home / "churn-model").stat().st_uid == home.stat().st_uid
    if bench.machine.isolation == "bubblewrap+uid":
        assert home.stat().st_uid != os.getuid()


@pytest.fixture
def history(repository):
    """Three commits: the first has a tag, the second a branch, the third is the default branch's newest."""
    url, first = repository
    git = ["git", "-c", "user.name=dana", "-c", "user.email=dana@example.org", "-C", url.removeprefix("file://")]

    def commit(text):
        with open(url.removeprefix("file://") + "/train.py", "w") as file:
            file.write(text)
        subprocess.run([*git, "commit", "-q", "-a", "-m", text], check=True)
        return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    subprocess.run([*git, "tag", "v1"], check=True)
    second = commit("second")
    subprocess.run([*git, "branch", "feature/lr"], check=True)
    return url, {"v1": first, second: second, "feature/lr": second, "main": commit("third")}


def test_a_revision_is_checked_out_after_the_clone(bench, history):
    url, commits = history
    for number, (revision, commit) in enumerate(commits.items()):
        status, volume = bench.ask("PUT", f"/v1/volumes/home-{number}", {"repository": url, "revision": revision})
        assert status == 201, volume
        assert volume["repository_commit"] == commit, revision


def test_a_commit_that_no_branch_leads_to_any_more_is_fetched_by_its_name(bench, history):
    url, commits = history
    git = ["git", "-C", url.removeprefix("file://")]
    subprocess.run([*git, "reset", "-q", "--hard", "v1"], check=True)
    subprocess.run([*git, "config", "uploadpack.allowAnySHA1InWant", "true"], check=True)
    lost = commits["main"]
    status, volume = bench.ask("PUT", "/v1/volumes/home", {"repository": url, "revision": lost})
    assert (status, volume["repository_commit"]) == (201, lost)


def test_a_missing_revision_is_told_by_name_and_leaves_no_volume(bench, history):
    url, _ = history
    for revision in ("v2", "0" * 40):
        status, problem = bench.ask("PUT", "/v1/volumes/home", {"repository": url, "revision": revision})
        assert (status, problem["code"]) == (422, "machine:revision-not-found")
        assert f"has no revision {revision}" in problem["detail"]
        assert problem["log"]
    assert bench.ask("GET", "/v1/volumes/home")[0] == 404


def test_a_revision_given_later_changes_no_file(bench, history):
    url, commits = history
    bench.ask("PUT", "/v1/volumes/home", {"repository": url, "revision": "v1"})
    home = bench.machine.layout.volume(bench.workspace, "home")
    (home / "churn-model" / "mine.txt").write_text("kept")
    status, volume = bench.ask("PUT", "/v1/volumes/home", {"repository": url, "revision": "main"})
    assert (status, volume["repository_commit"]) == (200, commits["v1"])
    assert (home / "churn-model" / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    "revision", ["--upload-pack=id", "-b", "a b", "a..b", "main@{1}", "x\ny", "a" * 201, "v1^{}", "~"]
)
def test_revisions_that_git_would_read_as_more_are_refused(revision):
    with pytest.raises(InvalidRequest):
        revision_checked(revision)


def test_a_failed_clone_tells_gits_words_and_leaves_no_volume(bench, tmp_path):
    (tmp_path / "empty").mkdir()
    status, problem = bench.ask("PUT", "/v1/volumes/home", {"repository": f"file://{tmp_path}/empty"})
    assert (status, problem["code"]) == (422, "machine:clone-failed")
    assert any("fatal" in line for line in problem["log"])
    assert bench.ask("GET", "/v1/volumes/home")[0] == 404
    assert list(bench.machine.layout.volumes(bench.workspace).iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc", "ext::sh -c id", "--upload-pack=id", "https://", "/etc", "ssh://-oProxyCommand=id/x",
        "https://example.org/a b", "git@-x:y", "https://example.org/a\nb",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(url):
    with pytest.raises(InvalidRequest):
        repository_checked(url, allow_file=False)


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("https://example.org/team/model.git", "model"),
        ("git@example.org:team/model", "model"),
        ("ssh://git@example.org/model.git/", "model"),
        ("https://example.org/..", "repository"),
    ],
)
def test_the_folder_of_a_clone(url, folder):
    repository_checked(url, allow_file=False)
    assert repository_folder(url) == folder
