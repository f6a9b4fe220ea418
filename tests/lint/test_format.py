# SPDX-License-Identifier: MIT
"""test_format.py - C sources are laid out as .clang-format says."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, main, skip  # noqa: E402


def sources():
    done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c", "*.h"], cwd=ROOT,
                          check=True, capture_output=True, text=True)
    return [path for path in sorted(done.stdout.split()) if os.path.isfile(os.path.join(ROOT, path))]


@case("clang-format would change no file")
def formatted():
    if not shutil.which("clang-format"):
        skip("clang-format is not installed")
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=1", *sources()], cwd=ROOT,
                          capture_output=True, text=True, timeout=300)
    files = sorted({line.split(":")[0] for line in done.stderr.splitlines() if ": error:" in line})
    assert done.returncode == 0, "run clang-format -i on:\n" + "\n".join(files)


main()
