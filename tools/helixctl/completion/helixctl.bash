# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Completion of helixctl for bash. Uses nothing but bash itself; names of modules come from the kernel, when one is there.

# _helixctl_files CURRENT PATTERN...: files whose names match one, and directories.
_helixctl_files() {
    local IFS=$'\n' current=$1 pattern
    compopt -o filenames 2>/dev/null
    # shellcheck disable=SC2207
    COMPREPLY=($(compgen -d -- "$current"))
    for pattern in "${@:2}"; do
        # shellcheck disable=SC2207
        COMPREPLY+=($(compgen -f -X "!$pattern" -- "$current"))
    done
}

# _helixctl_words WORDS CURRENT
_helixctl_words() {
    # shellcheck disable=SC2207
    COMPREPLY=($(compgen -W "$1" -- "$2"))
}

_helixctl_options() {
    local common='-c --connect -j --json -q --quiet -t --timeout -h --help'
    case $1 in
        push) echo "-n --name --reload --load --key --keep-debug --no-check $common" ;;
        reload) echo "--with $common" ;;
        dmesg) echo "-f --follow -l $common" ;;
        events) echo "-f --follow -n $common" ;;
        watch) echo "-b --build -F --file -n --name -m --module -a --ask --count --key --keep-debug --no-check $common" ;;
        *) echo "$common" ;;
    esac
}

_helixctl_modules() {
    "${COMP_WORDS[0]}" lsmod --timeout 0.5 2>/dev/null | while read -r name _; do [[ $name != NAME ]] && echo "$name"; done
}

_helixctl() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    COMPREPLY=()
    # --option=value comes in three words.
    if [[ $current == = ]]; then
        current=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if ((COMP_CWORD == 1)); then
        _helixctl_words 'push reload rollback lsmod ps swaps dmesg events exec wait-ready watch graph timeline --help --version' \
            "$current"
        return
    fi
    case $before in
        -c | --connect)
            _helixctl_files "$current" '*'
            return
            ;;
        --key)
            _helixctl_files "$current" '*.pem'
            return
            ;;
        -F | --file)
            _helixctl_files "$current" '*.hxm'
            return
            ;;
        --reload | -m | --module | --with)
            if [[ $current != -* ]]; then
                _helixctl_words "$(_helixctl_modules)" "$current"
                return
            fi
            ;;
        -l)
            _helixctl_words 'error warn info debug' "$current"
            return
            ;;
        -n)
            return
            ;;
        -t | --timeout | --name | -b | --build | -a | --ask | --count) return ;;
    esac
    if [[ $current == -* ]]; then
        _helixctl_words "$(_helixctl_options "$command")" "$current"
        return
    fi
    case $command in
        push) _helixctl_files "$current" '*.hxm' ;;
        reload | rollback) _helixctl_words "$(_helixctl_modules)" "$current" ;;
        watch) _helixctl_files "$current" ;;
        graph | timeline) _helixctl_files "$current" '*.json' ;;
    esac
}

complete -F _helixctl helixctl
