"""What is kept on disk between processes, by name: compiled code, and notes on what is worth compiling."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from chainrule.errors import OutputError
from chainrule.files import write_atomically


def cache_folder() -> Path | None:
    """Where compiled code is kept: `CHAINRULE_CACHE`, or the user's folder for caches; None if that is "no"."""
    given = os.environ.get("CHAINRULE_CACHE")
    if given is not None:
        return None if given.lower() in ("", "0", "no", "off") else Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "chainrule"


def kept(name: str) -> bytes | None:
    """What is kept under a name; an entry begins with the hash of its name and content, and is ignored otherwise."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        entry = (folder / name).read_bytes()
    except OSError:
        return None
    content = entry[32:]
    return content if _digest(name, content) == entry[:32] else None


def keep_as(name: str, content: bytes) -> None:
    """Keep something under a name, if it can be written."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, _digest(name, content) + content)
    except (OSError, OutputError):
        pass  # a folder that cannot be written to costs the next start a compilation, and nothing else


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + content).digest()
