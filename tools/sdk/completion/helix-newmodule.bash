# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Completion of helix-newmodule for bash.

_helix_newmodule() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $before in
        -k | --kind) mapfile -t COMPREPLY < <(compgen -W 'scheduler driver service' -- "$current") ;;
        -C | --directory)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            ;;
        *)
            if [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '--kind --directory --help --version' -- "$current")
            fi
            ;;
    esac
}

complete -F _helix_newmodule helix-newmodule
