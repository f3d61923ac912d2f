"""IPython's own syntax, which is no Python: `%matplotlib inline`, `!pip install`, `name?`."""

from __future__ import annotations

import ast
import re

_MAGIC = re.compile(r"\s*(?:[%!?]|[\w.]+\s*\?{1,2}\s*$|[\w, ]+=\s*[%!])")
_KEEPS_BODY = {"%%time", "%%timeit", "%%capture", "%%prun"}


def without_magics(source: str, name: str) -> tuple[str, list[str]]:
    r"""The source with `pass` in the place of IPython's commands, and those commands.

    Only a line that is no Python is looked at: `% x` may well continue an expression.

    >>> without_magics("%matplotlib inline\nx = (7\n  % 4)", "a cell")
    ('pass\nx = (7\n  % 4)', ['%matplotlib inline'])
    """
    cell_magic = source.lstrip().split("\n", 1)[0]
    if cell_magic.startswith("%%") and cell_magic.split()[0] not in _KEEPS_BODY:
        return "", [cell_magic]
    lines, skipped = source.split("\n"), list[str]()
    while True:
        text = "\n".join(lines)
        try:
            ast.parse(text, name)
            return text, skipped
        except SyntaxError as error:
            number = (error.lineno or 1) - 1
            line = lines[number] if number < len(lines) else ""
            if not _MAGIC.match(line):
                return text, skipped  # left for the compiler to complain about
            skipped.append(line.strip())
            lines[number] = line[: len(line) - len(line.lstrip())] + "pass"
