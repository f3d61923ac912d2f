"""Running a part of the benchmarks in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def child(name: str, *arguments: str, **environment: str) -> Any:
    """The result of one of `other.CHILDREN`, run in a fresh process."""
    return run_python("-m", "benchmarks.other", name, *arguments, environment={**os.environ, **environment})


def run_python(*arguments: str, environment: Mapping[str, str] | None = None) -> Any:
    """What another Python prints, read as JSON; its death becomes an exception with its last words."""
    command = [sys.executable, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode:
        last_words = result.stderr.strip().splitlines()[-1:] or [f"exit status {result.returncode}"]
        raise ChildProcessError(f"{' '.join(arguments[-2:])}: {last_words[0]}")
    return json.loads(result.stdout)
