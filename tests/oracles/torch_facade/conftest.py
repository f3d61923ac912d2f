"""After the tests: how many entries of PyTorch's tables pass, and why the others are not tried."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    summarise_modules(terminalreporter)
    summarise_operations(terminalreporter)


def summarise_modules(terminalreporter: Any) -> None:
    found = {
        outcome: sorted({
            r.nodeid.partition("[")[2].removesuffix("]")
            for r in terminalreporter.stats.get(outcome, []) if "test_module_db.py::test_module[" in r.nodeid
        })
        for outcome in ("passed", "failed")
    }  # fmt: skip
    if not any(found.values()):
        return
    from module_table import ABSENT, ENTRIES

    terminalreporter.write_sep("=", f"module_db: {len(found['passed'])} of {len(ENTRIES)} entries pass")
    for name, reason in ABSENT.items():
        terminalreporter.write_line(f"absent: {name}: {reason}")
    if found["failed"]:
        terminalreporter.write_line(f"failed: {', '.join(found['failed'])}")


def summarise_operations(terminalreporter: Any) -> None:
    passed = {
        r.nodeid for r in terminalreporter.stats.get("passed", []) if "test_op_db.py::test_entry[" in r.nodeid
    }
    failed = {
        r.nodeid for r in terminalreporter.stats.get("failed", []) if "test_op_db.py::test_entry[" in r.nodeid
    }
    if not passed and not failed:
        return
    from op_table import (
        ENTRIES,
        reason_not_tried,
    )  # a moment's import, and only where PyTorch was imported already

    names = {nodeid.partition("[")[2].removesuffix("]") for nodeid in passed}
    with_gradients = [name for name, op in ENTRIES.items() if op.supports_autograd]
    done = [name for name in with_gradients if name in names]
    terminalreporter.write_sep(
        "=", f"op_db: {len(done)} of {len(with_gradients)} entries with gradients pass"
    )
    terminalreporter.write_line(
        f"and {len(names) - len(done)} of the {len(ENTRIES) - len(with_gradients)} without"
    )
    reasons: dict[str, list[str]] = {}
    for name in with_gradients:
        if name not in names:
            reasons.setdefault(reason_not_tried(name) or "failed or not selected", []).append(name)
    for reason, entries in sorted(reasons.items()):
        terminalreporter.write_line(f"{reason}: {', '.join(entries)}")
