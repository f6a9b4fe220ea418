# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# setup.sh - from a clone to a build: sourced by qemu/run, tests/run and tests/bench/run. Each step looks first and does
# nothing when there is nothing to do, so that the second run costs a few dozen milliseconds. Standard output is left to
# the caller: everything here speaks on standard error.

helix_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export HELIX_BUILD=${HELIX_BUILD:-$helix_root/build}

helix_say() {
    printf '%s: %s\n' "${helix_name:-helix}" "$*" >&2
}

helix_die() {
    helix_say "$*"
    exit 125
}

# What is needed, as "package:what shows that it is there", a command or a file. The answer comes from the shell alone.
helix_build_needs=(
    gcc:gcc binutils:strip libc6-dev:/usr/include/elf.h meson:meson ninja-build:ninja python3:python3 pkg-config:pkg-config
    libxxhash-dev:/usr/include/xxhash.h libelf-dev:/usr/include/gelf.h libdw-dev:/usr/include/elfutils/libdwfl.h
    libarchive-dev:/usr/include/archive.h
    libcapstone-dev:/usr/include/capstone/capstone.h libjansson-dev:/usr/include/jansson.h
    libssl-dev:/usr/include/openssl/evp.h scdoc:scdoc libxen-dev:/usr/include/xen/arch-x86/hvm/start_info.h
)
helix_qemu_needs=(qemu-system-x86:qemu-system-x86_64)
helix_iso_needs=(
    grub-common:grub-mkrescue grub-pc-bin:/usr/lib/grub/i386-pc grub-efi-amd64-bin:/usr/lib/grub/x86_64-efi
    xorriso:xorriso mtools:mformat
)
helix_uefi_needs=(ovmf:/usr/share/ovmf/OVMF.fd)
helix_test_needs=(
    libcriterion-dev:/usr/include/criterion/criterion.h g++:g++ clang:clang clang-format:clang-format
    clang-tidy:clang-tidy
    libclang-rt-14-dev:/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a spin:spin cpio:cpio
    gdb:gdb openssl:openssl
)

helix_missing() {
    local need probe
    for need in "$@"; do
        probe=${need#*:}
        if [[ $probe == /* ]]; then
            [[ -e $probe ]] || printf '%s\n' "${need%%:*}"
        else
            command -v "$probe" >/dev/null || printf '%s\n' "${need%%:*}"
        fi
    done
}

# helix_install NEED...: installs the packages that are missing, as root or by sudo.
helix_install() {
    local missing root=()
    mapfile -t missing < <(helix_missing "$@")
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || helix_die "missing: ${missing[*]}: no apt-get here; install what they contain by hand"
    if ((EUID != 0)); then
        command -v sudo >/dev/null || helix_die "missing: ${missing[*]}: neither root nor sudo; install them and run again"
        root=(sudo)
    fi
    helix_say "installing: ${missing[*]}"
    root+=(env DEBIAN_FRONTEND=noninteractive)
    local log
    log=$(mktemp)
    # The package lists are fetched only when they do not know the packages or name files that are gone.
    if ! helix_apt_install >"$log" 2>&1 </dev/null; then
        helix_say 'updating the package lists'
        if ! { "${root[@]}" apt-get update && helix_apt_install; } >"$log" 2>&1 </dev/null; then
            cat "$log" >&2
            rm -f "$log"
            helix_die "the packages cannot be installed: ${missing[*]}"
        fi
    fi
    rm -f "$log"
    hash -r
    mapfile -t missing < <(helix_missing "$@")
    ((${#missing[@]} == 0)) || helix_die "installed, but still not found: ${missing[*]}"
}

helix_apt_install() {
    "${root[@]}" apt-get install --yes --no-install-recommends "${missing[@]}"
}

# helix_quiet COMMAND...: its output only when it fails.
helix_quiet() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        helix_die "failed: $*"
    fi
    rm -f "$log"
}

# helix_configure DIRECTORY [MESON OPTION...]: once; afterwards Meson reconfigures itself when its files change.
helix_configure() {
    local directory=$1
    shift
    [[ -e $directory/build.ninja ]] && return 0
    helix_say "configuring $directory"
    helix_quiet meson setup "$directory" "$helix_root" "$@"
}

# helix_build DIRECTORY TARGET...: with progress for a person, in silence otherwise.
helix_build() {
    local directory=$1
    shift
    if [[ -t 2 ]]; then
        ninja -C "$directory" "$@" >&2 </dev/null || helix_die 'the build failed'
    else
        helix_quiet ninja -C "$directory" "$@"
    fi
}

# helix_installed: what is built to be installed, as Ninja calls it.
helix_installed() {
    meson introspect "$HELIX_BUILD" --targets | python3 -c '
import json, os, sys
for target in json.load(sys.stdin):
    for name in target["filename"] if target["installed"] else []:
        print(os.path.relpath(name, sys.argv[1]))
' "$HELIX_BUILD"
}

# helix_install_sdk DIRECTORY: what `meson install' gives, which lies anywhere, whatever prefix was configured.
helix_install_sdk() {
    local stage bin targets
    mapfile -t targets < <(helix_installed)
    helix_build "$HELIX_BUILD" "${targets[@]}"
    stage=$(mktemp -d)
    helix_quiet meson install -C "$HELIX_BUILD" --no-rebuild --quiet --destdir "$stage"
    bin=$(find "$stage" -path '*/bin/helix-newmodule')
    mkdir -p "$1"
    cp -a "${bin%/bin/helix-newmodule}/." "$1/" || sdk_failed=1
    rm -rf "$stage"
    [[ ! ${sdk_failed:-} ]] || helix_die "$1: the SDK cannot be put there"
    helix_say "the SDK is in $1"
}
