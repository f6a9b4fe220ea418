# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Completion of helix-run for bash.

_helix_run() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $before in
        --initrd)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "$current"; compgen -f -X '!*.cpio' -- "$current")
            ;;
        --control)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        --cmdline | --smp | --memory | --timeout) ;;
        *)
            mapfile -t COMPREPLY < <(compgen -W '--initrd --cmdline --smp --memory --control --debug --timeout --print --help \
                --version' -- "$current")
            ;;
    esac
}

complete -F _helix_run helix-run
