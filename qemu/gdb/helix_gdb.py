# SPDX-License-Identifier: MIT
"""helix_gdb.py - gdb for a running Helix: knows every module at the address where it is loaded, through loads and reloads.

    qemu/run --debug          # in one terminal: QEMU waits, and prints the line for the other
    gdb -x qemu/gdb/helix_gdb.py -ex 'target remote :1234'

Breakpoints may name functions of modules that are not loaded yet; one that names a function which two versions have stands in
both. Commands: hx-modules, hx-tasks, hx-bt, hx-slots, hx-swaps, hx-path, hx-symbols; `help' says more of each.

How: two functions of the kernel are stopped at for a moment, hx_version_init (a version is linked and none of its code has
run) and hx_version_destroy (none of it will run again). A version's symbols come from the kernel's own copy of its file, which
fits whatever it was built from; where a file with the same code and debug information is found, from that one.
"""
import atexit
import hashlib
import os
import shutil
import struct
import tempfile

import gdb

HERE = os.path.dirname(os.path.realpath(__file__))
SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS = 2, 4, 8
FILE_MAX_BYTES = 64 << 20
ENDINGS = (".debug", ".hxm", ".o")
CONTEXT_RBP, CONTEXT_RETURN = 5, 7  # of the eight words that hx_hal_switch() leaves on a stack
BACKTRACE_MAX = 32


# ---- what ELF says ------------------------------------------------------------------------------------------------------
def elf_sections(data):
    """{name: (flags, bytes or None for those that take no room in the file)} of an ELF64 file, in the order of the file, and
    the names by index. Raises ValueError for what is none."""
    if len(data) < 64 or data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no ELF64 file")
    offset = struct.unpack_from("<Q", data, 40)[0]
    size, count, names_index = struct.unpack_from("<HHH", data, 58)
    if size != 64 or offset + size * count > len(data) or names_index >= count:
        raise ValueError("a section table that lies outside")
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, offset + size * i) for i in range(count)]
    strings = data[headers[names_index][4]:headers[names_index][4] + headers[names_index][5]]
    order, sections = [], {}
    for name_at, kind, flags, _, at, length, *_ in headers:
        name = strings[name_at:strings.find(b"\0", name_at)].decode(errors="replace")
        order.append(name)
        sections.setdefault(name, (flags, None if kind == SHT_NOBITS else data[at:at + length]))
    return sections, order


def code_of(sections):
    """What tells one build from another: the code, before it is linked."""
    digest = hashlib.sha256()
    for name in sorted(sections):
        flags, content = sections[name]
        if flags & SHF_ALLOC and flags & SHF_EXECINSTR and content:
            digest.update(name.encode() + b"\0" + content)
    return digest.digest()


