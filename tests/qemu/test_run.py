# SPDX-License-Identifier: MIT
"""test_run.py - what qemu/run does with a script on its standard input, against a QEMU that ends in every way."""
import os
import pty
import socket
import subprocess
import sys

from harness import ROOT, case, contains, equal, main, scratch

FAKE = os.path.join(ROOT, "tests", "qemu", "fake_qemu.py")


def launch(commands, *options, fake="", limit_s=30, **variables):
    """Runs the part of qemu/run that comes after the build; returns its exit status, output and errors."""
    environment = dict(os.environ, QEMU=FAKE, HELIX_FAKE=fake, **variables)
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "qemu", "launch.py"), "--direct", *options],
        input=commands, env=environment, capture_output=True, text=True, timeout=limit_s)
    return done.returncode, done.stdout, done.stderr


@case("commands run in order, one a prompt, and their output is on standard output")
def order():
    status, out, _ = launch("echo one\necho two\npoweroff\n")
    equal(status, 0, "status")
    lines = out.splitlines()
    equal(lines[2:], ["helix> echo one", "one", "helix> echo two", "two", "helix> poweroff"], "the lines")


@case("firmware, boot loader and escape sequences are left out")
def clean():
    _, out, _ = launch("colour\n")
    equal(out.splitlines()[0], "Helix 0.0.0 (fake)", "the first line")
    contains(out, "red text")
    assert "\x1b" not in out and "\r" not in out and "BdsDxe" not in out, repr(out)


@case("without poweroff the machine is switched off at the end of the input")
def end_of_input():
    status, out, _ = launch("echo last")
    equal(status, 0, "status")
    contains(out, "helix> poweroff")
    equal(launch("")[0], 0, "status of an empty script")


@case("the exit status is the guest's, for every code that it can have")
def codes():
    for code in (0, 1, 2, 7, 62, 63, 122, 123):
        equal(launch(f"poweroff {code}\necho never\n")[0], code, "status")


@case("a failure of QEMU is 125, with QEMU's own words")
def failure():
    status, _, err = launch("echo x\n", fake="refuse")
    equal(status, 125, "status")
    contains(err, "fake: no such machine")
    status, _, err = launch("fail\n")
    equal(status, 125, "status")
    contains(err, "the disk is on fire")


@case("a QEMU that is killed is 125, and the signal is named")
def killed():
    status, _, err = launch("die\n")
    equal(status, 125, "status")
    contains(err, "SIGSEGV")


@case("a QEMU that cannot be started is 125, from a script and at a terminal")
def missing():
    ours, terminal = pty.openpty()
    for stdin in (subprocess.DEVNULL, terminal):
        for program in ("/nonexistent/qemu", "an 'open quote"):
            done = subprocess.run([sys.executable, os.path.join(ROOT, "qemu", "launch.py"), "--direct"], stdin=stdin,
                                  env=dict(os.environ, QEMU=program), capture_output=True, text=True, timeout=30)
            equal(done.returncode, 125, "status")
            contains(done.stderr, "qemu/run: QEMU")
            assert "Traceback" not in done.stderr, done.stderr
    os.close(terminal)
    os.close(ours)


