# SPDX-License-Identifier: MIT
"""edit_to_live.py [RUNS] - from saving a file to the new version's answer, as a person with `helixctl watch' sees it.

A fresh project of helix-newmodule, made with the SDK of this build, its module running in QEMU. Each run changes what the module
answers, saves, and waits until `helixctl watch --ask' has shown the new answer. That is a time of this machine, and of what
else it does: the parts say where it goes. Prints one JSON object, as the other measurements do.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "qemu"))
import guest as helix  # noqa: E402

RUNS, LIMIT_S = 11, 60
PARTS = ("build_s", "check_s", "push_s", "reload_s", "ask_s")


def run(*arguments, **options):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode:
        raise helix.Failure(helix.EXIT_FAILURE, f"{' '.join(arguments)}: status {done.returncode}\n{done.stdout}")


def install(folder):
    """The SDK of the build directory; returns its prefix."""
    run("meson", "install", "-C", helix.build_dir(), "--no-rebuild", "--quiet", "--destdir", folder)
    for here, folders, _ in os.walk(folder):
        if "share" in folders and "bin" in folders:
            return here
    raise helix.Failure(helix.EXIT_FAILURE, "the SDK was not installed")


def make_project(sdk, folder):
    """Returns its directory and the environment in which it is built."""
    environment = dict(os.environ, PKG_CONFIG_PATH=os.path.join(sdk, "share", "pkgconfig"),
                       PATH=os.path.join(sdk, "bin") + ":" + os.environ["PATH"])
    run("helix-newmodule", "hello", cwd=folder, env=environment)
    project = os.path.join(folder, "hello")
    run("meson", "setup", "build", cwd=project, env=environment)
    return project, environment


class Watch:
    """helixctl watch on the project, and the machine's console, which somebody has to read."""

    def __init__(self, guest, project, environment, control):
        self.guest = guest
        self.source = os.path.join(project, "hello.c")
        with open(self.source, encoding="utf-8") as file:
            self.text = file.read()
        self.buffer = b""
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            ["helixctl", "watch", project, "--connect", control, "--json", "--ask", "request hello 0", "--file",
             os.path.join(project, "build", "hello.hxm")], env=environment, stdout=subprocess.PIPE)

    def next(self):
        """The next object that it prints."""
        end = time.monotonic() + LIMIT_S
        while b"\n" not in self.buffer:
            if self.guest.pump(0.05, also=[self.process.stdout.fileno()]):
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    raise helix.Failure(helix.EXIT_FAILURE, "helixctl watch has ended")
                self.buffer += data
            if time.monotonic() > end:
                raise helix.Failure(helix.EXIT_HANG, "helixctl watch says nothing")
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def save(self, text):
        """As an editor does; returns when that was."""
        with open(self.source + "~", "w", encoding="utf-8") as file:
            file.write(text)
        began = time.monotonic()
        os.rename(self.source + "~", self.source)
        return began

    def edit(self, word):
        """Saves the source with another answer; returns how long it took until that came, and the parts."""
        changed = self.text.replace('"hello 1.%u: request', f'"{word} 1.%u: request')
        assert changed != self.text, "the template has changed"
        began = self.save(changed)
        while True:
            told = self.next()
            if told["exit"] != 0:
                raise helix.Failure(helix.EXIT_FAILURE, f"it was not replaced: {told}")
            if word in told.get("answer", ""):
                return time.monotonic() - began, told

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def measure(runs=RUNS):
    with tempfile.TemporaryDirectory(prefix="helix-edit-") as folder:
        sdk = install(os.path.join(folder, "sdk"))
        project, environment = make_project(sdk, folder)
        control = os.path.join(folder, "control.sock")
        with helix.Guest(helix.Machine(cmdline="color=off panic=exit", control=control)) as guest:
            guest.boot()
            watch = Watch(guest, project, environment, control)
            try:
                watch.next()
                found = [watch.edit(f"edit{number}x") for number in range(runs)]
            finally:
                watch.close()
    times = sorted(seconds for seconds, _ in found)
    parts = {part: round(statistics.median(told[part] for _, told in found), 3) for part in PARTS}
    return {"name": "edit_to_live", "median_s": round(statistics.median(times), 3), "least_s": round(times[0], 3),
            "most_s": round(times[-1], 3), "runs": runs, "bytes": found[-1][1]["bytes"], **parts}


def main():
    try:
        print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)))
    except helix.Failure as failure:
        print(f"edit_to_live: {failure}", file=sys.stderr)
        sys.exit(failure.status)


if __name__ == "__main__":
    main()
