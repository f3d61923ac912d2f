"""Each module imports only from the layers above its own, and none imports in a circle."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "chainrule"

# From the top down. A package stands for all its modules, unless one of them has a line of its own.
LAYERS = (
    "errors",
    "suggestions",
    "typing",
    "files",
    "lines",
    "modes",
    "inplace",
    "trees",
    # arrays of any library
    "namespace",
    "special",
    # the calculus
    "operators",
    "primitives",
    "rules",
    "functions",
    # the engine
    "backward",
    "changeable",
    "tensor",
    "ops",
    "numpy_functions",
    "numpy_protocol",
    "transforms",
    "checking",
    # functions as graphs
    "graph",
    "walkthrough",
    "diagnosis",
    "compiled",
    # networks and their training
    "nn",
    "optim",
    "data",
    "train",
    "export",
    "estimators",
    # other libraries' spellings, and programs that are written in them
    "torch",
    "tensorflow",
    "programs",
    # what users see: `import chainrule`, and the command line that is written with it
    "__init__",
    "cli",
    "__main__",
)

Imports = dict[str, dict[str, int]]
"""For each module, the modules that it imports, and in which line first."""


def modules_of(package: Path) -> dict[str, Path]:
    """The files of a package by their dotted names inside it; that of its root is ``__init__``."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        *folders, name = path.relative_to(package).with_suffix("").parts
        found[".".join(folders if folders and name == "__init__" else [*folders, name])] = path
    return found


