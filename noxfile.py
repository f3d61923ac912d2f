import tomllib
from pathlib import Path

import nox

DEPENDENCIES = tomllib.loads(Path("pyproject.toml").read_text())["project"]["dependencies"]


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The tests on each Python that is supported."""
    session.install("--editable", ".[test]")
    session.run("pytest", "-n", "auto", "--ignore=tests/oracles", *session.posargs)


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """The tests with the oldest dependencies that pyproject.toml admits."""
    session.install("--editable", ".[test]", *(line.replace(">=", "==") for line in DEPENDENCIES))
    session.run("pytest", "-n", "auto", "--ignore=tests/oracles", *session.posargs)