@case("an empty variable counts as none")
def empty_variables():
    names = ("QEMU", "HELIX_ACCEL", "HELIX_GDB_PORT")
    done = subprocess.run([sys.executable, os.path.join(ROOT, "qemu", "launch.py"), "--direct", "--print", "--debug"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                          env=dict(os.environ, **dict.fromkeys(names, "")))
    for part in ("qemu-system-x86_64 -machine", "-accel tcg", "127.0.0.1:1234"):
        contains(done.stdout, part)


@case("a panic is 126, with the last lines, whether the machine halts or ends")
def panic():
    for command in ("panic", "panic exit"):
        status, _, err = launch(f"echo before\n{command}\n")
        equal(status, 126, "status")
        contains(err, "panic: on request")
        contains(err, "kmain+0x0")
    equal(launch("", fake="boot-panic")[0], 126, "status of a panic at boot")
    status, _, err = launch("", fake="boot-halt")
    equal(status, 126, "status of a machine that the kernel refuses")
    contains(err, "not enough; halted")


@case("a panic is told even while the script has nothing to say")
def panic_while_idle():
    with subprocess.Popen([sys.executable, os.path.join(ROOT, "qemu", "launch.py"), "--direct"], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          env=dict(os.environ, QEMU=FAKE)) as process:
        try:
            process.stdin.write("fuse\n")
            process.stdin.flush()
            equal(process.wait(20), 126, "status")
            contains(process.stderr.read(), "panic: by itself")
        finally:
            process.terminate()


@case("a command whose message looks like a panic is not one")
def no_panic():
    status, out, _ = launch("misuse\necho after\n")
    equal(status, 0, "status")
    contains(out, "after")


@case("control characters of a script are no keys")
def control_characters():
    status, out, _ = launch("\techo\tone\n\x1b\x00\x03\necho two\x04\x15\n")
    equal(status, 0, "status")
    lines = out.splitlines()
    equal(lines[2:], ["helix>  echo one", "helix>", "helix> echo two", "two", "helix> poweroff"], "the lines")


@case("a hang is 124, with the last lines, at boot and in a command")
def hang():
    status, _, err = launch("echo seen\nhang\n", "--timeout", "1")
    equal(status, 124, "status")
    contains(err, "seen")
    equal(launch("", "--timeout", "1", fake="mute")[0], 124, "status of a hang at boot")


@case("reboot ends the run with success, a reset that nobody asked for does not")
def reboot():
    equal(launch("reboot\n")[0], 0, "status of a reboot")
    equal(launch("quit\n")[0], 125, "status of a reset")


@case("a message that tears the line being typed is not taken for the prompt")
def noise():
    status, out, _ = launch("noisy\necho after\n")
    equal(status, 0, "status")
    lines = out.splitlines()
    equal(lines[2:6], ["[    1.000] tick", "helix> noisy", "done", "helix> echo after"], "the lines")


@case("an unknown option and a missing initrd are refused before anything starts")
def refused():
    equal(launch("", "--initrd", "/nonexistent")[0], 125, "status")
    done = subprocess.run([os.path.join(ROOT, "qemu", "run"), "--bogus"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30)
    equal(done.returncode, 125, "status")
    contains(done.stderr, "--bogus: unknown option")


@case("an option with a wrong value is 125, and no value is taken for an option")
def wrong_values():
    for options in (["--smp", "two"], ["--timeout", "soon"], ["--timeout", "0"], ["--timeout", "nan"], ["--smp"],
                    ["--initrd", ROOT], ["--initrd="]):
        status, _, err = launch("", *options)
        equal(status, 125, f"status of {options}")
        contains(err, f"{options[0].rstrip('=')}")
        equal(len(err.splitlines()), 1, "lines of " + err)
    equal(launch("poweroff\n", "--cmdline", "-x --uefi")[0], 0, "status with a cmdline that starts with a dash")


@case("--debug prints a line for gdb that is there to be typed")
def debug():
    status, _, err = launch("poweroff\n", "--debug")
    equal(status, 0, "status")
    line = [words for words in map(str.split, err.splitlines()) if words[:1] == ["gdb"]][0]
    equal(line[2], "-x", "what follows the kernel")
    assert os.path.isfile(line[3]), f"{line[3]}: no such file"
    contains(err, "-ex 'target remote :")


@case("options reach QEMU's command line, and --print starts nothing")
def options():
    done = subprocess.run(
        [os.path.join(ROOT, "qemu", "run"), "--direct", "--print", "--smp", "3", "--memory=1G", "--debug", "--cmdline",
         "panic=exit safe", "--", "-name", "a b"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, env=dict(os.environ, QEMU=FAKE))
    equal(done.returncode, 0, "status")
    for part in ("-smp 3", "-m 1G", "-S", "-append 'panic=exit safe", "-name 'a b'", "-accel tcg", FAKE):
        contains(done.stdout, part)


def told(err):
    """The path that is said, or ""."""
    found = [line.split(": ", 2)[2] for line in err.splitlines() if ": control: /" in line]
    return found[0] if found else ""


@case("the control channel's socket is said, is free, and is gone afterwards; `off' makes none")
def control():
    with scratch() as folder:
        os.makedirs(folder + "/build/qemu")
        environment = {"HELIX_BUILD": folder + "/build"}
        path = folder + "/build/qemu/control.sock"
        status, _, err = launch("poweroff\n", **environment)
        equal((status, told(err)), (0, path), err)
        with socket.socket(socket.AF_UNIX) as other:  # a machine that runs
            other.bind(path)
            other.listen()
            equal(told(launch("poweroff\n", **environment)[2]), folder + "/build/qemu/control-2.sock", "the second machine's")
            status, _, err = launch("poweroff\n", "--control", path, **environment)
            equal(status, 125, "status")
            contains(err, "another machine listens there")
        equal(told(launch("poweroff\n", **environment)[2]), path, "left behind by a machine that is gone")
        assert not os.path.exists(path), "it is there"
        equal(launch("poweroff\n", "--control", "off", **environment)[2], "", "off")
        equal(told(launch("poweroff\n", "--control=" + folder + "/x", **environment)[2]), folder + "/x", "named")
        contains(launch("poweroff\n", "--control", folder + "/" + "x" * 200, **environment)[2], "at most 107 bytes")
        printed = launch("", "--print", **environment)[1]
        contains(printed, f"socket,id=control,path={path},server=on,wait=off -serial chardev:control")


main()
