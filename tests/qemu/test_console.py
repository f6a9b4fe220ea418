# SPDX-License-Identifier: MIT
"""test_console.py - the console as a person meets it: keys one by one, text pasted, the log coming in between."""
import time

from harness import Machine, boot, built, case, contains, equal, main, pack, scratch  # noqa: F401


if __name__ == "__main__":
    main()
