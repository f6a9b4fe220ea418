#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cases.py - objects that the loader has to refuse: each is a good one in which one thing was changed.

A case is (what it is, the good object, the change, the error's short name, the message). In a message * stands for numbers
that the compiler or the place decides. A change is a statement; see elf_object.py for what it can say, `file' is the object
as bytes. The unit test loads all of them (tests/unit/test_malformed.c), so does `mkmodpack link' (tests/tools/).

TYPES has modules with a bad section .hx.types, made of one that is good in the same way. The kernel refuses to load each of them
(tests/unit/test_types.c, tests/qemu/test_refusals.py), mkmodpack to pack it (tests/tools/); where that says more, its message
is the last.

cases.py DIRECTORY FILE writes them for the unit test, each behind a line that describes it; cases.py --types MODULE FILE those of
TYPES.
"""
import os
import sys

sys.dont_write_bytecode = True  # the build runs this in the source tree
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import elf_object  # pylint: disable=wrong-import-position

OUTSIDE = "lies outside of the file"
TLS = "*module uses thread-local storage*; remove __thread and _Thread_local*"
LINKED = "only linked programs have it; link the module with ld -r and nothing else"
LARGE_PIC = "; build with -mcmodel=large -fPIC"
FIELDS = {"64": 8, "PC64": 8, "32": 4, "32S": 4, "PC32": 4, "PLT32": 4, "16": 2, "PC16": 2, "8": 1, "PC8": 1, "GOT32": 4,
          "GOTPCREL": 4, "GOTPCRELX": 4, "REX_GOTPCRELX": 4, "GOTPC32": 4, "GOTPC64": 8, "GOT64": 8, "GOTPLT64": 8,
          "GOTPCREL64": 8, "GOTOFF64": 8, "PLTOFF64": 8, "SIZE32": 4, "SIZE64": 8}  # bytes
NO_SYMBOL = ("GOTPC32", "GOTPC64", "SIZE32", "SIZE64")  # whose address is not asked for

# By the step of the load that is to refuse.
CASES = {"check": [
    # ---- the file
    ("an empty file", "good", "resize(0)", "truncated", "0 bytes are too few for an ELF header"),
    ("a file that ends in the header", "good", "resize(63)", "truncated", "63 bytes are too few for an ELF header"),
    ("a file that ends behind the header", "good", "resize(64)", "truncated",
     "the section headers (24 at 0x*) lie outside of the file"),
    ("a file that lacks its last byte", "good", "resize(len(file) - 1)", "truncated",
     "the section headers (24 at 0x*) lie outside of the file"),
    ("a file of zeroes", "good", "file[:] = bytes(len(file))", "format",
     "not an ELF file (it begins with 00 00 00 00)"),
    ("text", "good", "file[:4] = b'#!/b'", "format", "not an ELF file (it begins with 23 21 2f 62)"),

    # ---- identification
    *[(f"a wrong byte {i} of the magic", "good", f"file[{i}] ^= 0x20", "format", "not an ELF file (it begins with *)")
      for i in range(4)],
    ("a 32-bit object", "good", "header.EI_CLASS = ELFCLASS32", "unsupported",
     "ELF class 1 is not 64-bit; build with -m64"),
    ("no class", "good", "header.EI_CLASS = 0", "unsupported", "ELF class 0 is not 64-bit; build with -m64"),
    ("big endian", "good", "header.EI_DATA = ELFDATA2MSB", "unsupported", "ELF data encoding 2 is not little-endian"),
    ("no identification version", "good", "header.EI_VERSION = 0", "unsupported", "ELF version * is not 1"),
    ("a later identification version", "good", "header.EI_VERSION = 2", "unsupported", "ELF version * is not 1"),
    ("no version", "good", "header.e_version = 0", "unsupported", "ELF version 0 is not 1"),
    ("a later version", "good", "header.e_version = 2", "unsupported", "ELF version 2 is not 1"),
    ("a version that is right in its low byte", "good", "header.e_version = 0x101", "unsupported",
     "ELF version 257 is not 1"),
    ("the OS/ABI of FreeBSD", "good", "header.EI_OSABI = ELFOSABI_FREEBSD", "unsupported",
     "ELF OS/ABI 9 is neither System V nor GNU"),
    ("the OS/ABI of programs without a system", "good", "header.EI_OSABI = 255", "unsupported",
     "ELF OS/ABI 255 is neither System V nor GNU"),

    # ---- kind
    ("an object of AArch64", "good", "header.e_machine = EM_AARCH64", "unsupported", "machine 183 is not x86-64"),
    ("an object of i386", "good", "header.e_machine = EM_386", "unsupported", "machine 3 is not x86-64"),
    ("no type", "good", "header.e_type = ET_NONE", "unsupported", "ELF type 0 is not ET_REL; link with -r"),
    ("an executable", "good", "header.e_type = ET_EXEC", "unsupported",
     "an executable or shared object, not a relocatable one; link with -r"),
    ("a shared object", "good", "header.e_type = ET_DYN", "unsupported",
     "an executable or shared object, not a relocatable one; link with -r"),
    ("a core file", "good", "header.e_type = ET_CORE", "unsupported", "ELF type 4 is not ET_REL; link with -r"),
    ("a header of 32-bit size", "good", "header.e_ehsize = 52", "format", "e_ehsize is 52, not 64"),
    ("a header without size", "good", "header.e_ehsize = 0", "format", "e_ehsize is 0, not 64"),

    # ---- section table
    ("section headers of 32-bit size", "good", "header.e_shentsize = 40", "format", "e_shentsize is 40, not 64"),
    ("section headers without size", "good", "header.e_shentsize = 0", "format", "e_shentsize is 0, not 64"),
    ("no section headers", "good", "header.e_shnum = 0", "unsupported",
     "e_shnum is 0: no sections, or extended numbering"),
    ("extended section numbering", "good", "header.e_shnum = SHN_LORESERVE", "unsupported",
     "e_shnum is 65280: no sections, or extended numbering"),
    ("one section header more than the file holds", "good", "header.e_shnum += 1", "truncated",
     "the section headers (25 at 0x*) lie outside of the file"),
    ("as many section headers as there can be", "good", "header.e_shnum = SHN_LORESERVE - 1", "truncated",
     "the section headers (65279 at 0x*) lie outside of the file"),
    ("section headers at the end of the file", "good", "header.e_shoff = len(file)", "truncated",
     "the section headers (24 at 0x*) lie outside of the file"),
    ("section headers beyond the file", "good", "header.e_shoff = 1 << 40", "truncated",
     "the section headers (24 at 0x10000000000) lie outside of the file"),
    ("section headers whose end wraps to the file's begin", "good", "header.e_shoff = -64 * header.e_shnum", "truncated",
     "the section headers (24 at 0xfffffffffffffa00) lie outside of the file"),

    # ---- names of sections
    ("no section names", "good", "header.e_shstrndx = SHN_UNDEF", "format",
     "e_shstrndx is 0, but there are 24 sections"),
    ("section names in a section that does not exist", "good", "header.e_shstrndx = header.e_shnum", "format",
     "e_shstrndx is 24, but there are 24 sections"),
    ("section names by an extended index", "good", "header.e_shstrndx = SHN_XINDEX", "unsupported",
     "extended section numbering (SHN_XINDEX) is not supported"),
    ("section names in code", "good", "section('.shstrtab').sh_type = SHT_PROGBITS", "format",
     "the section names (section 23) are no string table"),
    ("section names that begin beyond the file", "good", "section('.shstrtab').sh_offset = len(file) + 1", "truncated",
     "the section names (section 23) lie outside of the file"),
    ("section names that end beyond the file", "good", "section('.shstrtab').sh_size = len(file)", "truncated",
     "the section names (section 23) lie outside of the file"),
    ("section names whose end wraps", "good", "section('.shstrtab').sh_size = -section('.shstrtab').sh_offset",
     "truncated", "the section names (section 23) lie outside of the file"),
    ("section names of no bytes", "good", "section('.shstrtab').sh_size = 0", "format",
     "the section names (section 23) do not begin and end with NUL"),
    ("section names that begin with a letter", "good", "section('.shstrtab').sh_offset += 1", "format",
     "the section names (section 23) do not begin and end with NUL"),
    ("section names that end with a letter", "good", "section('.shstrtab').sh_size -= 1", "format",
     "the section names (section 23) do not begin and end with NUL"),
    ("a section name at the end of the names", "good",
     "section('.text').sh_name = section('.shstrtab').sh_size", "format",
     "section 1: its name lies outside of the section names"),
    ("a section name far beyond the names", "good", "section('.data').sh_name = -1", "format",
     "section 3: its name lies outside of the section names"),

    # ---- sections
    ("a section that begins beyond the file", "good", "section('.text').sh_offset = len(file) + 1", "truncated",
     f"section .text: its content (0xe8 bytes at 0x*) {OUTSIDE}"),
    ("a section that ends one byte beyond the file", "good",
     "section('.text').sh_size = len(file) - section('.text').sh_offset + 1", "truncated",
     f"section .text: its content (0x* bytes at 0x40) {OUTSIDE}"),
    ("a section whose offset wraps", "good", "section('.text').sh_offset = -1", "truncated",
     f"section .text: its content (0xe8 bytes at 0xffffffffffffffff) {OUTSIDE}"),
    ("a section whose size wraps", "good", "section('.data').sh_size = -16", "truncated",
     f"section .data: its content (0xfffffffffffffff0 bytes at 0x*) {OUTSIDE}"),
    ("a section whose end wraps to the file's begin", "good",
     "section('.data').sh_size = -section('.data').sh_offset", "truncated",
     f"section .data: its content (0x* bytes at 0x*) {OUTSIDE}"),
    ("a section that is not loaded, beyond the file", "good", "section('.comment').sh_offset = 1 << 63", "truncated",
     f"section .comment: its content (0x* bytes at 0x8000000000000000) {OUTSIDE}"),
    ("an alignment of 3", "good", "section('.data').sh_addralign = 3", "format",
     "section .data: alignment 0x3 is no power of two"),
    ("an alignment of all bits", "good", "section('.data').sh_addralign = -1", "format",
     "section .data: alignment 0xffffffffffffffff is no power of two"),
    ("an odd alignment of memory without contents", "good", "section('.bss').sh_addralign = 24", "format",
     "section .bss: alignment 0x18 is no power of two"),
    ("relocations without addends", "good", "section('.rela.data').sh_type = SHT_REL", "unsupported",
     "section .rela.data: relocations without addends (SHT_REL) are not x86-64's; build with -m64"),
    ("a table of extended indices", "good", "section('.comment').sh_type = SHT_SYMTAB_SHNDX", "unsupported",
     "section .comment: extended section numbering (SHN_XINDEX) is not supported"),

    # ---- symbol table
    ("a stripped object", "good", "section('.symtab').sh_type = SHT_NULL", "format",
     "there is no symbol table; do not strip the module"),
    ("a symbol table for dynamic linking alone", "good", "section('.symtab').sh_type = SHT_DYNSYM", "format",
     "there is no symbol table; do not strip the module"),
    ("a second symbol table", "good", "section('.comment').sh_type = SHT_SYMTAB", "format",
     "section .symtab: a second symbol table"),
    ("symbols of 32-bit size", "good", "section('.symtab').sh_entsize = 16", "format",
     "section .symtab: sh_entsize is 16, not 24"),
    ("symbols without size", "good", "section('.symtab').sh_entsize = 0", "format",
     "section .symtab: sh_entsize is 0, not 24"),
    ("half a symbol", "good", "section('.symtab').sh_size -= 12", "format",
     "section .symtab: its size 0x* is no count of symbols"),
    ("no symbol at all", "good", "section('.symtab').sh_size = 0", "format",
     "section .symtab: its size 0x0 is no count of symbols"),
    ("a first global symbol of 0", "good", "section('.symtab').sh_info = 0", "format",
     "section .symtab: sh_info, the first global symbol, is 0 of 33 symbols"),
    ("a first global symbol behind the end", "good", "section('.symtab').sh_info = 34", "format",
     "section .symtab: sh_info, the first global symbol, is 34 of 33 symbols"),
    ("symbol names in code", "good", "section('.symtab').sh_link = section('.text').index", "format",
     "section .symtab: sh_link 1 is no string table"),
    ("symbol names in a section that does not exist", "good", "section('.symtab').sh_link = header.e_shnum", "format",
     "section .symtab: sh_link 24 is no string table"),
    ("no symbol names", "good", "section('.symtab').sh_link = 0", "format",
     "section .symtab: sh_link 0 is no string table"),
    ("symbol names that begin with a letter", "good", "section('.strtab').sh_offset += 1", "format",
     "section .strtab: it does not begin and end with NUL"),
    ("symbol names that end with a letter", "good", "section('.strtab').sh_size -= 1", "format",
     "section .strtab: it does not begin and end with NUL"),
    ("symbol names of no bytes", "good", "section('.strtab').sh_size = 0", "format",
     "section .strtab: it does not begin and end with NUL"),
    ("a symbol table beyond the file", "good", "section('.symtab').sh_offset = len(file)", "truncated",
     f"section .symtab: its content (0x318 bytes at 0x*) {OUTSIDE}"),

    # ---- relocation tables
    ("relocations of no section", "good", "section('.rela.data').sh_info = 0", "format",
     "section .rela.data: sh_info 0 names no section to relocate"),
    ("relocations of a section that does not exist", "good", "section('.rela.data').sh_info = header.e_shnum", "format",
     "section .rela.data: sh_info 24 names no section to relocate"),
    ("relocations by no symbol table", "good", "section('.rela.data').sh_link = 0", "format",
     "section .rela.data: sh_link 0 is not the symbol table (section 21)"),
    ("relocations by a string table", "good", "section('.rela.data').sh_link += 1", "format",
     "section .rela.data: sh_link 22 is not the symbol table (section 21)"),
    ("relocations of the size without addend", "good", "section('.rela.data').sh_entsize = 16", "format",
     "section .rela.data: sh_entsize 16 or size 0x18 is wrong"),
    ("relocations without size", "good", "section('.rela.data').sh_entsize = 0", "format",
     "section .rela.data: sh_entsize 0 or size 0x18 is wrong"),
    ("half a relocation", "good", "section('.rela.data').sh_size = 12", "format",
     "section .rela.data: sh_entsize 24 or size 0xc is wrong"),
    ("a relocation table beyond the file", "good", "section('.rela.data').sh_size = 24 << 32", "truncated",
     f"section .rela.data: its content (0x1800000000 bytes at 0x*) {OUTSIDE}"),

    # ---- groups
    ("a group without signature", "group", "section(1).sh_info = len(file)", "format",
     "section .group: its signature, symbol *, does not exist"),
    ("a group whose signature lies behind the last symbol", "group", "section(1).sh_info = 4", "format",
     "section .group: its signature, symbol 4, does not exist"),
    ("a group of another symbol table", "group", "section(1).sh_link = 0", "format",
     "section .group: its signature, symbol 2, does not exist"),
    ("one signature of two groups", "group", "section(2).sh_info = section(1).sh_info", "unsupported",
     "section .group: section group 2 is there twice; link the module with ld -r"),
    ("two signatures of one name", "group", "symbol('group_second').st_name = symbol('group_first').st_name",
     "unsupported", "section .group: section group 3 is there twice; link the module with ld -r"),

    ("a group whose signature has a name without end", "group", "rename_symbol('group_first', 'a' * 4096)", "limit",
     "section .group: the name of its signature, symbol *, has 4096 bytes or more, or too many like it"),

    # ---- what every relocation may refer to, and what is there more than once
    ("a first symbol with a value", "good", "symbol('').st_value = 1", "format",
     "section .symtab: its first entry is not null"),
    ("a first symbol in a section that does not exist", "good", "symbol('').st_shndx = 0xfe00", "format",
     "section .symtab: its first entry is not null"),
    ("contents that many sections share", "good",
     "for name in ('.comment', '.hx.info', '.note.GNU-stack'): "
     "section(name).sh_offset = 0; section(name).sh_size = len(file)", "format",
     "section *: the contents of the sections up to it have 0x* bytes, the file 0x*"),

], "symbols": [
    ("an import with a name without end", "good", "rename_symbol('hx_log', 'a' * 4096)", "limit",
     "symbol * `aaa*': its name has 4096 bytes or more"),
    # ---- name, type, binding
    ("a symbol name at the end of the names", "good", "symbol('good_add').st_name = section('.strtab').sh_size",
     "format", "symbol * `.text': its name lies outside of the string table"),
    ("a symbol name far beyond the names", "good", "symbol('good_add').st_name = -1", "format",
     "symbol * `.text': its name lies outside of the string table"),
    ("a thread-local variable", "good", "symbol('step').st_info = info(STB_LOCAL, STT_TLS)", "unsupported",
     f"symbol * `step': {TLS}"),
    ("a thread-local import", "good", "symbol('hx_clock_ns').st_info = info(STB_GLOBAL, STT_TLS)", "unsupported",
     f"symbol * `hx_clock_ns': {TLS}"),
    ("an indirect function", "good", "symbol('good_add').st_info = info(STB_GLOBAL, STT_GNU_IFUNC)", "unsupported",
     "symbol * `good_add': an indirect function*; remove *attributes ifunc and target_clones*"),
    *[(f"symbol type {kind}", "good", f"symbol('good_add').st_info = info(STB_GLOBAL, {kind})", "unsupported",
       f"symbol * `good_add': symbol type {kind} is not supported") for kind in (7, 9, 15)],
    *[(f"symbol binding {binding}", "good", f"symbol('good_add').st_info = info({binding}, STT_FUNC)", "unsupported",
       f"symbol * `good_add': symbol binding {binding} is not supported") for binding in (3, 9, 15)],
    ("a local symbol among the global ones", "good", "symbol('good_add').st_info = info(STB_LOCAL, STT_FUNC)", "format",
     "symbol * `good_add': local symbols must come before, others after sh_info 24 of the table"),
    ("a global symbol among the local ones", "good", "symbol('good_init').st_info = info(STB_GLOBAL, STT_FUNC)",
     "format", "symbol * `good_init': local symbols must come before, others after sh_info 24 of the table"),
    ("a weak symbol among the local ones", "good", "symbol('good_init').st_info = info(STB_WEAK, STT_FUNC)", "format",
     "symbol * `good_init': local symbols must come before, others after sh_info 24 of the table"),
    ("a first global symbol that is too early", "good", "section('.symtab').sh_info -= 1", "format",
     "symbol 23 `*': local symbols must come before, others after sh_info 23 of the table"),

    # ---- section, value, size
    ("a symbol of a section that does not exist", "good", "symbol('good_add').st_shndx = header.e_shnum", "format",
     "symbol * `good_add': section 24 does not exist"),
    ("a symbol of the last section number", "good", "symbol('good_add').st_shndx = SHN_LORESERVE - 1", "format",
     "symbol * `good_add': section 65279 does not exist"),
    ("a symbol by an extended index", "good", "symbol('good_add').st_shndx = SHN_XINDEX", "unsupported",
     "symbol * `good_add': extended section numbering (SHN_XINDEX) is not supported"),
    *[(f"reserved section number {number:#x}", "good", f"symbol('good_add').st_shndx = {number}", "unsupported",
       f"symbol * `good_add': reserved section number {number:#x} is not supported")
      for number in (0xff00, 0xff03, 0xff20, 0xfff0, 0xfff3)],
    ("a symbol one byte behind the end of its section", "good",
     "symbol('good_add').st_size = 0; symbol('good_add').st_value = section('.text').sh_size + 1", "format",
     "symbol * `good_add': its place (0x0 bytes at 0xe9) lies outside of its section"),
    ("a symbol far behind its section", "good", "symbol('good_add').st_value = -1", "format",
     "symbol * `good_add': its place (0x* bytes at 0xffffffffffffffff) lies outside of its section"),
    ("a symbol that ends one byte behind its section", "good",
     "symbol('good_add').st_size = section('.text').sh_size + 1", "format",
     "symbol * `good_add': its place (0xe9 bytes at 0x0) lies outside of its section"),
    ("a symbol whose end wraps", "good", "symbol('good_call').st_size = -symbol('good_call').st_value", "format",
     "symbol * `good_call': its place (0x* bytes at 0x*) lies outside of its section"),
    ("a symbol of memory without contents that leaves it", "good", "symbol('good').st_size += 1", "format",
     "symbol * `good': its place (0x69 bytes at 0x0) lies outside of its section"),
    ("a symbol that leaves a section which is not loaded", "good",
     "symbol('step').st_shndx = section('.comment').index; symbol('step').st_value = 0x1000", "format",
     "symbol * `step': its place (0x4 bytes at 0x1000) lies outside of its section"),

    # ---- imports
    ("a local import", "good", "symbol('good_init').st_shndx = SHN_UNDEF", "format",
     "symbol * `good_init': an undefined symbol must be global and have a name"),
    ("an import without name", "good", "symbol('hx_log').st_name = 0", "format",
     "symbol * `': an undefined symbol must be global and have a name"),
    ("an import that nobody provides", "good", "rename_symbol('hx_log', 'nobody_provides_it')", "unresolved-symbol",
     "undefined: nobody_provides_it; *"),
    ("two imports that nobody provides", "good", "rename_symbol('hx_log', 'one'); rename_symbol('hx_clock_ns', 'two')",
     "unresolved-symbol",
     "undefined: two, one; *"),
    ("an import whose name is no text", "good", "rename_symbol('hx_log', 'a\\n\\x1b[2J\\xff')", "unresolved-symbol",
     "undefined: a??[[]2J?; *"),
    ("two offset tables", "good",
     "for name in ('hx_log', 'hx_clock_ns'): rename_symbol(name, '_GLOBAL_OFFSET_TABLE_')", "format",
     "symbol * `_GLOBAL_OFFSET_TABLE_': it is there twice, first as symbol *"),
    ("a function that was left undefined", "good", "symbol('good_add').st_shndx = SHN_UNDEF", "unresolved-symbol",
     "undefined: good_add; *"),

    # ---- common symbols
    *[(f"a common symbol with alignment {align:#x}", "common", f"symbol('common_variable').st_value = {align}", "format",
       f"symbol * `common_variable': a common symbol's alignment {align:#x} is no power of two up to a page")
      for align in (0, 24, 8192, 1 << 63)],
    ("a common symbol of all memory", "common", "symbol('common_variable').st_size = -1", "limit",
     "symbol * `common_variable': its 0xffffffffffffffff bytes make the image exceed 16 MiB"),
    ("a common symbol one byte larger than an image", "common", "symbol('common_variable').st_size = (16 << 20) + 1",
     "limit", "symbol * `common_variable': its 0x1000001 bytes make the image exceed 16 MiB"),

], "place": [
    ("code that only programs run, before", "good", "rename('.text', '.init')", "unsupported",
     "section .init: only programs run it; use .init_array or the hooks init and fini"),
    ("code that only programs run, after", "good", "rename('.text', '.fini')", "unsupported",
     "section .fini: only programs run it; use .init_array or the hooks init and fini"),
    # ---- permission and kind
    ("code that may be written", "good", "section('.text').sh_flags |= SHF_WRITE", "unsupported",
     "section .text: it is both writable and executable"),
    ("data that may be executed", "good", "section('.data').sh_flags |= SHF_EXECINSTR", "unsupported",
     "section .data: it is both writable and executable"),
    ("thread-local data", "good", "section('.data').sh_flags |= SHF_TLS", "unsupported",
     f"section .data: {TLS}"),
    ("thread-local memory without contents", "good", "section('.bss').sh_flags |= SHF_TLS", "unsupported",
     f"section .bss: {TLS}"),
    ("compressed constants", "good", "section('.rodata').sh_flags |= SHF_COMPRESSED", "unsupported",
     "section .rodata: it is compressed; build without -gz for this section"),
    *[(f"section flags {flags:#x}", "good", f"section('.data').sh_flags |= {flags}", "unsupported",
       f"section .data: unknown section flags {flags:#x}")
      for flags in (0x8, 0x100, 0x100000, 0x20000000, 0x40000000, 0x80000000, 1 << 32, 1 << 63)],
    *[(f"a loaded section of type {kind}", "good", f"section('.data').sh_type = {kind}", "unsupported",
       "section .data: section type 0x* cannot be loaded")
      for kind in ("SHT_STRTAB", "SHT_HASH", "SHT_DYNAMIC", "SHT_SHLIB", "SHT_DYNSYM", "0x6fffff00", "0x70000002", "-1")],
    ("intermediate code of a compiler", "good", "rename('.comment', '.gnu.lto_.opts')", "unsupported",
     "section .gnu.lto_.opts: it holds compiler intermediate code; build with -fno-lto"),

    # ---- size
    ("an alignment of two pages", "good", "section('.data').sh_addralign = 0x2000", "limit",
     "section .data: alignment 0x2000 is more than a page"),
    ("the largest alignment", "good", "section('.data').sh_addralign = 1 << 63", "limit",
     "section .data: alignment 0x8000000000000000 is more than a page"),
    ("memory one byte larger than an image", "good", "section('.bss').sh_size = (16 << 20) + 1", "limit",
     "section .bss: its 0x1000001 bytes make the image exceed 16 MiB"),
    ("memory that is too much with the rest", "good", "section('.bss').sh_size = 16 << 20", "limit",
     "section *: its 0x* bytes make the image exceed 16 MiB"),
    ("memory whose size wraps", "good", "section('.bss').sh_size = -8", "limit",
     "section .bss: its 0xfffffffffffffff8 bytes make the image exceed 16 MiB"),
    ("two parts that are too much together", "good",
     "section('.bss').sh_size = 9 << 20; section('.bss.hx_state').sh_size = 9 << 20", "limit",
     "section .bss.hx_state: its 0x900000 bytes make the image exceed 16 MiB"),
    ("common symbols that are too much together", "common",
     "symbol('common_variable').st_size = 9 << 20; symbol('common_array').st_size = 9 << 20", "limit",
     "symbol * `common_array': its 0x900000 bytes make the image exceed 16 MiB"),
    ("a common symbol that is too much with the rest", "common", "symbol('common_array').st_size = 16 << 20", "limit",
     "symbol * `common_array': its 0x1000000 bytes make the image exceed 16 MiB"),
    ("nothing to load", "unwind", "section('.text').sh_size = 0; symbol('unwind_seven').st_size = 0", "format",
     "there is nothing to load in it"),

    # ---- records
    ("records without contents", "good", "section('.hx.module').sh_type = SHT_NOBITS", "format",
     "section .hx.module: records must be constant data"),
    ("records that are code", "good", "section('.hx.module').sh_flags |= SHF_EXECINSTR", "format",
     "section .hx.module: records must be constant data"),
    ("records in two sections", "good", "rename('.hx.ports', '.hx.module')", "format",
     "section .hx.module: it is there twice; link the module with ld -r"),
    ("a state without fields beside the state", "good", "rename('.data', '.bss.hx_state')", "format",
     "section .bss.hx_state: a second state; declare one structure"),

    # ---- constructors
    ("constructors of the old kind", "constructor",
     "section('.init_array').sh_type = SHT_PROGBITS; rename('.init_array', '.ctors')", "unsupported",
     "section .ctors: constructors of the old kind; build with a compiler that uses .init_array"),
    ("constructors of the old kind with a priority", "constructor",
     "section('.init_array').sh_type = SHT_PROGBITS; rename('.init_array', '.ctors.65434')", "unsupported",
     "section .ctors.65434: constructors of the old kind; build with a compiler that uses .init_array"),
    ("destructors of the old kind", "constructor",
     "section('.fini_array').sh_type = SHT_PROGBITS; rename('.fini_array', '.dtors')", "unsupported",
     "section .dtors: constructors of the old kind; build with a compiler that uses .init_array"),
    ("constructors of programs", "constructor", "section('.init_array').sh_type = SHT_PREINIT_ARRAY", "unsupported",
     "section .init_array: only programs have constructors of this kind; use .init_array or the hook init"),
    ("half a constructor", "constructor", "section('.init_array').sh_size = 12", "format",
     "section .init_array: its 0xc bytes are no array of addresses"),
    ("half a destructor", "constructor", "section('.fini_array').sh_size = 4", "format",
     "section .fini_array: its 0x4 bytes are no array of addresses"),
    ("constructors with gaps between them", "constructor", "section('.init_array').sh_addralign = 16", "format",
     "section .init_array: its 0x10 bytes are no array of addresses"),
    ("constructors that are code", "constructor",
     "section('.init_array').sh_flags = SHF_ALLOC | SHF_EXECINSTR", "format",
     "section .init_array: an array of addresses must be data"),
    ("constructors that may be written and executed", "constructor",
     "section('.init_array').sh_flags |= SHF_EXECINSTR", "unsupported",
     "section .init_array: it is both writable and executable"),
    ("constructors that are too much with the rest", "constructor", "section('.bss').sh_size = 16 << 20", "limit",
     "section .*: its 0x* bytes make the image exceed 16 MiB"),
    ("an offset table that is too much with the rest", "one",
     "turn('.rela.rodata.one', R_X86_64_GOT64, 0, 'one_here'); section('.bss').sh_size = (16 << 20) - loaded()", "limit",
     "a global offset table of 0x8 and veneers of 0x0 bytes make the image exceed 16 MiB"),
    ("a veneer that is too much with the rest", "one",
     "turn('.rela.text.one', R_X86_64_PLT32, 0, 'one_absolute', -4); section('.bss').sh_size = (16 << 20) - loaded()",
     "limit", "a global offset table of 0x0 and veneers of 0x10 bytes make the image exceed 16 MiB"),

], "relocate": [
    # ---- place: one byte too far for each field, and where sums wrap
    *[(f"R_X86_64_{kind} that leaves its section", "one",
       f"turn('.rela.rodata.one', R_X86_64_{kind}, section('.rodata.one').sh_size - {width - 1}, 'one_here')", "format",
       f"section .rela.rodata.one, relocation 0: R_X86_64_{kind} against `one_here' at offset {33 - width:#x}: it lies "
       "outside of the section that it changes") for kind, width in FIELDS.items()],
    *[(f"R_X86_64_{kind} whose place wraps", "one", f"turn('.rela.text.one', R_X86_64_{kind}, -1, 'one_here')", "format",
       f"section .rela.text.one, relocation 0: R_X86_64_{kind} against `one_here' at offset 0xffffffffffffffff: it lies "
       "outside of the section that it changes") for kind in ("64", "PC32", "32", "16", "8", "GOTPCREL", "REX_GOTPCRELX")],
    ("a relocation of an empty section", "good", "section('.rela.data').sh_info = section('.bss').index; "
     "section('.bss').sh_type = SHT_PROGBITS; relocation('.rela.data', R_X86_64_64).r_offset = 0", "format",
     "section .rela.data, relocation 0: R_X86_64_64 against `good_add' at offset 0x0: it lies outside of the section that "
     "it changes"),
    ("relocations of a section smaller than a field", "good",
     "section('.rela.data').sh_info = section('.hx.ports').index; relocation('.rela.data', R_X86_64_64).r_offset = 0",
     "format", "section .rela.data, relocation 0: R_X86_64_64 against `good_add' at offset 0x0: it lies outside of the "
     "section that it changes"),
    ("relocations of memory without contents", "good",
     "section('.rela.data').sh_info = section('.bss.hx_state').index", "format",
     "section .rela.data: .bss.hx_state has no contents to relocate"),
    ("a relocation behind many that are in order", "good", "relocation('.rela.text', R_X86_64_PLT32).r_offset = 0xe5",
     "format", "section .rela.text, relocation 15: R_X86_64_PLT32 against `hx_log' at offset 0xe5: it lies outside of the "
     "section that it changes"),

    # ---- symbol
    *[(f"R_X86_64_{kind} against the symbol behind the last", "one",
       f"turn('.rela.rodata.one', R_X86_64_{kind}, 8, section('.symtab').sh_size // 24)", "format",
       f"section .rela.rodata.one, relocation 0: R_X86_64_{kind} at offset 0x8: its symbol does not exist")
      for kind in ("NONE", "64", "PC32", "16", "GOT64", "GOTPCRELX", "GOTPC64", "SIZE32")],
    ("a relocation against the last symbol number", "one", "turn('.rela.text.one', R_X86_64_PC32, 8, 0xffffffff)",
     "format", "section .rela.text.one, relocation 0: R_X86_64_PC32 at offset 0x8: its symbol does not exist"),
    *[(f"R_X86_64_{kind} against what is not loaded", "one", f"turn('.rela.rodata.one', R_X86_64_{kind}, 8, 'one_unloaded')",
       "relocation", f"section .rela.rodata.one, relocation 0: R_X86_64_{kind} against `one_unloaded' at offset 0x8: its "
       "symbol stands in a section that is not loaded") for kind in FIELDS if kind not in NO_SYMBOL],
    ("an instruction that loads the address of what is not loaded", "one",
     "turn('.rela.text.one', R_X86_64_REX_GOTPCRELX, 8, 'one_unloaded', -4); "
     "code = section('.text.one').sh_offset; file[code + 5:code + 8] = b'\\x48\\x8b\\x05'", "relocation",
     "section .rela.text.one, relocation 0: R_X86_64_REX_GOTPCRELX against `one_unloaded' at offset 0x8: its symbol stands "
     "in a section that is not loaded"),

    # ---- type
    *[(f"R_X86_64_{kind}", "one", f"turn('.rela.text.one', R_X86_64_{kind}, 8, 'one_here')", "relocation",
       f"section .rela.text.one, relocation 0: R_X86_64_{kind} against `one_here' at offset 0x8: {TLS}")
      for kind in ("DTPMOD64", "DTPOFF64", "TPOFF64", "TLSGD", "TLSLD", "DTPOFF32", "GOTTPOFF", "TPOFF32",
                   "GOTPC32_TLSDESC", "TLSDESC_CALL", "TLSDESC")],
    *[(f"R_X86_64_{kind}", "one", f"turn('.rela.text.one', R_X86_64_{kind}, 8, 'one_here')", "relocation",
       f"section .rela.text.one, relocation 0: R_X86_64_{kind} against `one_here' at offset 0x8: {LINKED}")
      for kind in ("COPY", "GLOB_DAT", "JUMP_SLOT", "RELATIVE", "IRELATIVE", "RELATIVE64")],
    *[(f"relocation type {kind}", "one", f"turn('.rela.text.one', {kind}, 8, 'one_here')", "relocation",
       f"section .rela.text.one, relocation 0: type {kind} against `one_here' at offset 0x8: not supported")
      for kind in (39, 40, 43, 0x102, 0xffffffff)],
    ("an unknown relocation against nothing", "one", "turn('.rela.text.one', 200, 8, 0)", "relocation",
     "section .rela.text.one, relocation 0: type 200 at offset 0x8: not supported"),

    # ---- range: the first values on either side that do not fit
    *[(f"R_X86_64_{kind} of {value:#x}", "one",
       f"symbol('one_absolute').st_value = {value}; turn('.rela.rodata.one', R_X86_64_{kind}, 8, 'one_absolute')", "range",
       f"section .rela.rodata.one, relocation 0: R_X86_64_{kind} against `one_absolute' at offset 0x8: "
       f"{value % (1 << 64):#x} does not fit {8 * FIELDS[kind]} bits{hint}")
      for kind, value, hint in (("32", 1 << 32, "; build with -fPIC"), ("32", -1, "; build with -mcmodel=kernel"),
                                ("32", -(1 << 31), "; build with -mcmodel=kernel"),
                                ("32S", 1 << 31, "; build with -fPIC"), ("32S", -(1 << 31) - 1, "; build with -fPIC"),
                                ("16", 1 << 16, ""), ("16", -(1 << 15) - 1, ""), ("8", 1 << 8, ""), ("8", -(1 << 7) - 1, ""))],
    *[(f"R_X86_64_{kind} with an addend out of range", "one",
       f"turn('.rela.rodata.one', R_X86_64_{kind}, 8, 'one_here', {addend})", "range",
       f"section .rela.rodata.one, relocation 0: R_X86_64_{kind} against `one_here' at offset 0x8: 0x* does not fit "
       f"{8 * FIELDS[kind]} bits{hint}")
      for kind, hint in (("PC32", "; build with -mcmodel=large"), ("PLT32", "; build with -mcmodel=large"), ("PC16", ""),
                         ("PC8", ""), ("GOT32", LARGE_PIC), ("GOTPC32", LARGE_PIC), ("GOTPCREL", LARGE_PIC),
                         ("GOTPCRELX", LARGE_PIC), ("REX_GOTPCRELX", LARGE_PIC), ("SIZE32", ""))
      for addend in (1 << 40, -1 << 40)],
    ("a call with an unusual addend that does not reach", "one",
     "turn('.rela.text.one', R_X86_64_PLT32, 8, 'one_absolute', -5)", "range",
     "section .rela.text.one, relocation 0: R_X86_64_PLT32 against `one_absolute' at offset 0x8: 0x* does not fit 32 bits; "
     "build with -mcmodel=large"),
    ("a distance to a far address", "one", "turn('.rela.text.one', R_X86_64_PC32, 8, 'one_absolute', -4)", "range",
     "section .rela.text.one, relocation 0: R_X86_64_PC32 against `one_absolute' at offset 0x8: 0x* does not fit 32 bits; "
     "build with -mcmodel=large"),
    ("a size that does not fit", "one",
     "symbol('one_absolute').st_size = 1 << 32; turn('.rela.rodata.one', R_X86_64_SIZE32, 8, 'one_absolute')", "range",
     "section .rela.rodata.one, relocation 0: R_X86_64_SIZE32 against `one_absolute' at offset 0x8: 0x100000000 does not "
     "fit 32 bits"),
    ("a relocation in constructors that does not fit", "constructor",
     "relocation('.rela.init_array', R_X86_64_64).r_type = R_X86_64_32; "
     "relocation('.rela.init_array', R_X86_64_32).r_addend = 1 << 33", "range",
     "section .rela.init_array, relocation 0: R_X86_64_32 against `build_a' at offset 0x0: 0x* does not fit 32 bits*"),
]}


# ---- types
AGAIN = "; pack the module anew, with this kernel's mkmodpack"
STRUCTURE, IMPORT, OPERATION = "struct hx_message", "import hx_sleep_ns", "operation hx_kv_get"
TYPES = [
    *[(f"a section of {size} bytes", f"section('.hx.types').sh_size = {size}", "format",
       f"section .hx.types: {size} bytes are too few for its head{AGAIN}") for size in (0, 7)],
    ("a section beyond the file", "section('.hx.types').sh_offset = len(file) + 1", "truncated",
     f"section .hx.types: its content (0x* bytes at 0x*) {OUTSIDE}"),
    *[(f"format {number}", f"types.format = {number}", "unsupported",
       f"section .hx.types: its format is {number}, not 1{AGAIN}") for number in (0, 2, 257, (1 << 32) - 1)],
    ("a head alone", "section('.hx.types').sh_size = 8", "format",
     f"section .hx.types: * records are more than its 8 bytes hold{AGAIN}"),
    ("a section that ends in its last record", "section('.hx.types').sh_size = 8 + types.count * 16 - 1", "format",
     f"section .hx.types: * records are more than its * bytes hold{AGAIN}"),
    *[(f"{count} records", f"types.count = {count}", "format",
       f"section .hx.types: {count} records are more than its * bytes hold{AGAIN}") for count in (65535, 65536, (1 << 32) - 1)],
    ("one record more than there are", "types.count += 1", "format",
     f"section .hx.types, record * (*): its name lies outside{AGAIN}"),
    *[(f"a name at {what}", f"type_record('{name}').name = {place}", "format",
       f"section .hx.types, record * (*): its name lies outside{AGAIN}")
      for name in (STRUCTURE, IMPORT, OPERATION)
      for what, place in (("the end", "section('.hx.types').sh_size"), ("the last number", "-1"))],
    ("a name without end", f"section('.hx.types').sh_size -= 1; type_record('{STRUCTURE}').name = section('.hx.types').sh_size - 4",
     "format", f"section .hx.types, record * (*): its name lies outside{AGAIN}"),
    *[(f"the name of another for {name}", f"type_record('{name}').name = type_record('state svc_kv').name", "format",
       f"section .hx.types, record * (state svc_kv): its key is another name's{AGAIN}") for name in (STRUCTURE, OPERATION)],
    *[(f"another key of {name}", f"type_record('{name}').key += {step}", "format",
       f"section .hx.types, record * ({name}): its key is another name's{AGAIN}")
      for name in (STRUCTURE, IMPORT, OPERATION, "state svc_kv", "record svc_kv") for step in (1, -1)],
    ("two records in each other's place", "swap_types('state svc_kv', 'record svc_kv')", "format",
     f"section .hx.types, record * (*): it is not in order{AGAIN}"),
    ("a record that is there twice", "repeat_type('state svc_kv')", "format",
     f"section .hx.types, record * (state svc_kv): it is not in order{AGAIN}"),
    *[(f"another type of {name}", f"type_record('{name}').type ^= {bit}", "version",
       f"{name}: its type differs from this kernel's; rebuild with this kernel's SDK",
       f"another type of {name}: which part of it is not known without debug information; build it with this kernel's headers")
      for name in (STRUCTURE, IMPORT, OPERATION) for bit in (1, 1 << 63)],
]


def info(binding, kind):
    return binding << 4 | kind


def change(good, statement):
    """The bytes of the good object after the change."""
    bad = elf_object.Object(good)
    names = dict(elf_object.constants())
    names.update(header=bad.header, section=bad.section, symbol=bad.symbol, relocation=bad.relocation, file=bad.file,
                 resize=bad.resize, rename=bad.rename, rename_symbol=bad.rename_symbol, turn=bad.turn, loaded=bad.loaded, info=info,
                 **bad.type_tools())
    exec(statement, names)  # the table above is the only source of statements
    if bad.file == good:
        raise ValueError(f"changes nothing: {statement}")
    return bytes(bad.file)


def malformed(directory):
    """Yields (name, good object's name, error, step, message, bytes) for each case; @directory holds the good objects."""
    good = {}
    for step, cases in CASES.items():
        for name, base, statement, error, message in cases:
            if base not in good:
                with open(os.path.join(directory, base + ".o"), "rb") as file:
                    good[base] = file.read()
            yield name, base, error, step, message, change(good[base], statement)


def malformed_types(path):
    """Yields (name, error, message, mkmodpack's message, bytes) for each case; @path: the good module."""
    with open(path, "rb") as file:
        good = file.read()
    for name, statement, error, message, *other in TYPES:
        yield name, error, message, other[0] if other else message, change(good, statement)


def main():
    *types, source, path = sys.argv[1:]
    with open(path, "wb") as file:
        for *description, content in malformed_types(source) if types else malformed(source):
            file.write("\t".join([*description, str(len(content))]).encode() + b"\n" + content)


if __name__ == "__main__":
    main()
