"""What the project says of itself is true, and every example in its documents runs."""

import doctest
import re
import shlex
import subprocess
import sysconfig
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import chainrule

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "chainrule"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
COMMAND = Path(sysconfig.get_path("scripts")) / "chainrule"

FENCE = re.compile(r"\s*(?P<marks>`{3,}|~{3,})\s*(?P<language>[\w-]*)")
EXCUSE = re.compile(r"<!--\s*not executed\b:?\s*(?P<reason>.*?)\s*-->")


@dataclass(frozen=True)
class Block:
    """A fenced block of a Markdown file; ``line`` is that of its first line of code."""

    language: str
    code: str
    line: int
    excuse: str | None


def fenced_blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown text, with the reason given for not executing one, if any."""
    language, marks, excuse, start, code, before = "", "", None, 0, list[str](), ""
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if marks and line.strip().startswith(marks) and not line.strip().strip(marks[0]):
            yield Block(language, textwrap.dedent("\n".join(code)) + "\n", start, excuse)
            marks, before = "", ""
        elif marks:
            code.append(line)
        elif fence:
            language, marks, start, code = fence["language"], fence["marks"], number + 1, []
            excuse = found["reason"] if (found := EXCUSE.search(before)) else None
        elif line.strip():
            before = line
    assert not marks, f"line {start - 1}: this block is never closed"


def run_python(block: Block, path: Path, namespace: dict[str, Any]) -> str:
    """Execute a block, as a doctest if it shows prompts; returns what it prints.

    Tracebacks name the document's own lines.
    """
    if not block.code.lstrip().startswith(">>>"):
        with redirect_stdout(StringIO()) as printed:
            exec(compile("\n" * (block.line - 1) + block.code, path, "exec"), namespace)
        return printed.getvalue()
    test = doctest.DocTestParser().get_doctest(block.code, namespace, path.name, str(path), block.line - 1)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(
        test, out=report.append, clear_globs=False
    )
    namespace.update(test.globs)
    assert not report, "".join(report)
    return ""


def run_commands(block: Block, path: Path) -> list[str]:
    """Run every line that starts with ``$ chainrule``; what each of them prints."""
    lines = block.code.replace("\\\n", " ").splitlines()
    printed = []
    for command in [line.removeprefix("$ ") for line in lines if line.startswith("$ chainrule")]:
        arguments = shlex.split(command, comments=True)[1:]
        run = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, f"{path.name}, line {block.line}: {command}\n{run.stdout}{run.stderr}"
        printed.append(run.stdout)
    return printed


def is_part(shown: str, printed: str, same: Callable[[str, str], bool] = str.__eq__) -> bool:
    """Whether the lines of a block are in what was printed, one after the other.

    Their indentation may be less, and the file and line of a function may be other ones, or left out. A line of three
    dots stands for any lines. `same` compares two lines.
    """
    if "\n…\n" in shown:
        return all(is_part(part, printed, same) for part in shown.split("\n…\n"))
    shown, printed = (re.sub(r" \([\w./-]+, line \d+\)", "", text) for text in (shown, printed))
    shown, printed = (re.sub(r"[\w./-]+, line \d+", "FILE, line N", text) for text in (shown, printed))
    lines, out = shown.strip("\n").splitlines(), printed.splitlines()
    parts = ("\n".join(out[i : i + len(lines)]) for i in range(len(out) - len(lines) + 1))
    return any(all(map(same, lines, textwrap.dedent(part).splitlines())) for part in parts)


def is_alike(shown: str, printed: str) -> bool:
    """Whether two lines are equal but for the last digits of decimal numbers: training differs between machines."""
    number = r"-?\d+\.\d+(?:e[+-]?\d+)?"
    pairs = zip(re.findall(number, shown), re.findall(number, printed), strict=False)
    same_words = re.sub(rf" *{number}", " 0.0", shown) == re.sub(rf" *{number}", " 0.0", printed)
    return same_words and all(float(a) == pytest.approx(float(b), rel=0.02, abs=1e-12) for a, b in pairs)


def run_document(path: Path) -> int:
    """Execute a document from top to bottom in the current folder; how many examples it had.

    A block of text behind one of Python or of commands shows a part of what that prints.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    executed, printed, same = 0, None, str.__eq__
    for block in fenced_blocks(path.read_text(encoding="utf-8")):
        if block.language == "text" and printed is not None:
            assert is_part(block.code, printed, same), (
                f"{path.name}, line {block.line}: printed was\n{printed}"
            )
            printed = None
            continue
        printed = None
        if block.excuse is not None:
            assert block.excuse, f"{path.name}, line {block.line}: not executed, and no reason is given"
        elif block.language in ("python", "pycon"):
            printed, same = run_python(block, path, namespace), str.__eq__
            executed += 1
        else:
            outputs = run_commands(block, path)
            executed += len(outputs)
            printed, same = "".join(outputs) or None, is_alike
    return executed


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_examples_of_a_document_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    executed = run_document(path)
    assert executed or path.name != "README.md", "the README shows no example"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\nassert 1 == 2, 'one'\n```\n", "one"),
        ("1. So:\n   ~~~python\n   assert 1 == 2, 'two'\n   ~~~\n", "two"),
        ("```python\n>>> 1 + 1\n3\n```\n", "Expected:"),
        ("```console\n$ chainrule no-such-command\n```\n", "line 2: chainrule no-such-command"),
        ("<!-- not executed -->\n```python\n1 / 0\n```\n", "no reason is given"),
        ("```python\nx = 1\n", "line 1: this block is never closed"),
        ("```python\nprint('one two')\n```\n```text\none three\n```\n", r"line 5: printed was\s+one two"),
        (
            "```console\n$ chainrule --version\n```\n```text\nchainrule 9\n```\n",
            r"line 5: printed was\s+chainrule",
        ),
        ("```python\nprint('a 1.5')\n```\n```text\na 1.5001\n```\n", r"line 5: printed was\s+a 1.5"),
        ("```python\nprint('1\\n2\\n3')\n```\n```text\n1\n…\n4\n```\n", "line 5: printed was"),
    ],
)
def test_a_wrong_example_fails(tmp_path: Path, text: str, message: str) -> None:
    document = tmp_path / "wrong.md"
    document.write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError, match=message):
        run_document(document)