def names_imported(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of all that is imported anywhere in a module of the given package."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                origin = resolve_name("." * level + (module or ""), package)
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, resolve_name(name, package)


def imports_of(package: Path) -> Imports:
    """Which modules of a package import which others of it."""
    modules = modules_of(package)
    imports: Imports = {}
    for module, path in modules.items():
        home = ".".join([package.name, *path.relative_to(package).parent.parts])
        imports[module] = {}
        for line, name in names_imported(path.read_text(encoding="utf-8"), home):
            top, *parts = name.split(".")
            if top != package.name:
                continue
            while parts and ".".join(parts) not in modules:
                parts.pop()  # a function or class of the module
            imports[module].setdefault(".".join(parts) or "__init__", line)
    return imports


def listed(module: str, layers: tuple[str, ...]) -> str | None:
    """The line of the list that a module falls under: its own, or that of a package around it."""
    while module and module not in layers:
        module = module.rpartition(".")[0]
    return module or None


def problems(package: Path, layers: tuple[str, ...]) -> list[str]:
    """Every import against the order of the layers, and the first circle."""
    imports = imports_of(package)
    found = [f"{module} is in no layer" for module in imports if not listed(module, layers)]
    found += [f"{layer} is listed and does not exist" for layer in layers if layer not in imports]
    for module, targets in imports.items():
        for target, line in targets.items():
            here, there = listed(module, layers), listed(target, layers)
            if here and there and layers.index(there) > layers.index(here):
                found.append(f"{module}, line {line}, imports {target}, which is below it")
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found.append("circular: " + " imports ".join(reversed(error.args[1])))
    return found


def hidden_functions(package: Path, public: list[str]) -> set[str]:
    """The public names that importing a module of the same name would replace by that module."""
    siblings = {path.stem for path in package.iterdir() if path.suffix in ("", ".py")}
    modules_on_purpose = {
        alias.name
        for node in ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and (node.module or package.name).split(".")[-1] == package.name
        for alias in node.names
    }
    return siblings.intersection(public) - modules_on_purpose


def test_every_import_goes_up() -> None:
    assert problems(PACKAGE, LAYERS) == []


def test_no_module_hides_a_public_function() -> None:
    for init in PACKAGE.rglob("__init__.py"):
        name = ".".join(init.parent.relative_to(PACKAGE.parent).parts)
        public = getattr(importlib.import_module(name), "__all__", [])
        assert hidden_functions(init.parent, public) == set(), f"in {name}"


def test_import_chainrule_loads_nothing_beside_numpy() -> None:
    script = (
        "import sys, numpy; before = set(sys.modules); import chainrule\n"
        "for name in set(sys.modules) - before:\n"
        "    if getattr(sys.modules[name], '__file__', None): print(name.partition('.')[0])"
    )
    run = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "chainrule" in loaded
    assert loaded - sys.stdlib_module_names <= {"chainrule", "numpy"}


# The checker, checked on a small house.

HOUSE = {
    "__init__.py": "from .engine import run\n",
    "errors.py": "import numpy as np\n",
    "rules/__init__.py": "from . import sums\nfrom .sums import total\n",
    "rules/sums.py": "from ..errors import Wrong\nimport house.errors\n",
    "engine.py": "from house.rules import total\nfrom house import errors\n",
    "cli.py": "from . import run\n",
}
HOUSE_LAYERS = ("errors", "rules", "engine", "__init__", "cli")


def build(folder: Path, changes: dict[str, str]) -> Path:
    package = folder / "house"
    for name, source in (HOUSE | changes).items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return package


def test_a_house_in_order_has_no_problems(tmp_path: Path) -> None:
    assert problems(build(tmp_path, {}), HOUSE_LAYERS) == []


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("errors.py", "from . import rules\n", "errors, line 1, imports rules, which is below it"),
        ("errors.py", "from .rules.sums import total\n", "errors, line 1, imports rules.sums, which is"),
        ("errors.py", "import house.engine as e\n", "errors, line 1, imports engine, which is below it"),
        ("errors.py", "def f():\n    from .engine import run\n", "errors, line 2, imports engine"),
        ("errors.py", "if TYPE_CHECKING:\n    import house.engine\n", "errors, line 2, imports engine"),
        ("errors.py", "importlib.import_module('.engine', 'house')\n", "errors, line 1, imports engine"),
        ("rules/sums.py", "\nfrom ..engine import run\n", "rules.sums, line 2, imports engine"),
        ("engine.py", "from house import run\n", "engine, line 1, imports __init__, which is below it"),
        ("__init__.py", "from . import cli\n", "__init__, line 1, imports cli, which is below it"),
        ("rules/sums.py", "from . import total\n", "circular: "),
        ("rules/products.py", "from .products import product\n", "circular: rules.products imports"),
        ("extra.py", "", "extra is in no layer"),
        ("extra/deep/inside.py", "", "extra.deep.inside is in no layer"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, name: str, source: str, problem: str) -> None:
    found = problems(build(tmp_path, {name: source}), HOUSE_LAYERS)
    assert any(line.startswith(problem) for line in found), found


def test_a_circle_inside_one_layer_is_found(tmp_path: Path) -> None:
    planted = {"rules/sums.py": "from . import means\n", "rules/means.py": "from .sums import total\n"}
    (found,) = problems(build(tmp_path, planted), HOUSE_LAYERS)
    assert found in (
        "circular: rules.means imports rules.sums imports rules.means",
        "circular: rules.sums imports rules.means imports rules.sums",
    )


def test_a_module_may_have_a_layer_of_its_own(tmp_path: Path) -> None:
    package = build(tmp_path, {"rules/extra.py": "from ..engine import run\n"})
    assert problems(package, ("errors", "rules", "engine", "rules.extra", "__init__", "cli")) == []


def test_a_layer_that_is_gone_is_found(tmp_path: Path) -> None:
    assert problems(build(tmp_path, {}), (*HOUSE_LAYERS, "old")) == ["old is listed and does not exist"]


def test_a_hidden_function_is_found(tmp_path: Path) -> None:
    package = build(tmp_path, {"__init__.py": "from .engine import engine, run\nfrom . import errors\n"})
    assert hidden_functions(package, ["engine", "errors", "run"]) == {"engine"}
