"""Damaged tables, models and checkpoints: refused in a paragraph or worked with; no traceback, no hang."""

import random
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chainrule.cli import main

TABLES = 250
FILES = 400
LONGEST = 20.0
"""Seconds for one command; each takes a few hundredths."""

PIECES = [
    b"", b",", b";", b"\t", b"|", b'"', b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"\xff", b"\xe4", b"\xef\xbb\xbf",
    b"inf", b"-inf", b"nan", b"NA", b"1e999", b"1e308", b"-1e308", b"1_000", b"0x1F", b"1,5", b"2024-02-30",
    b"\xd9\xa3", b"99999999999999999999", b"a" * 200_000, b'"""', b"'", b"\\", b"=1+1", b"../../x", b"true",
]  # fmt: skip

OPTIONS: list[list[str]] = [
    [], [], ["--folds", "2"], ["--test", "0"], ["--task", "classification"], ["--hidden", "none"], ["--stream"],
    ["--header", "yes"],
]  # fmt: skip

TABLE_OPTIONS = {
    "auto-mpg": [
        ["--numeric", "horsepower"],
        ["--category", "year"],
        ["--leave-out", "origin"],
        ["--date", "year"],
    ],
    "penguins": [["--class-weight", "balanced"], ["--task", "regression"], ["--category", "body_mass_g"]],
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def chainrule(*arguments: str) -> Result:
    start = time.perf_counter()
    result = CliRunner().invoke(main, list(arguments), prog_name="chainrule")
    told = f"{arguments}: {result.output[-400:]} {result.exception!r}"
    assert result.exception is None or isinstance(result.exception, SystemExit), told
    assert result.exit_code in (0, 2), told
    assert "Traceback" not in result.output, told
    assert time.perf_counter() - start < LONGEST, told
    return result


def mutated(content: bytes, draw: random.Random) -> bytes:
    """The content with a few bytes, cells or lines changed, lost, or there twice; or cut off."""
    found = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(found) + 1)
        how = draw.randrange(6)
        if how == 0:
            found[at : at + draw.choice([1, 1, 5, 40])] = draw.choice(PIECES)
        elif how == 1:
            found[at:at] = draw.choice(PIECES)
        elif how == 2:
            found[at : at + 1] = bytes([draw.randrange(256)])
        elif how == 3:
            lines = bytes(found).split(b"\n")
            place = draw.randrange(len(lines))
            lines[place:place] = [lines[draw.randrange(len(lines))]]
            found = bytearray(b"\n".join(lines))
        elif how == 4:
            del found[at : at + draw.randrange(1, 300)]
        else:
            old, new = draw.choice(
                [(b",", b";"), (b",", b"\t"), (b".", b","), (b"\n", b"\r\n"), (b"\n", b"\r")]
            )
            found = bytearray(bytes(found).replace(old, new, draw.choice([-1, 1, 50])))
    return bytes(found[: draw.randrange(len(found) + 1)] if draw.random() < 0.1 else found)


def test_mutated_tables() -> None:
    draw = random.Random(0)
    tables = [
        (name, target, (files("chainrule.data") / "tables" / f"{name}.csv").read_bytes())
        for name, target in (("auto-mpg", "mpg"), ("penguins", "species"))
    ]
    codes = []
    for _ in range(TABLES):
        name, target, content = draw.choice(tables)
        header, *rows = content.splitlines(keepends=True)
        rows = draw.sample(rows, min(len(rows), draw.choice([2, 15, 80, 400])))
        Path("table.csv").write_bytes(mutated(b"".join([header, *rows]), draw))
        options = ["--epochs", "1", *draw.choice(OPTIONS + TABLE_OPTIONS[name])]
        result = chainrule("train", "table.csv", "--target", target, *options)
        codes.append(result.exit_code)
        left = {path.name for path in Path().iterdir()} - {"table.csv"}
        assert left == (set() if result.exit_code else {"table.safetensors", "table.svg"}), result.output
        for name in left:
            Path(name).unlink()
    assert 30 < codes.count(2) < TABLES - 20, "some are refused, and some are not"


def saved_files() -> tuple[bytes, bytes]:
    """A model, and a checkpoint of its run."""
    kept: dict[str, bytes] = {}
    unlink = Path.unlink

    def keep(path: Path, missing_ok: bool = False) -> None:
        if path.name == "penguins.checkpoint.safetensors" and path.exists():
            kept["checkpoint"] = path.read_bytes()
        unlink(path, missing_ok=missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", keep)
        assert chainrule("train", "penguins", "--epochs", "2", "--checkpoint-every", "1").exit_code == 0
    return Path("penguins.safetensors").read_bytes(), kept["checkpoint"]


def in_header(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The file with its JSON header changed and its length put right, so that the change is seen."""
    length = int.from_bytes(content[:8], "little")
    header = change(content[8 : 8 + length])
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def test_mutated_models_and_checkpoints() -> None:
    draw = random.Random(1)
    model, checkpoint = saved_files()
    codes = []
    for number in range(FILES):
        content = (model, checkpoint)[number % 2]
        if number % 3:
            changed = in_header(content, lambda header: mutated(header, draw))
        else:
            changed = mutated(content, draw)
        Path("damaged.checkpoint.safetensors").write_bytes(changed)
        if number % 2:
            result = chainrule("train", "--resume", "damaged.checkpoint.safetensors")
        else:
            result = chainrule(
                "predict", "damaged.checkpoint.safetensors", "--row", "Torgersen,39.1,18.7,181,3750,male"
            )
        codes.append(result.exit_code)
    assert codes.count(2) > FILES / 4


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_deep_and_huge_descriptions(depth: int) -> None:
    model, _ = saved_files()
    for old, new in (
        (b'\\"features\\": ', b'\\"features\\": ' + b"[" * depth + b"1" + b"]" * depth + b', \\"others\\": '),
        (b'\\"version\\": 2', b'\\"version\\": ' + b"9" * depth),
        (b"[", b'["' + b"../" * depth + b'",'),
    ):
        Path("damaged.safetensors").write_bytes(in_header(model, lambda h, o=old, n=new: h.replace(o, n, 1)))  # type: ignore[misc]
        assert chainrule("predict", "damaged.safetensors", "--row", "1").exit_code == 2
