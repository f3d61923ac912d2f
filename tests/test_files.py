"""Files that are whole or not there: writes that end in the middle, and what they leave."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chainrule.errors import OutputError
from chainrule.files import replacing, write_atomically

WRITER = (
    "import sys, time\nfrom pathlib import Path\nfrom chainrule.files import replacing\n"
    "with replacing(Path(sys.argv[1])) as file:\n"
    "    file.write(b'half'); file.flush(); print('writing', flush=True); sys.stdin.readline()\n"
    "    file.write(b' and half')\n"
)


def writer(path: Path) -> subprocess.Popen[str]:
    """A process that has begun to write a file, and goes on when it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    return process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_body_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, b"before")

    def fails() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert path.read_bytes() == b"before" and names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="what a killed process left stays there")
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    path, other = tmp_path / "a[1].txt", tmp_path / "a[1].txt.b"
    for place in (path, other):
        with writer(place) as process:
            process.send_signal(signal.SIGKILL)
    assert len(names(tmp_path)) == 2 and all(name.endswith(".part") for name in names(tmp_path))
    write_atomically(path, b"whole")
    kept = names(tmp_path)
    assert len(kept) == 2 and "a[1].txt" in kept and kept[0].startswith(".a[1].txt.b."), (
        "another file's stays"
    )
    write_atomically(other, b"")
    assert names(tmp_path) == ["a[1].txt", "a[1].txt.b"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals and locks as in POSIX")
def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with writer(path) as process:
        write_atomically(path, b"ours")
        assert path.read_bytes() == b"ours" and len(names(tmp_path)) == 2
        process.communicate("\n")
    assert process.returncode == 0
    assert path.read_bytes() == b"half and half" and names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="the locks of POSIX")
def test_a_link_and_a_folder_of_such_a_name_are_no_temporary_files(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("kept")
    (tmp_path / ".a.txt.7-00000000.part").symlink_to(target)
    (tmp_path / ".a.txt.7-00000001.part").mkdir()
    write_atomically(tmp_path / "a.txt", b"")
    assert target.read_text() == "kept" and len(names(tmp_path)) == 4


def test_many_writers_of_one_file_leave_one_whole(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom chainrule.files import write_atomically\n"
        "for i in range(150):\n    write_atomically(Path(sys.argv[1]), sys.argv[2].encode() * 1000)\n"
    )
    path = tmp_path / "a.txt"
    runs = [subprocess.Popen([sys.executable, "-c", script, str(path), letter]) for letter in "abc"]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert path.read_bytes() in (b"a" * 1000, b"b" * 1000, b"c" * 1000)
    assert names(tmp_path) == ["a.txt"]


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    left = tmp_path / ".a.txt.7-00000000.part"
    left.write_text("somebody's")
    write_atomically(tmp_path / "a.txt", b"whole")
    assert names(tmp_path) == [left.name, "a.txt"]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a.txt cannot be written: No such file or directory"):
        write_atomically(tmp_path / "none" / "a.txt", b"")
