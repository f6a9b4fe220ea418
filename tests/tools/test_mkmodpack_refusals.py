# SPDX-License-Identifier: MIT
"""test_mkmodpack_refusals.py - every refusal of mkmodpack: files, modules, modules together, packs."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import case, contains, main  # noqa: E402
from modpack import (  # noqa: E402
    ABI, RTC, TOY_PROVIDER, WORK, done, good_modules, module, named, pack_refused, patched, path, read, refused, write)

# ---- files that are no modules ----
@case("what is no ELF file is refused, all of them at once")
def no_elf():
    write("text.hxm", "hello, world, this is not an ELF file at all, is it")
    write("empty.hxm", "")
    text = pack_refused("text.hxm", "empty.hxm", "missing.hxm", findings=3)
    contains(text, "text.hxm: not an ELF file")
    contains(text, "empty.hxm: not an ELF file: it is empty")
    contains(text, "missing.hxm: cannot open: No such file")


@case("an executable, an archive and a 32-bit object are called what they are")
def wrong_kind():
    write("kind.c", "int main(void) { return 0; }")
    subprocess.run(["gcc", "kind.c", "-o", "exe.hxm"], cwd=WORK, check=True)
    module("m.hxm", named("m"))
    subprocess.run(["ar", "rc", "ar.hxm", "m.hxm.o"], cwd=WORK, check=True)
    subprocess.run(["ld", "-r", "-z", "noexecstack", "-m", "elf_i386", "-b", "binary", "kind.c", "-o", "i386.hxm"], cwd=WORK,
                   check=True)
    text = pack_refused("exe.hxm", "ar.hxm", "i386.hxm", findings=3)
    contains(text, "not a module: a shared object or position-independent executable")
    contains(text, "an ar archive")
    contains(text, "not for this machine: ELF32, machine 3")


@case("a module cut off anywhere is refused")
def truncated():
    whole = read(os.path.basename(module("m.hxm", named("m"))))
    for size in list(range(1, 100, 9)) + list(range(100, len(whole), 211)):
        write("cut.hxm", whole[:size])
        pack_refused("cut.hxm")
    os.remove(path("cut.hxm"))


@case("a relocatable object without a descriptor is refused")
def no_descriptor():
    module("plain.hxm", "int f(void); int f(void) { return 0; }")
    contains(pack_refused("plain.hxm"), "not a Helix module: it has no descriptor, section .hx.module is missing")


@case("two descriptors are refused")
def two_descriptors():
    module("a.hxm", named("a"))
    module("b.hxm", named("b"))
    subprocess.run(["ld", "-r", "a.hxm.o", "b.hxm.o", "-o", "two.hxm"], cwd=WORK, check=True)
    contains(pack_refused("two.hxm"), "too many records in .hx.module: 2, at most 1")


@case("another ABI is refused")
def abi():
    module("old.hxm", "#undef HX_ABI\n#define HX_ABI HX_VERSION(1, 0, 0)\n" + named("old"))
    contains(pack_refused("old.hxm"), "wrong ABI: built for 1.0 with")


@case("another magic and a half record are refused")
def broken_descriptor():
    module("m.hxm", named("m"))
    number = (ABI[0] << 24 | ABI[1] << 12 | ABI[2]).to_bytes(4, "little")
    patched("m.hxm", "magic.hxm", b"HXM1" + number, b"HXM2" + number)
    module("half.hxm", named("m") + 'static const int half HX_RECORD_(".hx.irqs") = 1;')
    text = pack_refused("magic.hxm", "half.hxm", findings=2)
    contains(text, "its magic is 0x324d5848")
    contains(text, "broken section .hx.irqs: its 4 bytes are no whole records")


# ---- names ----
@case("undefined symbols are refused, all named in one finding")
def undefined():
    module("u.hxm", named("u", "1, 0, 0") + "int there(void); int here(void); int f(void);\n"
           "int f(void) { return there() + here() + (int)hx_rtc_now(); }")
    text = pack_refused("u.hxm")
    for name in ("there", "here", "hx_rtc_now"):
        contains(text, name)


@case("an operation that the required interface does not have is refused")
def unknown_operation():
    module("rtc.hxm", RTC + named("rtc"))
    module("u.hxm", named("u") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);\nint hx_rtc_frob(void); int f(void);\n"
           "int f(void) { return hx_rtc_frob(); }")
    contains(pack_refused("rtc.hxm", "u.hxm"), "u.hxm: unknown operation hx_rtc_frob: hx.rtc 1.1 has none of that name")


@case("a kernel interface with other operations is refused")
def other_interface():
    module("rtc.hxm", named("rtc") + """
