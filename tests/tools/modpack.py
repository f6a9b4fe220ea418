# SPDX-License-Identifier: MIT
"""modpack.py - what the tests of mkmodpack share: the program, a folder to work in, modules of a few lines.

Modules are compiled here from a few lines each, with the flags of the kernel's own; MKMODPACK names another program.
"""
import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import ROOT, equal  # noqa: E402

BUILD = os.environ.get("HELIX_BUILD", os.path.join(ROOT, "build"))
TOOL = os.environ.get("MKMODPACK", os.path.join(BUILD, "tools", "mkmodpack", "mkmodpack"))
WORK = tempfile.mkdtemp(prefix="mkmodpack-test-")
atexit.register(shutil.rmtree, WORK)
FLAGS = ("-std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone "
         "-mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none").split()
with open(os.path.join(ROOT, "include", "helix", "module.h"), encoding="ascii") as opened:
    ABI = tuple(int(n) for n in re.search(r"define HX_ABI HX_VERSION\((\d+), (\d+), (\d+)\)", opened.read()).groups())

# ---- modules ----
HEAD = """
#include <helix/module.h>
#include <helix/kv.h>
#include <helix/rtc.h>
#include <helix/sched.h>
#define TOY_VERSION HX_VERSION(1, TOY_MINOR, 0)
#define TOY_OPS(OP) OP(ex_toy, 0, play, HX_VAL(n)) TOY_MORE(OP)
#ifndef TOY_MINOR
#define TOY_MINOR 0
#endif
#ifndef TOY_MORE
#define TOY_MORE(OP)
#endif
HX_INTERFACE(ex_toy, TOY_VERSION, TOY_OPS)
#define A_OPS(OP) OP(ex_a, 0, f, HX_NOTHING)
HX_INTERFACE(ex_a, HX_VERSION(1, 0, 0), A_OPS)
#define B_OPS(OP) OP(ex_b, 0, f, HX_NOTHING)
HX_INTERFACE(ex_b, HX_VERSION(1, 0, 0), B_OPS)
"""
RTC = """
static hx_ret_t zero(void) { return 0; }
static const struct hx_rtc_ops rtc_ops = { HX_OPS_HEAD(hx_rtc), .now = zero, .ticks = zero, .rate = zero, .now_ns = zero };
HX_PROVIDES(hx_rtc, HX_RTC_OPS, &rtc_ops);
"""
TOY_PROVIDER = """
static hx_ret_t play(uint64_t n) { return (hx_ret_t)n; }
static const struct ex_toy_ops toy_ops = { HX_OPS_HEAD(ex_toy), .play = play };
HX_PROVIDES(ex_toy, TOY_OPS, &toy_ops);
"""
KV = """
#define STORE_STATE(SCALAR, ARRAY) SCALAR(u32, used) ARRAY(u8, keys, 64) ARRAY(i64, times, 3)
HX_STATE(store, STORE_STATE);
HX_PARAM(uint16_t, limit, 700, "keys at most");
static hx_ret_t get(const void *k, uint64_t n, void *v, uint64_t m) { (void)k, (void)n, (void)v, (void)m; return hx_rtc_now(); }
static hx_ret_t put(const void *k, uint64_t n, const void *v, uint64_t m)
{
    (void)k, (void)n, (void)v, (void)m;
    store.used++;
    return hx_log(HX_LOG_INFO, HX_TEXT("put")) + limit;
}
static hx_ret_t del(const void *k, uint64_t n) { (void)k, (void)n; return 0; }
static hx_ret_t list(uint64_t c, void *k, uint64_t n) { (void)c, (void)k, (void)n; return 0; }
static hx_ret_t count(void) { return store.used; }
static hx_ret_t irq(uint64_t n) { return (hx_ret_t)n; }
static const struct hx_kv_ops ops = { HX_OPS_HEAD_UNTIL(hx_kv, HX_KV_VERSION_1_0, modified), .get = get, .put = put,
                                      .del = del, .list = list, .count = count };
HX_MODULE("svc_kv", HX_VERSION(1, 2, 3), "a store", .check = count);
HX_PROVIDES_VERSION(hx_kv, HX_KV_VERSION_1_0, HX_KV_OPS_1_0, &ops);
HX_REQUIRES(hx_rtc, HX_RTC_OPS);
HX_IRQ("tick", 8, irq);
HX_PORTS(0x70, 0x71);
"""


def named(name, version="1, 0, 0"):
    return f'HX_MODULE("{name}", HX_VERSION({version}), "a test");\n'


def path(name):
    return os.path.join(WORK, name)


def write(name, content):
    with open(path(name), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path(name)


def read(name):
    with open(path(name), "rb") as file:
        return file.read()


def module(file, source, *defines):
    """Compiles @source to the module @file and returns its path."""
    code = write(file + ".c", HEAD + source)
    subprocess.run(["gcc", *FLAGS, *defines, "-I", os.path.join(ROOT, "include"), "-c", code, "-o", path(file + ".o")],
                   check=True)
    subprocess.run(["ld", "-r", path(file + ".o"), "-o", path(file)], check=True)
    return path(file)


def tool(*arguments, cwd=WORK, environment=None, **options):
    return subprocess.run([TOOL, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=dict(os.environ, **(environment or {})), check=False, **options)


def done(*arguments, **options):
    """Runs what must succeed without a word of complaint; returns its standard output."""
    result = tool(*arguments, **options)
    equal((result.returncode, result.stderr), (0, ""), f"mkmodpack {arguments}")
    return result.stdout


def refused(*arguments, findings=1, **options):
    """Runs what must be refused with so many findings; returns them."""
    result = tool(*arguments, **options)
    equal(result.returncode, 1, f"exit status of {arguments}: {result.stderr}")
    lines = result.stderr.splitlines()
    equal(len(lines), findings, f"findings: {result.stderr}")
    for line in lines:
        assert line.startswith("mkmodpack: ") and line.count(": ") >= 2 and "; " in line, line
    return "\n".join(lines)


def pack_refused(*arguments, findings=1):
    """A create that must be refused and leave nothing behind."""
    before = sorted(os.listdir(WORK))
    text = refused("create", "-o", "refused.cpio", *arguments, findings=findings)
    equal(sorted(os.listdir(WORK)), before, "files after a refusal")
    return text


def good_modules():
    """A set with dependencies, an argument order against them, and one that is held."""
    module("zz_rtc.hxm", RTC + named("drv_rtc"))
    module("kv.hxm", KV)
    module("aa_user.hxm", named("user") + "HX_INTERFACE_RECORD_(requires, hx_kv, HX_KV_OPS_1_0, HX_KV_VERSION_1_0, NULL);")
    module("zz_rtc-2.hxm", RTC + named("drv_rtc", "2, 0, 0"))
    return ["aa_user.hxm", "kv.hxm", "zz_rtc.hxm", "--hold", "zz_rtc-2.hxm"]


def patched(source, target, old, new):
    content = read(source)
    equal(content.count(old), 1, f"occurrences of {old!r}")
    return write(target, content.replace(old, new))
