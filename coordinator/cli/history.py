"""What a git history holds of the mapping files: every content that each of them ever had."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_GIT_S = 60


def earlier_contents(mappings_dir: Path) -> Mapping[str, tuple[str, ...]] | None:
    """Return "events/x.yaml" -> its earlier contents, newest first; None where there is no git or no history.

    The working copy is not among them, so a change that was never committed is
    compared as well as one that was.
    """
    git = shutil.which("git")
    if git is None:
        return None
    log = _run(git, mappings_dir, "log", "--format=", "--raw", "--no-renames", "--no-abbrev", "--relative", "--", ".")
    if not log:
        return None
    blobs: dict[str, list[str]] = {}
    for line in log.decode("utf-8", "replace").splitlines():
        # :100644 100644 <blob before> <blob after> M<tab>path
        head, _, path = line.partition("\t")
        parts = head.split()
        if path.endswith(".yaml") and len(parts) == 5 and set(parts[3]) != {"0"}:
            blobs.setdefault(path, []).append(parts[3])
    names = [name for listed in blobs.values() for name in listed]
    texts = _contents(git, mappings_dir, names)
    return {path: tuple(texts[one] for one in listed if one in texts) for path, listed in blobs.items()}


def _contents(git: str, folder: Path, names: list[str]) -> dict[str, str]:
    told = _run(git, folder, "cat-file", "--batch", put="\n".join(dict.fromkeys(names)).encode() + b"\n") or b""
    found: dict[str, str] = {}
    while told:
        head, _, rest = told.partition(b"\n")
        name, kind, *size = head.decode("ascii", "replace").split()
        if kind != "blob" or not size:
            told = rest
            continue
        length = int(size[0])
        found[name] = rest[:length].decode("utf-8", "replace")
        told = rest[length + 1 :]
    return found


def _run(git: str, folder: Path, *words: str, put: bytes | None = None) -> bytes | None:
    try:
        done = subprocess.run(  # noqa: S603  (git itself, fixed words, no shell)
            [git, "-C", str(folder.resolve()), *words], input=put, capture_output=True, timeout=_GIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