#define MY_OPS(OP) OP(hx_rtc, 0, soon, HX_NOTHING)
static hx_ret_t zero(void) { return 0; }
static const struct { struct hx_ops_head head; hx_ret_t (*soon)(void); } my = { { HX_RTC_VERSION, 16 }, zero };
HX_PROVIDES(hx_rtc, MY_OPS, &my);
""")
    contains(pack_refused("rtc.hxm"), "another hx.rtc: version 1.1 does not agree with the kernel's 1.1")


@case("a vtable with holes or a wrong head is refused")
def vtable():
    module("rtc.hxm", named("rtc") + RTC.replace(".rate = zero", ".rate = NULL"))
    module("rtc2.hxm", named("rtc2") + RTC.replace("HX_OPS_HEAD(hx_rtc)", ".head = { HX_RTC_VERSION, 16 }"))
    module("rtc3.hxm", named("rtc3") + RTC.replace("&rtc_ops)", "NULL)") + "const void *p = &rtc_ops;")
    text = pack_refused("rtc.hxm", "--hold", "rtc2.hxm", "rtc3.hxm", findings=3)
    contains(text, "rtc.hxm: operation 2 of hx.rtc is missing")
    contains(text, "rtc2.hxm: broken vtable of hx.rtc: its head says version 1.1 and 16 bytes, the record 1.1 and 40")
    contains(text, "rtc3.hxm: broken vtable of hx.rtc: it lies outside the image")


@case("declarations out of range are refused, all of them at once")
def declarations():
    module("d.hxm", named("d") + """
static hx_ret_t irq(uint64_t n) { return (hx_ret_t)n; }
HX_IRQ("x", 16, irq);
HX_IRQ("y", 3, irq);
HX_IRQ("y", 4, NULL);
HX_PORTS(0x71, 0x70);
static uint32_t variable = 1;
static const struct hx_param_record odd HX_RECORD_(".hx.params") = { "odd", "", 3, 0, &variable };
static const struct hx_field_record none HX_RECORD_(".hx.fields") = { "none", HX_FIELD_u64, 8, 4096, 0 };
""")
    text = pack_refused("d.hxm", findings=6)
    for part in (": line 16, flags 0x0; lines are 0 to 15", "interrupt key y is declared twice", "its handler is outside",
                 "empty port range: 0x71 to 0x70", "broken parameter record 0", "broken state field none"):
        contains(text, part)


@case("a hook outside the module's code is refused")
def hook():
    module("h.hxm", 'static const int data = 5;\nHX_MODULE("h", HX_VERSION(1, 0, 0), "", .init = (hx_ret_t(*)(void))&data);')
    contains(pack_refused("h.hxm"), "broken hook init:")


# ---- modules together ----
@case("a required interface without provider is refused")
def no_provider():
    module("u.hxm", named("u") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);")
    contains(pack_refused("u.hxm"), "u.hxm: requires hx.rtc 1.1: no module in the pack provides it; add one that does")


@case("a provider that is only held does not do for one that is loaded at boot")
def held_provider():
    module("rtc.hxm", RTC + named("rtc"))
    module("u.hxm", named("u") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);")
    contains(pack_refused("u.hxm", "--hold", "rtc.hxm"), "rtc.hxm provides it but is held")
    done("create", "-o", "held.cpio", "rtc.hxm", "--hold", "u.hxm")


@case("a provider of an older minor version or of another major is refused")
def old_provider():
    more = "-DTOY_MORE(OP)=OP(ex_toy, 1, more, HX_VAL(n))"
    module("old.hxm", named("toy") + TOY_PROVIDER)
    module("u.hxm", named("u") + "HX_REQUIRES(ex_toy, TOY_OPS);", "-DTOY_MINOR=1", more)
    contains(pack_refused("old.hxm", "u.hxm"), "u.hxm: requires ex.toy 1.1: old.hxm provides 1.0")
    module("new.hxm", named("toy") + TOY_PROVIDER.replace(".play = play", ".play = play, .more = play"), "-DTOY_MINOR=1", more)
    module("u1.hxm", named("u") + "HX_REQUIRES(ex_toy, TOY_OPS);")
    done("create", "-o", "newer.cpio", "new.hxm", "u1.hxm")
    module("two.hxm", "#undef TOY_VERSION\n" + named("u"))
    module("u2.hxm", named("u") + "HX_INTERFACE_RECORD_(requires, ex_toy, TOY_OPS, HX_VERSION(2, 0, 0), NULL);")
    contains(pack_refused("new.hxm", "u2.hxm"), "requires ex.toy 2.0: new.hxm provides 1.1")


@case("provider and user built with different operations are refused")
def other_operations():
    module("toy.hxm", named("toy") + TOY_PROVIDER)
    module("u.hxm", named("u") + "#define OTHER(OP) OP(ex_toy, 0, play, HX_IN(n))\nHX_REQUIRES(ex_toy, OTHER);")
    contains(pack_refused("toy.hxm", "u.hxm"), "u.hxm: requires ex.toy 1.0: toy.hxm was built with other operations of it")


@case("a module name twice at boot is refused, once of them held it is not")
def name_twice():
    module("a.hxm", named("same"))
    module("b.hxm", named("same", "2, 0, 0"))
    contains(pack_refused("a.hxm", "b.hxm"), "b.hxm: module same twice: a.hxm is loaded at boot under that name too")
    done("create", "-o", "twice.cpio", "a.hxm", "--hold", "b.hxm")


@case("two providers of one interface at boot are refused")
def provider_twice():
    module("a.hxm", RTC + named("a"))
    module("b.hxm", RTC + named("b"))
    contains(pack_refused("a.hxm", "b.hxm"), "b.hxm: provides hx.rtc: a.hxm, loaded at boot too, provides it already")


@case("a dependency cycle is refused and shown")
def cycle():
    def depends(file, name, mine, other):
        return module(file, named(name) + f"""static hx_ret_t f(void) {{ return 0; }}
