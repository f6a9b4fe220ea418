# SPDX-License-Identifier: MIT
"""test_readme.py - README leads from a clone to a module of one's own that is replaced while it runs: each command of that section
is typed as it stands there, in two terminals, and what README says will be seen is seen.

The section is read as a person reads it: a block of sh is typed line by line, each line when the prompt is back; one that is marked
`second terminal' in another one, where the exports were typed too. A block of console is what then appears, and `helix> ' in it is
typed at the machine. Times may be others. At the first block of sh behind it the machine is ended, as README says it is.

Reduced counts: the clone is not compiled, HELIX_BUILD is the build directory that is there; nothing else is left out. What apt-get
would install has been installed by tests/run, which comes by way of the same list.
"""
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import FULL, ROOT, case, equal, log, main  # noqa: E402

BUILD = os.path.realpath(os.environ.get("HELIX_BUILD") or os.path.join(ROOT, "build"))
SECTION = "Ten minutes to a module of your own"
PROMPT = re.compile(r"\[(\d+)\]ready> ")
PROMPTS = re.compile(r"^\[\d+\]ready> ", re.MULTILINE)  # what a command in the background writes stands behind one
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|[\x00\x0e\x0f]")
LIMIT_S = 1800 if FULL else 300
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "CC", "USER", "LOGNAME")  # of the environment


