# SPDX-License-Identifier: MIT
"""matrix.py - the ways to compile the corpus: every combination of the options, or few that hold each pair of them."""
import functools
import itertools
import os
import subprocess

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
MODELS = ("kernel", "small", "medium", "large")
PICS = ("-fno-pic -fno-pie", "-fPIC", "-fpie")
SWITCHES = (("", "-fno-plt"), ("-O0", "-O2"), ("", "-g"), ("", "-ffunction-sections -fdata-sections"), ("", "-fcommon"))
ALWAYS = ("-mno-red-zone", "-fno-stack-protector", "-fcf-protection=none", "-w")
COMPILERS = {".c": ("gcc", "clang"), ".cc": ("g++", "clang++"), ".s": ("gcc", "clang")}


def sources(*extensions):
    return sorted(name for name in os.listdir(CORPUS) if name.endswith(extensions))


def refuses(compiler, model, pic):
    """Whether a compiler says that it cannot do both; clang says so by a warning that it ignores one."""
    done = subprocess.run([compiler, "-mcmodel=" + model, *pic.split(), "-x", "c", "-S", "-o", "/dev/null", "-"],
                          input="int i;", capture_output=True, text=True, check=False)
    return done.returncode != 0 or "mcmodel" in done.stderr


@functools.lru_cache(maxsize=None)
def targets(extension):
    """(compiler, model, position independence) that exist; assembly has none of the latter two."""
    if extension == ".s":
        return [(compiler, "", "") for compiler in COMPILERS[extension]]
    return [target for target in itertools.product(COMPILERS[extension], MODELS, PICS) if not refuses(*target)]


def command(name, target, switches, out):
    compiler, model, pic = target
    options = [] if not model else ["-mcmodel=" + model, *pic.split(), *" ".join(switches).split()]
    return [compiler, *ALWAYS, *options, "-c", os.path.join(CORPUS, name), "-o", out]


def everything(extension):
    if extension == ".s":
        return [(name, target, ()) for name in sources(extension) for target in targets(extension)]
    return [(name, target, switches) for name in sources(extension) for target in targets(extension)
            for switches in itertools.product(*SWITCHES)]


def parts(choice):
    """The options of one way: model and position independence count alone and, with the compiler, together."""
    name, target, switches = choice
    single = [("source", name)] + list(enumerate(target)) + [("switch", i, s) for i, s in enumerate(switches)]
    return set(itertools.combinations(single, 2)) | {target}


def sample(extension):
    """Few ways that hold every pair of options and every target. Greedy, in a fixed order: always the same ones. The first
    of those that hold the most of what is missing is taken; looking at a few hundred of them finds nearly the best."""
    choices = everything(extension)
    held = [parts(choice) for choice in choices]
    missing = set().union(*held)
    chosen = []
    step = max(1, len(choices) // 397)
    while missing:
        looked_at = range(len(chosen) % step, len(choices), step)
        best = max(looked_at, key=lambda i: len(held[i] & missing))
        if not held[best] & missing:
            best = next(i for i, pairs in enumerate(held) if pairs & missing)
        chosen.append(choices[best])
        missing -= held[best]
    return chosen