static const struct ex_{mine}_ops mine = {{ HX_OPS_HEAD(ex_{mine}), .f = f }};
HX_PROVIDES(ex_{mine}, {mine.upper()}_OPS, &mine);
HX_REQUIRES(ex_{other}, {other.upper()}_OPS);
""")

    depends("a.hxm", "a", "a", "b")
    depends("b.hxm", "b", "b", "a")
    module("c.hxm", named("c") + "HX_REQUIRES(ex_a, A_OPS);")
    contains(pack_refused("a.hxm", "b.hxm", "c.hxm"), "dependency cycle: a -> b -> a")
    depends("self.hxm", "s", "a", "a")
    contains(pack_refused("self.hxm"), "dependency cycle: s -> s")


@case("file names that a pack cannot hold are refused")
def file_names():
    module("m.hxm", named("m"))
    for name in ("m.o", "with space.hxm", "-m.hxm", "m" * 60 + ".hxm"):
        shutil.copy(path("m.hxm"), path(name))
        contains(pack_refused("./" + name), "bad file name")
        os.remove(path(name))
    os.makedirs(path("sub"), exist_ok=True)
    module("sub/m.hxm", named("n"))
    contains(pack_refused("m.hxm", "sub/m.hxm"), "file name m.hxm twice")
    shutil.rmtree(path("sub"))


# ---- packs that are not good ----
@case("verify finds a bad module in a good archive")
def verify_module():
    write("bad.hxm", "not an ELF file, but in an archive")
    write("manifest", "helix-initrd 1\nload bad.hxm\nload u.hxm\n")
    module("u.hxm", named("u") + "HX_REQUIRES(hx_rtc, HX_RTC_OPS);")
    with open(path("bad.cpio"), "wb") as archive:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"manifest\nbad.hxm\nu.hxm\n", stdout=archive, cwd=WORK,
                       check=True)
    text = refused("verify", "bad.cpio", findings=2)
    contains(text, "bad.cpio(bad.hxm): not an ELF file")
    contains(text, "bad.cpio(u.hxm): requires hx.rtc 1.1")
    contains(done("list", "bad.cpio"), "bad.hxm                      ?")


@case("list and verify refuse what is no pack")
def no_pack():
    done("create", "-o", "good.cpio", *good_modules())
    write("cut.cpio", read("good.cpio")[:-200])
    subprocess.run(["gzip", "-kf", "good.cpio"], cwd=WORK, check=True)
    for command in ("list", "verify"):
        contains(refused(command, "cut.cpio"), "is cut off here")
        contains(refused(command, "good.cpio.gz"), "compressed with gzip")
        contains(refused(command, "missing.cpio"), "cannot open: No such file")
        contains(refused(command, "."), "cannot read: Is a directory")


if __name__ == "__main__":
    main()
