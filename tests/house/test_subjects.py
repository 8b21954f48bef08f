"""The check of commits' subjects, over histories made for it: full, shallow, merged, and none at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools import subjects

ROOT = Path(__file__).parents[2]
BEFORE, AFTER = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"


def git(folder: Path, *arguments: str, at: str = AFTER) -> None:
    """Run git in `folder`, by nobody's configuration, at a date."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_COMMITTER_DATE": at,
        "GIT_AUTHOR_DATE": at,
    }
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], env=environment, check=True)


def commit(folder: Path, subject: str, at: str = AFTER) -> None:
    """Add an empty commit."""
    git(folder, "commit", "-q", "--allow-empty", "-m", subject, at=at)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A history of one good commit after the rule, on top of one with a subject from before the rule."""
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "Anything goes in a subject from before the rule", BEFORE)
    commit(folder, "join: keep the order")
    return folder


@pytest.mark.parametrize(
    "subject", ["join: keep the order", "web, cli: say the same", "join: " + "x" * 66, "e2e: 3 rounds"]
)
def test_subjects_that_keep_the_rules(subject: str) -> None:
    assert subjects.fault(subject) is None


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ("Keep the order", "scope word"),
        ("Join: keep the order", "scope word"),
        ("join:keep the order", "scope word"),
        ("join of outcomes: keep the order", "scope word"),
        (": keep the order", "scope word"),
        ("join: " + "x" * 67, "73 characters"),
    ],
)
def test_subjects_that_break_a_rule(subject: str, why: str) -> None:
    assert why in (subjects.fault(subject) or "")


def test_commits_from_before_the_rule_are_left_out(clone: Path) -> None:
    assert subjects.main(clone) == 0


def test_a_broken_subject_fails_and_is_printed(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    commit(clone, "Keep the order")
    assert subjects.main(clone) == 1
    assert "Keep the order\n    begin with a scope word" in capfd.readouterr().out


def test_a_merge_is_left_out_and_its_commits_are_not(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    git(clone, "checkout", "-q", "-b", "side")
    commit(clone, "Keep the side")
    git(clone, "checkout", "-q", "main")
    git(clone, "merge", "-q", "--no-ff", "-m", "Merge branch 'side'", "side")
    assert subjects.main(clone) == 1
    assert "2 subjects of commits checked, 1 broken" in capfd.readouterr().out


def test_a_shallow_clone_checks_the_commits_it_has(
    clone: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    commit(clone, "Keep the order")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{clone}", "shallow")
    assert subjects.main(tmp_path / "shallow") == 1
    assert "1 subjects of commits checked, 1 broken" in capfd.readouterr().out


def test_a_folder_inside_another_checkout_has_no_history_of_its_own(clone: Path) -> None:
    commit(clone, "Keep the order")
    (clone / "unpacked").mkdir()
    assert subjects.main(clone / "unpacked") == 0


def test_a_folder_outside_of_every_checkout_passes(tmp_path: Path) -> None:
    assert subjects.main(tmp_path) == 0


def test_a_history_that_git_cannot_read_fails(clone: Path) -> None:
    (clone / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(subprocess.CalledProcessError):
        subjects.main(clone)


def test_subjects_are_checked_with_the_other_checks() -> None:
    target = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    assert "-m tools.subjects" in target


def test_continuous_integration_has_the_commits_to_check() -> None:
    assert "fetch-depth: 0" in (ROOT / ".github/workflows/ci.yml").read_text()
