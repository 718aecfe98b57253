"""The three shells: the script that each one loads, and the form of the answer that its script reads.

The first line of an answer is ``files`` (the shell completes names of files itself), ``open`` (no blank follows the
only candidate) or ``words``. Then comes a line for each candidate: for bash the quoted text that replaces the last
word; for zsh and fish ``value<TAB>description``, which the shell quotes itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunecli.completion import VARIABLE
from tunecli.completion.command_line import locate, read_table
from tunecli.completion.quoting import dequoted, quoted, split_line
from tunecli.completion.values import Candidate, candidates, is_left_to_the_shell

SHELLS = ("bash", "zsh", "fish")

_BASH = """\
# bash 4.4 or later; an older one, such as that of macOS, has no completion of tunecli
(( BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404 )) || return 0
_tunecli_completion() {
    local IFS=$'\\n' answer
    COMPREPLY=()
    answer=($(@VARIABLE@=complete_bash _TUNECLI_LINE="${COMP_LINE:0:COMP_POINT}" _TUNECLI_WORD="$2" \\
        "${1/#\\~/$HOME}" 2>/dev/null))
    case "${answer[0]}" in
        files) compopt -o default 2>/dev/null ;;
        open) compopt -o nospace 2>/dev/null ;;
    esac
    compopt -o nosort 2>/dev/null
    COMPREPLY=("${answer[@]:1}")
}
complete -F _tunecli_completion tunecli
"""
_ZSH = """\
#compdef tunecli
_tunecli() {
    local line value about tab=$'\\t'
    local -a answer values shown open open_shown
    answer=("${(@f)$(@VARIABLE@=complete_zsh ${~words[1]} "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    if [[ $answer[1] == files ]]; then
        _files
        return
    fi
    for line in "${(@)answer[2,-1]}"; do
        value=${line%%$tab*} about=${line#*$tab}
        if [[ $value == *[=/.] && -z $about ]]; then
            open+=("$value")
        else
            values+=("$value") shown+=("$value${about:+  -- $about}")
        fi
    done
    (( $#open )) && compadd -S '' -- "${(@)open}"
    if [[ "$shown" == *"  -- "* ]]; then
        compadd -V tunecli -l -d shown -- "${(@)values}"
    elif (( $#values )); then
        compadd -V tunecli -- "${(@)values}"
    fi
}
if [[ "$funcstack[1]" == _tunecli ]]; then
    _tunecli "$@"
else
    compdef _tunecli tunecli
fi
"""
_FISH = """\
function __tunecli_completion
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l answer (env @VARIABLE@=complete_fish $words[1] $words[2..-1] "$word" 2>/dev/null)
    if test "$answer[1]" = files
        __fish_complete_path "$word"
    else
        string join -- \\n $answer[2..-1]
    end
end
complete --command tunecli --no-files --keep-order --arguments '(__tunecli_completion)'
"""


def script_of(shell: str) -> str:
    """The script that makes a shell ask tunecli when the user presses TAB."""
    script = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}[shell]
    return script.replace("@VARIABLE@", VARIABLE)


def answer_of(environ: Mapping[str, str], words: Sequence[str]) -> str:
    """The answer for the shell that the environment names, as `tunecli.completion.answer` describes it."""
    shell = environ[VARIABLE].removeprefix("complete_")
    if shell not in SHELLS:
        return ""
    if shell == "bash":
        line = split_line(environ.get("_TUNECLI_LINE", ""))
        found = _found(line.words[1:])
        word = environ.get("_TUNECLI_WORD", "")
        fixed = dequoted(line.last_raw.removesuffix(word)) if line.last_raw.endswith(word) else ""
        texts = [
            quoted(one.value[len(fixed) :], line.quote) for one in found or () if one.value.startswith(fixed)
        ]
    else:
        found = _found([*words[:-1], *(dequoted(word) if shell == "fish" else word for word in words[-1:])])
        texts = [f"{one.value}\t{one.about}" for one in found or ()]
    if found is None:
        return "files\n"
    kind = "open" if len(found) == 1 and found[0].is_open else "words"
    return "\n".join([kind, *texts]) + "\n"


def _found(words: Sequence[str]) -> list[Candidate] | None:
    """The candidates at the end of ``words``; None if the shell completes the names of files."""
    table = read_table()
    position = locate(words, table)
    return None if is_left_to_the_shell(position) else candidates(position, table)
