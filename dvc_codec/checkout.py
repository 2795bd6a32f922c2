"""Which checkout of this package runs: what results and training logs are signed with."""

import subprocess
from pathlib import Path


def commit() -> str | None:
    """Of this package's checkout, with "+" if its code differs from it; None if it has none."""
    package = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(package), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
