# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Completion of mkmodpack for bash. Uses nothing but bash itself, so that it works with and without bash-completion.

# _mkmodpack_files CURRENT PATTERN...: files whose names match one, and directories.
_mkmodpack_files() {
    local IFS=$'\n' current=$1 pattern
    compopt -o filenames 2>/dev/null
    # shellcheck disable=SC2207
    COMPREPLY=($(compgen -d -- "$current"))
    for pattern in "${@:2}"; do
        # shellcheck disable=SC2207
        COMPREPLY+=($(compgen -f -X "!$pattern" -- "$current"))
    done
}

# _mkmodpack_words WORDS CURRENT
_mkmodpack_words() {
    # shellcheck disable=SC2207
    COMPREPLY=($(compgen -W "$1" -- "$2"))
}

_mkmodpack_options() {
    case $1 in
        create)
            echo '-o --output -C --directory --hold --manifest --strip-debug --require-types --depfile -n --dry-run'
            echo '-v --verbose -h --help'
            ;;
        extract) echo '-C --directory -v --verbose -h --help' ;;
        info) echo '-F --field --json -h --help' ;;
        list | verify | symbols | types | diff) echo '--json -h --help' ;;
        graph) echo '-h --help' ;;
        strip) echo '-o --output -h --help' ;;
        link) echo '--base --symbols --dump --place -h --help' ;;
        sign) echo '-k --key --check -h --help' ;;
    esac
}

# The files in the pack that is named on the command line.
_mkmodpack_names() {
    local word
    for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
        [[ $word != -* && -f $word ]] || continue
        echo manifest
        "${COMP_WORDS[0]}" list "$word" 2>/dev/null | while read -r _ name _; do [[ $name == *.hxm ]] && echo "$name"; done
        return
    done
}

_mkmodpack() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    COMPREPLY=()
    # --option=value comes in three words.
    if [[ $current == = ]]; then
        current=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if ((COMP_CWORD == 1)); then
        _mkmodpack_words 'create list verify extract info symbols diff graph strip types link sign --help --version' "$current"
        return
    fi
    case $before in
        -C | --directory)
            _mkmodpack_files "$current"
            return
            ;;
        -o | --output)
            if [[ $command == strip ]]; then
                _mkmodpack_files "$current" '*.hxm'
            else
                _mkmodpack_files "$current" '*.cpio'
            fi
            return
            ;;
        -k | --key)
            _mkmodpack_files "$current" '*.pem'
            return
            ;;
        --manifest | --depfile | --symbols | --dump)
            _mkmodpack_files "$current" '*'
            return
            ;;
        -F | --field)
            _mkmodpack_words 'file name version summary abi bytes xxh64 image_bytes relocations hooks provides requires irqs
                callbacks channels topics ports capabilities params fields imports' "$current"
            return
            ;;
        --place)
            compopt -o nospace 2>/dev/null
            _mkmodpack_words 'text= rodata= data= state= ro_after_init= init_text= init_data=' "$current"
            return
            ;;
        --base) return ;;
    esac
    if [[ $current == -* ]]; then
        _mkmodpack_words "$(_mkmodpack_options "$command")" "$current"
        return
    fi
    case $command in
        create | info | symbols | strip | types | sign) _mkmodpack_files "$current" '*.hxm' ;;
        list | verify) _mkmodpack_files "$current" '*.cpio' ;;
        extract)
            local names
            names=$(_mkmodpack_names)
            if [[ $names ]]; then
                _mkmodpack_words "$names" "$current"
            else
                _mkmodpack_files "$current" '*.cpio'
            fi
            ;;
        diff | graph) _mkmodpack_files "$current" '*.hxm' '*.cpio' ;;
        link) _mkmodpack_files "$current" '*.o' '*.hxm' ;;
    esac
}

complete -F _mkmodpack mkmodpack
