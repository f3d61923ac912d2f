"""`chainrule run`: programs and notebooks with the façades in the place of the libraries, and their comparison."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from chainrule.cli import main
from chainrule.errors import ProgramError
from chainrule.programs import Cell, Program, compared, read_program, run_program
from chainrule.programs.display import Output
from chainrule.programs.facades import answered_by_facades
from chainrule.programs.magics import without_magics
from chainrule.programs.tokens import close, tokens_of


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def chainrule(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["run", *arguments], prog_name="chainrule")


def notebook(*cells: str | tuple[str, str], name: str = "book.ipynb") -> str:
    """Write a notebook of cells, some with the text that is stored as their output."""
    found: list[dict[str, Any]] = [{"cell_type": "markdown", "source": ["# Title"]}]
    for cell in cells:
        source, stored = cell if isinstance(cell, tuple) else (cell, "")
        outputs = (
            [{"output_type": "stream", "name": "stdout", "text": stored.splitlines(True)}] if stored else []
        )
        found.append(
            {"cell_type": "code", "source": source.splitlines(True), "execution_count": 1, "outputs": outputs}
        )
    Path(name).write_text(json.dumps({"nbformat": 4, "cells": found}), encoding="utf-8")
    return name


# running -------------------------------------------------------------------------------------------------


def test_a_notebook_shows_what_jupyter_shows() -> None:
    name = notebook(
        "x = 3",
        "print('hello')\nx",
        "x;",
        "x  # no semicolon; here",
        "y = {'a': 1}\ny",
        "None",
        "display(x, 'two')\n_",
        "# nothing at all",
    )
    result = chainrule(name)
    assert result.exit_code == 0, result.output
    assert result.stdout == "[2]\nhello\n3\n[4]\n3\n[5]\n{'a': 1}\n[7]\n3\n'two'\n{'a': 1}\n"


def test_the_libraries_are_answered_by_the_facades() -> None:
    name = notebook(
        "import torch, torch.nn.functional as F\nfrom torch import nn, optim\nfrom torch.utils.data import DataLoader",
        "import tensorflow as tf, keras as k\nfrom tensorflow import keras\nfrom tensorflow.keras.layers import Dense",
        "print(torch.__name__, F.__name__, nn.__name__, tf.__name__, keras.__name__, k is keras)",
        "x = torch.tensor(2.0, requires_grad=True)\n(x**3).backward()\nx.grad",
        "v = tf.Variable(3.0)\nwith tf.GradientTape() as tape:\n    y = v * v\ntape.gradient(y, v)",
    )
    before = {key for key in sys.modules if key.partition(".")[0] in ("torch", "tensorflow", "keras")}
    result = chainrule(name)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1:] == [
        "chainrule.torch chainrule.torch.nn.functional chainrule.torch.nn chainrule.tensorflow "
        "chainrule.tensorflow.keras True",
        "[4]",
        "tensor(12.)",
        "[5]",
        "<tf.Tensor: shape=(), dtype=float32, numpy=6.0>",
    ]
    assert {key for key in sys.modules if key.partition(".")[0] in ("torch", "tensorflow", "keras")} == before


def test_the_facades_keep_their_own_specification() -> None:
    with answered_by_facades():
        import torch

        assert torch.__spec__.name == "chainrule.torch"
        assert torch.__name__ == "chainrule.torch"


def test_the_real_library_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)  # another library may have imported it
    Path("torch.py").write_text("manual_seed = print\nname = 'the real one'\n", encoding="utf-8")
    name = notebook("import torch, tensorflow\nprint(torch.name, tensorflow.__name__)")
    assert chainrule("--real", "torch", name).stdout == "[1]\nthe real one chainrule.tensorflow\n"
    result = chainrule("--real", "tourch", name)
    assert result.exit_code == 2
    assert "--real tourch: choose one of torch, tensorflow" in result.output


def test_a_script_is_the_main_program_in_its_own_folder() -> None:
    Path("inner").mkdir()
    Path("inner/data.txt").write_text("7", encoding="utf-8")
    Path("inner/helper.py").write_text("value = 5\n", encoding="utf-8")
    Path("inner/program.py").write_text(
        "import sys, helper, os\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Point:\n    x: int\n"
        "if __name__ == '__main__':\n"
        "    print(open('data.txt').read(), helper.value, sys.argv, os.path.basename(__file__), Point(1))\n"
        "'not shown'\n",
        encoding="utf-8",
    )
    result = chainrule("inner/program.py")
    assert result.exit_code == 0, result.output
    assert result.stdout == "7 5 ['inner/program.py'] program.py Point(x=1)\n"
    assert "helper" not in sys.modules
    assert sorted(path.name for path in Path("inner").iterdir()) == ["data.txt", "helper.py", "program.py"]


def test_everything_is_as_before_afterwards() -> None:
    name = notebook(
        "import os, sys, warnings\nimport numpy as np\nnp.set_printoptions(precision=2)\nos.chdir('/')\n"
        "sys.path.insert(0, '/nowhere')\nsys.argv.append('x')\nwarnings.simplefilter('ignore')\nimport __main__\n"
        "__main__.x = 1\nprint(x, os.environ['MPLBACKEND'])"
    )
    main_module, folder, path, argv = sys.modules["__main__"], os.getcwd(), list(sys.path), list(sys.argv)
    precision, filters = np.get_printoptions()["precision"], list(__import__("warnings").filters)
    assert chainrule(name).stdout == "[1]\n1 Agg\n"
    assert sys.modules["__main__"] is main_module
    assert (os.getcwd(), sys.path, sys.argv) == (folder, path, argv)
    assert np.get_printoptions()["precision"] == precision
    assert list(__import__("warnings").filters) == filters
    assert "MPLBACKEND" not in os.environ or os.environ["MPLBACKEND"] != "Agg"
    assert sorted(file.name for file in Path().iterdir()) == ["book.ipynb"]


MAGICS = [
    ("%matplotlib inline\nx = 1", "pass\nx = 1", ["%matplotlib inline"]),
    ("!pip install torch\nx = 1", "pass\nx = 1", ["!pip install torch"]),
    ("if True:\n    %timeit f()\n    y = 2", "if True:\n    pass\n    y = 2", ["%timeit f()"]),
    ("x = !ls", "pass", ["x = !ls"]),
    ("torch.zeros?", "pass", ["torch.zeros?"]),
    ("?print\nlen??", "pass\npass", ["?print", "len??"]),
    ("%%time\nx = 1", "pass\nx = 1", ["%%time"]),
    ("%%bash\nrm -rf x", "", ["%%bash"]),
    ("x = 7 \\\n  % 4", "x = 7 \\\n  % 4", []),
    ("x = '''\n%no magic\n!none\n'''", "x = '''\n%no magic\n!none\n'''", []),
    ("x = = 1", "x = = 1", []),
]


@pytest.mark.parametrize(("source", "expected", "skipped"), MAGICS, ids=[case[0][:12] for case in MAGICS])
def test_commands_of_ipython_are_skipped(source: str, expected: str, skipped: list[str]) -> None:
    assert without_magics(source, "a cell") == (expected, skipped)


def test_skipped_commands_are_told() -> None:
    result = chainrule(notebook("%matplotlib inline\n!pip install torch\nprint(1)"))
    assert result.exit_code == 0
    assert result.stdout == "[1]\n1\n"
    assert (
        "note: book.ipynb, cell 1: skipped '%matplotlib inline', which only Jupyter can do" in result.stderr
    )


# bad input -----------------------------------------------------------------------------------------------


BAD_FILES = [
    ("none.ipynb", None, "there is no file none.ipynb"),
    ("text.txt", "x", "text.txt is neither a program (.py) nor a notebook (.ipynb)"),
    ("a.ipynb", "not json", "a.ipynb is no notebook: it is not JSON, at line 1, column 1"),
    ("a.ipynb", "[1, 2]", "a.ipynb is JSON, but no notebook"),
    ("a.ipynb", '{"cells": 3}', "a.ipynb is JSON, but no notebook"),
    ("a.ipynb", '{"cells": [3]}', "one of its cells lacks a type or a source"),
    ("a.ipynb", '{"worksheets": []}', "an old format; convert it with: jupyter nbconvert"),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_file_that_is_no_program_is_refused(name: str, text: str | None, message: str) -> None:
    if text is not None:
        Path(name).write_text(text, encoding="utf-8")
    result = chainrule(name)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_file_in_another_encoding_is_refused() -> None:
    Path("latin.py").write_bytes(b"x = '\xe9'\n")
    assert "latin.py is no text in its encoding" in chainrule("latin.py").output
    Path("folder.py").mkdir()
    assert "folder.py cannot be read" in chainrule("folder.py").output
    Path("declared.py").write_bytes(b"# -*- coding: latin-1 -*-\nprint('\xe9')\n")
    assert chainrule("declared.py").stdout == "é\n"


FAILURES = [
    ("x = 1\ny = x / 0", "cell 2: ZeroDivisionError: division by zero", "cell 2, line 2: y = x / 0"),
    ("def f():\n    return z\nf()", "NameError: name 'z' is not defined", "cell 2, line 2: return z"),
    ("x = = 1", "cell 2: SyntaxError: invalid syntax", "cell 2, line 1: x = = 1"),
    ("open('data/x.csv')", "there is no file 'data/x.csv'; the program was run in", "line 1: open("),
    ("import no_such_module", "Install it with: python -m pip install no_such_module", "line 1: import"),
    ("from yaml_no import x", "the program needs it", "line 1"),
    (
        "name = input('Name? ')",
        "input('Name? ') asks a question, but nobody is asked while a notebook is run",
        "line 1",
    ),
    (
        "import torch\ntorch.zeross(3)",
        "chainrule.torch has no 'zeross'; the nearest",
        "line 2: torch.zeross(3)",
    ),
    (
        "import tensorflow as tf\ntf.reduce_meen(1)",
        "has no reduce_meen; the nearest are reduce_mean",
        "line 2",
    ),
    ("import torch.distributed.rpc", "answers for torch here, has no module 'distributed'", "line 1"),
    ("assert 1 == 2, 'they differ'", "AssertionError: they differ", "line 1"),
]


@pytest.mark.parametrize(("source", "message", "place"), FAILURES, ids=[case[0][:20] for case in FAILURES])
def test_a_cell_that_fails_ends_the_run(source: str, message: str, place: str) -> None:
    result = chainrule(notebook("print('before')", source, "print('after')"))
    assert result.exit_code == 1
    assert "before" in result.stdout
    assert "after" not in result.stdout
    assert message in result.stderr
    assert place in result.stderr
    assert "book.ipynb, cell 2" in result.stderr
    assert "Traceback" not in result.output
    assert str(Path(__file__).parent.parent / "src") not in result.output


def test_the_lines_that_led_to_a_failure_are_all_told() -> None:
    result = chainrule(notebook("def f(x):\n    return 1 / x", "f(0)"))
    assert result.stderr == (
        "Error: book.ipynb, cell 2: ZeroDivisionError: division by zero\n"
        "  at book.ipynb, cell 2, line 1: f(0)\n"
        "  at book.ipynb, cell 1, line 2: return 1 / x\n"
    )
    assert "Traceback (most recent call last)" in chainrule("--traceback", "book.ipynb").stderr


def test_an_engine_error_names_cell_and_line() -> None:
    result = chainrule(
        notebook(
            "import torch\nx = torch.tensor(1.0, requires_grad=True)",
            "y = x * x\ny.backward()\ny.backward()",
        )
    )
    assert result.exit_code == 1
    assert "book.ipynb, cell 2, line 3: y.backward()" in result.stderr


def test_a_script_that_fails_or_exits() -> None:
    Path("a.py").write_text("def f():\n    raise ValueError('no')\nf()\n", encoding="utf-8")
    result = chainrule("a.py")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: a.py: ValueError: no\n  at a.py, line 3: f()\n  at a.py, line 2: raise ValueError('no')\n"
    )
    for code, expected in (("3", 3), ("0", 0), ("", 0), ("'stopped'", 1)):
        Path("b.py").write_text(f"import sys\nsys.exit({code})\n", encoding="utf-8")
        assert chainrule("b.py").exit_code == expected


# comparing -----------------------------------------------------------------------------------------------


def compare(stored: str, ours: str, *others: str, source: str = "") -> Any:
    return compared(Cell(1, source, "", stored), Output.of(ours), [Output.of(other) for other in others])


SAME = [
    ("a  b\n", "a b"),
    ("1.0", "1.000"),
    ("0.3333", "0.33333333"),
    ("tensor([1., 2.])", "tensor([1.,\n   2.])"),
    ("loss 1.2194585800170898", "loss 1.2194586992263794"),
    ("<a.B object at 0x7f01>", "<a.B at 0x5511>"),
    ("nan inf -inf", "nan inf -inf"),
    ("1e-05", "0.00001"),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "ours"), SAME)
def test_what_counts_as_the_same(stored: str, ours: str) -> None:
    assert compare(stored, ours).same


DIFFERENT = [
    ("0.25", "0.27"),
    ("-0.5", "0.5"),
    ("3", "4"),
    ("loss 1.2194585800170898", "loss 1.2194999456405640"),
    ("2.0545530212110226", "2.0545530212130000"),
    ("a b", "a"),
    ("a", "a b"),
    ("x = 1", "y = 1"),
    ("nan", "0.0"),
    ("1 2 3", "1 2"),
    ("", "printed"),
    ("stored", ""),
    ("True", "False"),
    ("tensor([1.])", "tensor([1.], dtype=torch.float64)"),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "ours"), DIFFERENT)
def test_what_counts_as_different(stored: str, ours: str) -> None:
    found = compare(stored, ours)
    assert not found.same
    assert found.differences[0].stored == stored
    assert found.differences[0].ours == ours


def test_a_difference_shows_its_lines_only() -> None:
    found = compare("a 1\nb 2\nc 3\n", "a 1\nb 5\nc 3\n")
    assert [(d.stored, d.ours) for d in found.differences] == [("b 2", "b 5")]
    found = compare("a 1\nc 3\n", "a 1\nb 2\nc 3\n")
    assert [(d.stored, d.ours) for d in found.differences] == [("", "b 2")]


def test_random_numbers_are_marked_and_the_rest_compared() -> None:
    found = compare("w 0.5 loss 3 of 4", "w 0.7 loss 3 of 4", "w 0.9 loss 3 of 4")
    assert (found.same, found.random, found.compared) == (True, 1, 5)
    assert not compare("w 0.5 loss 3 of 4", "w 0.7 loss 3 of 5", "w 0.9 loss 3 of 5").same
    assert not compare("v 0.5", "w 0.7", "w 0.9").same
    # Of another length, where it is random: what is not random must still be there.
    assert compare("sizes 3 1 2 end", "sizes 5 end", "sizes 7 8 end").same
    assert not compare("sizes 3 1 2", "sizes 5 end", "sizes 7 8 end").same


EXPLAINED = [
    ("0.25", "np.float64(0.25)", "", "NumPy 2 shows the type"),
    ("[1 0]", "[True False]", "", "get_dummies"),
    ("2021-12-23 16:50:52.588684: I tensorflow/core/x.cc:305] Could not\n1", "1", "", "TensorFlow's own log"),
    ("tensor(8.)\n<class 'x'>", "tensor(8.)", "print(y)", "printed by no statement of the cell"),
    ("[[1, 2]", "[[1, 2]]", "", "it has 2 opening, but 1 closing brackets"),
    ("12 " * 333, "12 " * 400, "", "cut after 1000 characters"),
    ("12.25 " * 166 + "12.", "12.25 " * 400, "", "cut after 1000 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "ours", "source", "why"), EXPLAINED, ids=[case[3] for case in EXPLAINED])
def test_differences_that_say_nothing_about_the_program_are_explained(
    stored: str, ours: str, source: str, why: str
) -> None:
    found = compare(stored, ours, source=source)
    assert found.same
    assert any(why in explanation for explanation in found.explanations)


UNEXPLAINED = [
    ("0.25", "np.float64(0.27)", ""),
    ("[1 0]", "[False False]", ""),
    ("tensor(8.)\n<class 'x'>", "tensor(8.)", "for i in range(2):\n    print(y)"),
    ("tensor(8.)\n<class 'x'>", "tensor(9.)", "print(y)"),
    ("[[1, 3]", "[[1, 2]]", ""),
    ("12 " * 333, "12 " * 300, ""),
    ("12 " * 333, "13 " * 400, ""),
    ("12 " * 100, "12 " * 400, ""),
    ("12 " * 400, "12 " * 500, ""),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "ours", "source"), UNEXPLAINED, ids=range(len(UNEXPLAINED)))
def test_an_explanation_must_explain_everything(stored: str, ours: str, source: str) -> None:
    assert not compare(stored, ours, source=source).same


def test_tokens() -> None:
    assert [t.text for t in tokens_of("W1-0.5 a-3 -3 x=-.5e3 [1]-2")] == [
        "W1", "-", "0.5", "a", "-", "3", "-3", "x", "=", "-.5e3", "[", "1", "]", "-", "2",
    ]  # fmt: skip
    assert not close("3.", "3.4")
    assert not close("3", "3.4")
    assert not close("0.5", "0.52")
    assert not close("1e-3", "2.5e-3")


def test_a_last_digit_may_differ_in_a_few_numbers_among_many() -> None:
    stored = " ".join(f"0.{n}" for n in range(10, 50))
    found = compare(stored, stored.replace("0.23", "0.24"))
    assert (found.same, found.rounded) == (True, 1)
    assert not compare(stored, stored.replace("0.23", "0.25")).same
    assert not compare(stored, stored.replace("0.2", "0.3")).same
    assert not compare("0.97 0.5", "0.98 0.5").same


def test_comparing_a_notebook() -> None:
    name = notebook(
        ("import numpy as np\nnp.random.seed(1)\nprint(np.random.rand())", "0.417022004702574\n"),
        ("print('w', np.random.default_rng().random())", "w 0.123\n"),
        ("0.5 + 0.25", "0.75\n"),
        "x = 1",
    )
    result = chainrule("--compare", name)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "✓ cell 1: as stored",
        "✓ cell 2: as stored; 1 random, not compared",
        "✓ cell 3: as stored",
        "3 outputs: 3 as stored (0 with an explanation, 1 with unseeded random numbers), 0 different",
    ]


def test_random_numbers_of_the_facades_are_found() -> None:
    name = notebook(
        ("import torch\ntorch.rand(2)", "tensor([0.1000, 0.2000])\n"),
        ("torch.manual_seed(0)\ntorch.rand(2)", "tensor([0.4963, 0.7682])\n"),
        ("import tensorflow as tf\nprint(tf.random.normal(()))", "tf.Tensor(0.5, shape=(), dtype=float32)\n"),
        ("import random\nprint(round(random.random(), 3), len('abc'))", "0.123 3\n"),
    )
    result = chainrule("--compare", name)
    assert result.exit_code == 0, result.output
    assert [line.partition(": ")[2] for line in result.stdout.splitlines()[:4]] == [
        "as stored; 2 random, not compared",
        "as stored",
        "as stored; 1 random, not compared",
        "as stored; 1 random, not compared",
    ]


def test_a_difference_is_shown_and_is_exit_code_1() -> None:
    lines = "".join(f"{i} {i * i}\n" for i in range(20))
    name = notebook(("for i in range(20):\n    print(i, i * i + 1)", lines), ("print('a')", "a\n"))
    result = chainrule("--compare", name)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:4] == [
        "✗ cell 1: differs from what is stored (-)",
        "    - 0 0",
        "    + 0 1",
        "    - 1 1",
    ]
    assert "    and 15 more" in result.stdout
    assert result.stdout.endswith(
        "2 outputs: 1 as stored (0 with an explanation, 0 with unseeded random numbers), 1 different\n"
    )


def test_a_method_that_is_named_and_not_called_is_found() -> None:
    cells = (
        "import torch\nx = torch.tensor(2.0, requires_grad=True)\nz = x * x",
        ("z.backward", "<bound method Tensor.backward of tensor(4., grad_fn=<MulBackward0>)>\n"),
        ("x.grad", "tensor(4.)\n"),
    )
    result = chainrule("--compare", notebook(*cells))
    assert result.exit_code == 0, result.output
    assert (
        "✓ cell 3: as stored; once z.backward in cell 2, which calls nothing, is z.backward()"
        in result.output
    )
    result = chainrule("--compare", notebook(*cells[:2], ("x.grad", "tensor(5.)\n")))
    assert result.exit_code == 1
    assert "✗ cell 3" in result.output


def test_comparing_a_notebook_whose_cell_fails() -> None:
    result = chainrule("--compare", notebook(("print(1)", "1\n"), ("1 / 0", "1\n"), ("print(2)", "2\n")))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "✓ cell 1: as stored"
    assert "cell 3" not in result.stdout
    assert "cell 2: ZeroDivisionError" in result.stderr


def test_there_must_be_something_to_compare_with() -> None:
    Path("a.py").write_text("print(1)\n", encoding="utf-8")
    assert "a.py has no stored output to compare with" in chainrule("--compare", "a.py").output
    book = json.loads(Path(notebook("print(1)")).read_text(encoding="utf-8"))
    book["cells"][1]["execution_count"] = None
    Path("cleared.ipynb").write_text(json.dumps(book), encoding="utf-8")
    result = chainrule("--compare", "cleared.ipynb")
    assert result.exit_code == 2
    assert "cleared.ipynb has no stored output" in result.output


def test_stored_results_errors_and_figures() -> None:
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": "a warning\n"},
        {"output_type": "stream", "name": "stdout", "text": "one\n"},
        {"output_type": "display_data", "data": {"image/png": "iVBO", "text/plain": "<Figure size 640x480>"}},
        {"output_type": "execute_result", "data": {"text/plain": ["2"]}},
    ]
    cell = {"cell_type": "code", "source": "print('one')\n2", "execution_count": 1, "outputs": outputs}
    Path("a.ipynb").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    assert read_program("a.ipynb").cells[0].stored == "one\n\n2"
    assert chainrule("--compare", "a.ipynb").exit_code == 0


# as a library and as a process ---------------------------------------------------------------------------


def test_running_as_a_library() -> None:
    seen: list[str] = []
    program = Program(
        Path("a.ipynb"), (Cell(1, "print('x')", "a.ipynb, cell 1"), Cell(2, "input()", "a.ipynb, cell 2"))
    )
    outcomes = run_program(program, before=lambda cell: seen.append(f"before {cell.number}"))
    assert [outcome.output.text for outcome in outcomes] == ["x\n", ""]
    assert seen == ["before 1", "before 2"]
    assert outcomes[1].failure is not None
    assert isinstance(outcomes[1].failure.error, ProgramError)


def test_in_a_process_of_its_own() -> None:
    Path("a.py").write_text("import torch\nprint(torch.ones(2), end='')\n", encoding="utf-8")
    command = [sys.executable, "-W", "error", "-m", "chainrule", "run", "a.py"]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    assert (run.stdout, run.stderr) == ("tensor([1., 1.])\n", "")


def test_installed_modules_are_not_the_programs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(Path(__file__).parent.parent / "program.py", ())
    assert program.owns(str(program.folder / "helper.py"))
    assert not program.owns(np.__file__)
    assert not program.owns(sys.modules["chainrule"].__file__ or "")
    monkeypatch.chdir(program.folder)
    assert not program.owns("")
    assert not program.owns("<string>")