class Files:
    """Files of modules on this machine, found by their code."""

    def __init__(self):
        self.folders = []
        self.known = {}  # path: (size and time, its code or None, whether it has debug information)
        self.scratch = None

    def look_at(self, path):
        status = os.stat(path)
        stamp = (status.st_size, status.st_mtime_ns)
        if path not in self.known or self.known[path][0] != stamp:
            code, debug = None, False
            try:
                if status.st_size <= FILE_MAX_BYTES:
                    with open(path, "rb") as file:
                        sections, _ = elf_sections(file.read())
                    code, debug = code_of(sections), ".debug_info" in sections
            except (OSError, ValueError, struct.error):
                pass
            self.known[path] = (stamp, code, debug)
        return self.known[path]

    def with_code(self, code):
        """A file with debug information whose code is that; None."""
        for folder in self.folders:
            for place, folders, names in os.walk(folder):
                folders.sort()
                for name in sorted(names, key=lambda name: (not name.endswith(".debug"), name)):
                    path = os.path.join(place, name)
                    if name.endswith(ENDINGS) and os.path.isfile(path) and self.look_at(path)[1:] == (code, True):
                        return path
        return None

    def keep(self, name, data):
        """Writes what the guest has to a file that is gone when gdb ends."""
        if not self.scratch:
            self.scratch = tempfile.mkdtemp(prefix="helix-gdb-")
            atexit.register(shutil.rmtree, self.scratch, ignore_errors=True)
        path = os.path.join(self.scratch, f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.hxm")
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(data)
        return path


FILES = Files()


# ---- what the guest has -------------------------------------------------------------------------------------------------
class NotThere(gdb.GdbError):
    """What is asked for is not in the guest, or not yet; gdb shows it as one line."""


def variable(name, file=None):
    """The value of a variable of the kernel; of a static one, that in the source file whose path ends so."""
    symbols = [gdb.lookup_global_symbol(name)] if not file else gdb.lookup_static_symbols(name)
    for symbol in filter(None, symbols):
        if not file or symbol.symtab.filename.endswith(file):
            return symbol.value()
    raise NotThere(f"the kernel's `{name}' is not known: `file build/kernel/helix.elf', of the kernel that runs, with its "
                   "debug information")


def kernel_type(name):
    try:
        return gdb.lookup_type(name)
    except gdb.error as error:
        raise NotThere(f"the kernel's debug information is missing ({error}): `file build/kernel/helix.elf'") from error


def memory(address, count):
    return gdb.selected_inferior().read_memory(int(address), int(count)).tobytes()


def text(value):
    """A char array or string of the guest, as far as its NUL."""
    try:
        return value.string(errors="replace")
    except gdb.MemoryError:
        return "?"


def enum_name(value, prefix):
    return str(value).rpartition(prefix)[2].lower()


def version_text(number):
    number = int(number)
    return f"{number >> 24}.{number >> 16 & 0xff}.{number & 0xffff}"


def modules():
    module = variable("registry", "kernel/module/module.c")["all"]["tqh_first"]
    while module:
        yield module.dereference()
        module = module["link"]["tqe_next"]


def tasks():
    used = variable("table", "kernel/task/task.c")["used"]
    table = variable("hx_tasks")
    for index in range(int(used)):
        if table[index]["handle"]:
            yield index, table[index]


def cpu_offsets():
    """Where each processor's own variables lie, from where the symbol says."""
    offsets = variable("hx_arch_percpu_offset")
    low, high = offsets.type.range()
    return [int(offsets[i]) for i in range(low, high + 1) if offsets[i]]


def on_cpu(value, offset):
    """A per-CPU variable of the processor whose offset that is."""
    return gdb.Value((int(value.address) + offset) & (1 << 64) - 1).cast(value.type.pointer()).dereference()


def function_at(address):
    """"name+0x12 (module)" of an address in code."""
    where = gdb.execute(f"info symbol {int(address):#x}", to_string=True).split(" in section ")[0].strip()
    if where.startswith("No symbol"):
        return f"{int(address):#x}"
    where = where.replace(" + ", "+")
    owner = LOADED.owner_of(int(address))
    return f"{where} ({owner})" if owner else where


# ---- symbols ------------------------------------------------------------------------------------------------------------
class Loaded:
    """One version of a module in the guest, and what gdb was told of it."""

    def __init__(self, version):
        self.version = int(version)
        image = version["image"].dereference()
        record = version["record"]
        self.name = text(record["name"])
        self.number = version_text(record["version"])
        self.data = memory(version["file"]["data"], version["file"]["bytes"])
        sections, order = elf_sections(self.data)
        self.code = code_of(sections)
        self.at = {}
        self.low = self.high = 0
        for index in range(min(int(image["section_count"]), len(order))):
            va = int(image["section_va"][index])
            if va and order[index] and sections[order[index]][0] & SHF_ALLOC:
                self.at.setdefault(order[index], va)
        text_part = image["part"][0]
        self.low, self.high = int(text_part["va"]), int(text_part["va"]) + int(text_part["bytes"])
        self.path = None

    def add(self):
        self.path = FILES.with_code(self.code) or FILES.keep(self.name, self.data)
        places = " ".join(f"-s {name} {va:#x}" for name, va in self.at.items())
        gdb.execute(f"add-symbol-file {quoted(self.path)} {places}", from_tty=False, to_string=True)

    def remove(self):
        try:
            gdb.execute(f"remove-symbol-file -a {self.at.get('.text', self.low):#x}", from_tty=False, to_string=True)
        except gdb.error:
            pass  # the person has removed it already


def quoted(path):
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Symbols:
    """All versions whose symbols gdb has."""

    def __init__(self):
        self.versions = {}  # address of struct hx_version: Loaded

    def came(self, version):
        self.went(int(version))
        try:
            loaded = Loaded(version)
            loaded.add()
        except (gdb.error, ValueError, struct.error, OSError) as error:
            print(f"helix: no symbols of the module at {int(version):#x}: {error}")
            return
        self.versions[loaded.version] = loaded
        tell(f"helix: {loaded.name} {loaded.number} at {loaded.low:#x}")

    def went(self, version):
        loaded = self.versions.pop(version, None)
        if loaded:
            loaded.remove()
            tell(f"helix: {loaded.name} {loaded.number} at {loaded.low:#x} is gone")

    def forget_all(self):
        for version in list(self.versions):
            self.went(version)

    def read_all(self):
        """What is loaded now, from the registry."""
        present = {int(each): each for module in modules() for each in (module["running"], module["previous"])
                   if each and each["image"]}
        for version in set(self.versions) - set(present):
            self.went(version)
        for address, version in present.items():
            if address not in self.versions:
                self.came(version)

    def owner_of(self, address):
        return next((loaded.name for loaded in self.versions.values() if loaded.low <= address < loaded.high), None)


LOADED = Symbols()


def tell(line):
    if gdb.parameter("hx-verbose"):
        print(line)


class Moment(gdb.Breakpoint):
    """Stops at a function of the kernel, looks at the version in its first argument, and lets it go on."""

    def __init__(self, function, then):
        super().__init__(f"*{function}", internal=True)
        self.silent = True
        self.then = then

    def stop(self):
        self.then(gdb.Value(int(gdb.parse_and_eval("$rdi"))).cast(kernel_type("struct hx_version").pointer()))
        return False


class Guest:
    """Whether we know the guest that gdb talks to."""

    def __init__(self):
        self.moments = []
        self.known = False

    def begin(self):
        """The kernel's symbols are there."""
        if not self.moments and gdb.lookup_global_symbol("hx_version_init"):
            self.moments = [Moment("hx_version_init", LOADED.came),
                            Moment("hx_version_destroy", lambda version: LOADED.went(int(version)))]

    def stopped(self, _event=None):
        """At the first stop of a connection the modules that are there already are looked up."""
        if self.known or not gdb.selected_inferior().pid:
            return
        self.begin()
        try:
            LOADED.read_all()
            self.known = True
        except gdb.MemoryError:
            self.known = True  # the kernel has not begun: every module will be told of
        except (gdb.error, NotThere):
            pass

    def gone(self, _event=None):
        self.known = False
        for loaded in LOADED.versions.values():
            loaded.remove()
        LOADED.versions.clear()


GUEST = Guest()


# ---- commands -----------------------------------------------------------------------------------------------------------
def table(heads, rows, right=()):
    """Prints columns; those in @right end at one place."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(heads), *rows]) for i in range(len(heads))]
    for row in [list(heads), *rows]:
        print("  ".join(cell.rjust(width) if i in right else cell.ljust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))).rstrip())


class Command(gdb.Command):
    """A command by its docstring, which is its help."""

    name = None
    completes = gdb.COMPLETE_NONE

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_STATUS, self.completes)

    def invoke(self, argument, from_tty):
        try:
            self.run(gdb.string_to_argv(argument))
        except gdb.MemoryError as error:
            raise gdb.GdbError(f"{self.name}: the kernel is not there yet: {error}") from error

    def run(self, words):
        raise NotImplementedError


class Modules(Command):
    """Show the modules: state, version, where its code lies, and where its symbols come from.

Usage: hx-modules
A version on probation is followed by the one before it. `-' as file: the kernel's own copy, without debug information."""

    name = "hx-modules"

    def run(self, words):
        rows = []
        for module in modules():
            for version, state in ((module["running"], enum_name(module["state"], "HX_MODULE_")), (module["previous"], "previous")):
                if not version:
                    if state != "previous":
                        rows.append([text(module["name"]), "-", state, "-", 0, "-"])
                    continue
                loaded = LOADED.versions.get(int(version))
                piece = version["image"]["part"][0]
                ours = loaded and FILES.scratch and loaded.path.startswith(FILES.scratch)
                rows.append([text(version["record"]["name"]), version_text(version["record"]["version"]), state,
                             f"{int(piece['va']):#x}", int(piece["bytes"]),
                             "none" if not loaded else "-" if ours else loaded.path])
        table(("MODULE", "VERSION", "STATE", "TEXT", "BYTES", "FILE"), rows, right=(4,))


class Tasks(Command):
    """Show the tasks: state, class, processor, priority, time, whose each is, and where it stands.

Usage: hx-tasks
A task that runs is marked with a star; `thread' and `bt' show it. hx-bt shows the others."""

    name = "hx-tasks"

    def run(self, words):
        current = {int(on_cpu(variable("hx_cpu"), offset)["current"]) for offset in cpu_offsets()}
        module = kernel_type("struct hx_module").pointer()
        rows = []
        for index, task in tasks():
            runs = int(task.address) in current
            owner = text(task["owner"].cast(module)["name"]) if task["owner"] else "-"
            state = str(task["state"].cast(kernel_type("enum hx_task_state")))
            kind = str(task["class"].cast(kernel_type("enum hx_task_class")))
            rows.append([index, "*" if runs else "", text(task["name"]), kind.rpartition("HX_TASK_")[2].lower(),
                         state.rpartition("HX_TASK_")[2].lower(), int(task["cpu"]), int(task["priority"]),
                         f"{int(task['run_ns']) / 1e6:.1f}", owner, "" if runs else self.where(task)])
        table(("TASK", "", "NAME", "CLASS", "STATE", "CPU", "PRIO", "RUN ms", "OWNER", "AT"), rows, right=(0, 5, 6, 7))

    @staticmethod
    def where(task):
        """The innermost function that is not about waiting."""
        for address in backtrace(task):
            source = gdb.find_pc_line(address - 1).symtab
            if not source or "/kernel/task/" not in source.filename and "/kernel/arch/" not in source.filename:
                return function_at(address)
        return "-"


def backtrace(task):
    """Return addresses of a task that does not run, innermost first, by its frame pointers; through gates and imports, which
    keep none of their own, as well."""
    parked = kernel_type("struct hx_gate_frame").sizeof - 8  # of a gate's frame, up to the return address
    sp = int(task["context"]["sp"])
    words = struct.unpack("<8Q", memory(sp, 64))
    rbp, found = words[CONTEXT_RBP], [words[CONTEXT_RETURN]]
    try:
        while rbp > sp and len(found) < BACKTRACE_MAX:
            outer, address = struct.unpack("<2Q", memory(rbp, 16))
            found.append(address)
            name = function_at(address)
            if name.startswith("import+"):
                found.append(struct.unpack("<Q", memory(rbp + 24, 8))[0])  # behind one word for alignment
            elif name.startswith("hx_") and is_gate(address):
                found.append(struct.unpack("<Q", memory(rbp + 16 + parked, 8))[0])
            sp, rbp = rbp, outer
    except gdb.MemoryError:
        pass
    return [address for address in found if address]


def is_gate(address):
    """Whether a call of gate.S is what returns there: by what it does first."""
    code = memory(address, 5)
    return code[:4] == b"\x65\x48\xff\x04" or code == b"\x4c\x8b\x5c\x24\x08"  # incq %gs:left; mov slot, %r11


class Backtrace(Command):
    """Show the calls of a task that does not run.

Usage: hx-bt TASK
TASK is its number or its name, as hx-tasks shows them. Of a task that runs, `bt' shows more."""

    name = "hx-bt"

    def run(self, words):
        if len(words) != 1:
            raise gdb.GdbError("hx-bt: it takes one task; see hx-tasks")
        current = {int(on_cpu(variable("hx_cpu"), offset)["current"]) for offset in cpu_offsets()}
        for index, task in tasks():
            if words[0] in (str(index), text(task["name"])):
                if int(task.address) in current:
                    raise gdb.GdbError(f"hx-bt: {words[0]} runs; use `bt' on its processor's thread")
                for depth, address in enumerate(backtrace(task)):
                    print(f"#{depth:<3d} {address:#018x} in {function_at(address)}")
                return
        raise gdb.GdbError(f"hx-bt: {words[0]}: no such task; see hx-tasks")


class Slots(Command):
    """Show the slots of the gate: kind, state, who provides, who is inside, and calls so far.

Usage: hx-slots
INSIDE is exact while all processors stand still, as they do in front of gdb's prompt."""

    name = "hx-slots"

    def run(self, words):
        slots, infos = variable("hx_slots"), variable("gate", "kernel/gate/gate.c")["info"]
        offsets = cpu_offsets()
        rows = []
        for index in range(slots.type.range()[1] + 1):
            info = infos[index]
            state = enum_name(info["state"], "HX_SLOT_")
            if state == "free" or not text(info["name"]):
                continue
            counted = [on_cpu(slots[index], offset) for offset in offsets]
            left = sum(int(each["left"]) for each in counted)
            owner = self.owner(info)
            rows.append([index, text(info["name"]), enum_name(info["kind"], "HX_SLOT_KIND_"),
                         "sleepable" if info["sleepable"] else "atomic", state, owner,
                         sum(int(each["entered"]) for each in counted) - left, left])
        table(("SLOT", "NAME", "KIND", "MAY", "STATE", "OWNER", "INSIDE", "CALLS"), rows, right=(0, 6, 7))

    @staticmethod
    def owner(info):
        """Hooks are a version's own, the others their module's."""
        if not info["owner"]:
            return "-"
        if enum_name(info["kind"], "HX_SLOT_KIND_") != "hooks":
            return text(info["owner"].cast(kernel_type("struct hx_module").pointer())["name"])
        record = info["owner"].cast(kernel_type("struct hx_version").pointer())["record"]
        return f"{text(record['name'])} {version_text(record['version'])}"


class Swaps(Command):
    """Show what became of the last swaps and restarts.

Usage: hx-swaps [COUNT]
The newest comes last; without COUNT all that the kernel remembers."""

    name = "hx-swaps"

    def run(self, words):
        if len(words) > 1 or words and not words[0].isdigit():
            raise gdb.GdbError("hx-swaps: it takes a number of swaps at most")
        ring, last = variable("ring", "kernel/hotreload/history.c"), int(variable("last", "kernel/hotreload/history.c"))
        entries = ring.type.range()[1] + 1
        first = max(1, last - entries + 1, last - int(words[0]) + 1 if words else 1)
        rows = []
        for number in range(first, last + 1):
            swap = ring[number % entries]
            why = text(swap["report"]["message"]) if swap["report"]["err"] else ""
            rows.append([number, text(swap["old_name"]), version_text(swap["old_version"]), text(swap["new_name"]),
                         version_text(swap["new_version"]), enum_name(swap["outcome"], "HX_SWAP_"),
                         enum_name(swap["way"], "HX_STATE_"), f"{int(swap['total_ns']) / 1e3:.1f}",
                         f"{int(swap['blackout_ns']) / 1e3:.1f}", text(swap["who"]), why])
        table(("SWAP", "OLD", "", "NEW", "", "OUTCOME", "STATE", "TOTAL us", "BLACKOUT us", "BY", "WHY"), rows,
              right=(0, 7, 8))


class Path(Command):
    """Look for modules with debug information in a folder and those below it.

Usage: hx-path [FOLDER...]
Without FOLDER: shows where is looked now. A file is taken when its code is that of the module in the guest, whatever its name:
NAME.debug, NAME.hxm or an object of one source file."""

    name = "hx-path"
    completes = gdb.COMPLETE_FILENAME

    def run(self, words):
        for word in words:
            folder = os.path.abspath(os.path.expanduser(word))
            if not os.path.isdir(folder):
                raise gdb.GdbError(f"hx-path: {word}: no such folder")
            if folder not in FILES.folders:
                FILES.folders.insert(0, folder)
        if not words:
            print("\n".join(FILES.folders) or "nowhere")
        elif GUEST.known:
            LOADED.forget_all()
            LOADED.read_all()


class Again(Command):
    """Read from the guest again which modules are loaded where.

Usage: hx-symbols
Of use when the guest was changed behind gdb's back, as by loadvm in QEMU's monitor."""

    name = "hx-symbols"

    def run(self, words):
        LOADED.forget_all()
        GUEST.begin()
        LOADED.read_all()
        GUEST.known = True


class Verbose(gdb.Parameter):
    """Say which modules come and go."""

    set_doc = "Set whether modules that come and go are told of."
    show_doc = "Show whether modules that come and go are told of."

    def __init__(self):
        super().__init__("hx-verbose", gdb.COMMAND_STATUS, gdb.PARAM_BOOLEAN)
        self.value = True

    def get_set_string(self):
        return ""

    def get_show_string(self, value):
        return f"Modules that come and go are told of: {value}."


# ---- the beginning ------------------------------------------------------------------------------------------------------
def build_folder():
    """The build directory, or the installed SDK, which is laid out like one."""
    root = os.path.dirname(os.path.dirname(HERE))
    for folder in (os.environ.get("HELIX_BUILD"), root, os.path.join(root, "build")):
        if folder and os.path.exists(os.path.join(folder, "kernel", "helix.elf")):
            return folder
    return None


def begin():
    folder = build_folder()
    for command in (Verbose, Modules, Tasks, Backtrace, Slots, Swaps, Path, Again):
        command()
    gdb.execute("set breakpoint pending on")
    if folder:
        FILES.folders += [path for path in (os.path.join(folder, "modules"),) if os.path.isdir(path)]
        if not gdb.current_progspace().filename:
            gdb.execute(f"file {quoted(os.path.join(folder, 'kernel', 'helix.elf'))}")
    gdb.events.stop.connect(GUEST.stopped)
    gdb.events.exited.connect(GUEST.gone)
    GUEST.begin()


begin()