class Terminal:
    """A shell at a terminal, and all that was shown there."""

    def __init__(self, name, folder, environment):
        self.name, self.text, self.lock = name, "", threading.Lock()
        self.line, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 300, 0, 0))
        # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
        self.shell = subprocess.Popen(["bash", "--norc", "--noprofile"], stdin=other, stdout=other, stderr=other, cwd=folder,
                                      env=environment, start_new_session=True,
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(other)
        threading.Thread(target=self.read, daemon=True).start()
        self.until(PROMPT.search, 0, "a prompt")

    def read(self):
        try:
            while data := os.read(self.line, 65536):
                with self.lock:
                    self.text += data.decode(errors="replace")
        except OSError:
            pass  # the shell has ended

    def since(self, at):
        with self.lock:
            return ESCAPES.sub("", self.text[at:]).replace("\r", "")

    def now(self):
        with self.lock:
            return len(self.text)

    def keys(self, keys):
        os.write(self.line, keys.encode())

    def until(self, found, at, what, limit_s=60):
        """Waits until found(text) of what was shown since @at; returns what it returns."""
        end = time.monotonic() + limit_s
        while not (result := found(self.since(at))):
            assert time.monotonic() < end, f"{self.name}: no {what} within {limit_s} s in:\n{self.since(at)[-6000:]}"
            time.sleep(0.02)
        return result

    def type(self, line):
        """A line of the shell, until that is ready again, or the machine that it has started."""
        at = self.now()
        self.keys(line + "\n")
        ready = re.compile(PROMPT.pattern + r"|^helix> $", re.MULTILINE)
        found = self.until(ready.search, at, f"end of `{line}'", LIMIT_S)
        assert found[1] in (None, "0"), f"{self.name}: `{line}': status {found[1]}\n{self.since(at)[-6000:]}"
        return found[1] is None

    def close(self):
        os.killpg(self.shell.pid, signal.SIGHUP)
        try:
            self.shell.wait(20)
        except subprocess.TimeoutExpired:
            self.shell.kill()
            self.shell.wait()
        os.close(self.line)


def as_pattern(line):
    """Times may be others."""
    parts = re.split(r"(\d+\.\d{3}|\d+(?= us))", line)
    return "".join(r"\d+(?:\.\d+)?" if index % 2 else re.escape(part) for index, part in enumerate(parts))


class Reader:
    """Somebody with two terminals, who does what README says."""

    def __init__(self, folder, clone):
        self.elsewhere, self.exports, self.running, self.at = os.path.join(folder, "elsewhere"), [], False, 0
        for name in ("elsewhere", "home", "runtime"):
            os.mkdir(os.path.join(folder, name), 0o700)
        self.environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.environment.update(HOME=os.path.join(folder, "home"), XDG_RUNTIME_DIR=os.path.join(folder, "runtime"),
                                TERM="xterm", PS1="[$?]ready> ", PYTHONDONTWRITEBYTECODE="1")
        self.first, self.second = Terminal("terminal", clone, self.environment), None
        self.last = self.first

    def second_terminal(self):
        if not self.second:
            self.second = Terminal("second terminal", self.elsewhere, self.environment)
            for line in self.exports:
                self.second.type(line)
        return self.second

    def end_machine(self):
        if self.running:
            at = self.first.now()
            self.first.keys("\x01x")
            self.first.until(PROMPT.search, at, "end of the machine")
            self.running = False

    def shell(self, lines, second):
        if not second:
            self.end_machine()
        self.last = self.second_terminal() if second else self.first
        self.at = self.last.now()
        for line in lines:
            log(f"{self.last.name}: {line}")
            self.running = self.last.type(line) or self.running
            if line.startswith("export "):
                self.exports.append(line)

    def console(self, lines):
        expected = []
        for line in lines:
            if line.startswith("helix> "):
                assert self.running, f"no machine for `{line}'"
                self.at, self.last = self.first.now(), self.first
                self.first.keys(line.removeprefix("helix> ") + "\r")
            else:
                expected.append(as_pattern(line))
        pattern = re.compile(".*^".join([r"^" + expected[0], *expected[1:]]) + "$", re.MULTILINE | re.DOTALL)
        shown = self.last.until(lambda text: pattern.search(PROMPTS.sub("", text)), self.at, "\n".join(lines))
        log(shown[0])

    def leave(self):
        self.end_machine()
        for terminal in filter(None, (self.first, self.second)):
            terminal.close()


def blocks(readme):
    """(language, mark, lines) of each in the section."""
    section = re.search(rf"^## {SECTION}\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    assert section, f"README has no section `{SECTION}'"
    found = re.findall(r"^```(\w+) ?(.*?)\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    equal(section[1].count("```"), 2 * len(found), "fences")
    return [(language, mark, text.splitlines()) for language, mark, text in found]


def clone_to(folder):
    """The tree as it stands here, committed or not."""
    clone = os.path.join(folder, "clone")
    subprocess.run(["git", "-c", "safe.directory=*", "clone", "--quiet", ROOT, clone], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    names = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE,
                           text=True).stdout.split("\0")
    for name in filter(None, names):
        if os.path.exists(os.path.join(ROOT, name)):
            os.makedirs(os.path.dirname(os.path.join(clone, name)), exist_ok=True)
            shutil.copy2(os.path.join(ROOT, name), os.path.join(clone, name))
    return clone


@case("from a clone to a module of one's own that is replaced while it runs, by README's own commands", LIMIT_S + 300)
def ten_minutes():
    with tempfile.TemporaryDirectory(prefix="helix-readme-") as folder:
        clone = clone_to(folder)
        with open(os.path.join(clone, "README.md"), encoding="utf-8") as file:
            (language, mark, lines), *others = blocks(file.read())
        equal((language, mark), ("sh", ""), "the first block")
        began = time.monotonic()
        reader = Reader(folder, clone)
        try:
            if not FULL:
                reader.first.type(f"export HELIX_BUILD='{BUILD}'")
            reader.shell(lines, False)
            reader.first.type("unset HELIX_BUILD; cd ../elsewhere")
            for language, mark, lines in others:
                assert language in ("sh", "console") and mark in ("", "second terminal"), (language, mark)
                if language == "sh":
                    reader.shell(lines, mark != "")
                else:
                    reader.console(lines)
            for name in ("hello.hxm", "build/hello.hxm"):
                reader.first.type(f"mkmodpack info {name} -F name | grep -x hello")
            if shutil.which("man"):
                reader.first.type("man -w helix-newmodule helix-run")
        finally:
            reader.leave()
        log(f"{time.monotonic() - began:.0f} s")


main()
