"""Which records of trust count, as measured with the real CLI (tests/claude/test_readiness.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from invariants.trust import trust_keys


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory three levels below one that is in no repository."""
    made = tmp_path / "src" / "api" / "deep"
    made.mkdir(parents=True)
    return made


def worktree(place: Path, repository: Path, back: str | None = None) -> None:
    """Make *place* a worktree of *repository*, as git-worktree(1) does."""
    inside = repository / "worktrees" / "w"
    inside.mkdir(parents=True)
    (place / ".git").write_text(f"gitdir: {inside}\n")
    (inside / "commondir").write_text("../..\n")
    (inside / "gitdir").write_text(f"{back or place / '.git'}\n")


def test_every_parent_counts_outside_a_repository(place: Path) -> None:
    keys = trust_keys(str(place))

    assert [str(place), *map(str, place.parents)] == keys


def test_symlink_counts_as_what_it_leads_to(place: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(place)

    assert trust_keys(str(place)) == trust_keys(str(link))
    assert str(link) not in trust_keys(str(link))


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_nothing_above_a_repository_counts_within(place: Path, kind: str) -> None:
    dot_git = place.parent / ".git"
    dot_git.mkdir() if kind == "directory" else dot_git.write_text("gitdir: elsewhere\n")

    assert [str(place), str(place.parent)] == trust_keys(str(place))


def test_dangling_dot_git_is_none(place: Path) -> None:
    (place / ".git").symlink_to("nowhere")

    assert len(place.parents) + 1 == len(trust_keys(str(place)))


def test_repository_counts_for_its_worktrees(place: Path, tmp_path: Path) -> None:
    worktree(place, tmp_path / "main" / ".git")

    assert [str(place), str(tmp_path / "main")] == trust_keys(str(place))


def test_bare_repository_counts_for_its_worktrees(place: Path, tmp_path: Path) -> None:
    worktree(place, tmp_path / "bare.git")

    assert [str(place), str(tmp_path / "bare.git")] == trust_keys(str(place))


def test_worktree_may_be_named_by_a_relative_path(place: Path) -> None:
    worktree(place, place.parent / "main" / ".git")
    (place / ".git").write_text("gitdir: ../main/.git/worktrees/w\n")

    assert [str(place), str(place.parent / "main")] == trust_keys(str(place))


def test_repository_does_not_count_where_it_does_not_know_the_worktree(
    place: Path, tmp_path: Path
) -> None:
    worktree(place, tmp_path / "main" / ".git", back=f"{place.parent}/elsewhere/.git")
    assert [str(place)] == trust_keys(str(place))

    (tmp_path / "main" / ".git" / "worktrees" / "w" / "gitdir").unlink()
    assert [str(place)] == trust_keys(str(place))


@pytest.mark.parametrize("content", [b"nothing", b"gitdir: /proc/self/mem\n", b"\xff" * 9000])
def test_file_that_is_no_worktrees_leads_nowhere(place: Path, content: bytes) -> None:
    (place / ".git").write_bytes(content)

    assert [str(place)] == trust_keys(str(place))


def test_directory_that_is_not_there_is_an_error(place: Path) -> None:
    with pytest.raises(FileNotFoundError):
        trust_keys(str(place / "nowhere"))