def test_numbers_that_a_command_prints_may_differ_in_their_last_digits() -> None:
    assert is_alike("MAE  2.201   0.5", "MAE  2.203   0.5")
    assert not is_alike("MAE  2.201", "MAE  2.301")
    assert not is_alike("MAE  2.201", "RMSE  2.201")
    assert not is_alike("80 rows", "81 rows")


def test_the_blocks_of_a_document_share_their_names(tmp_path: Path) -> None:
    document = tmp_path / "right.md"
    document.write_text(
        "```python\nx = 2\n```\n```pycon\n>>> y = x + 1\n>>> y\n3\n```\n```python\nassert y == 3\n```\n"
        "<!-- not executed: it needs a GPU -->\n\n```python\n1 / 0\n```\n```text\n$ make run\n```\n"
        "````markdown\n```python\n1 / 0\n```\n````\n"
        "```python\nprint(*range(9), sep='\\n')\n```\n```text\n1\n2\n…\n7\n8\n```\n",
        encoding="utf-8",
    )
    assert run_document(document) == 4


def test_the_code_under_test_is_that_of_this_checkout() -> None:
    assert Path(chainrule.__file__).parent == PACKAGE


def test_one_version_everywhere() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert chainrule.__version__ == version("chainrule") == declared
    assert f"\n## [{declared}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_users_get_our_types() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_the_package_is_small() -> None:
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    sizes = {path: path.stat().st_size for path in files}
    facades = sum(
        n for path, n in sizes.items() if path.relative_to(PACKAGE).parts[0] in ("torch", "tensorflow")
    )
    assert sum(sizes.values()) - facades < 2_050_000
    assert facades < 1_200_000


def test_no_file_names_a_folder_of_its_authors_machine() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    private = re.compile(r"/(?:work|root|home/\w+|Users/\w+)/|/(?:tmp)/w")
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    mentions = [
        f"{path.relative_to(ROOT)}, line {number}: {line.strip()}"
        for path in paths
        if path.is_file()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if private.search(line)
    ]
    assert mentions == []
