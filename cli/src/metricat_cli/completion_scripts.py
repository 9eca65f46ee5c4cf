"""The completion scripts of `metricat` for shells. Each calls `metricat __complete`, see `completion`."""

SCRIPTS = {
    "bash": """# bash completion of metricat. Load it with: source <(metricat completion bash)
_metricat() {
  local line directive
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :*) directive=$line ;;
      ?*) COMPREPLY+=("${line%%$'\\t'*}") ;;
    esac
  done < <(metricat __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  [ "$directive" = :0 ] && compopt -o default
}
complete -F _metricat metricat
""",
    "zsh": """#compdef metricat
# zsh completion of metricat. Load it with: source <(metricat completion zsh)
_metricat() {
  local line directive
  local -a found
  while IFS= read -r line; do
    case "$line" in
      :*) directive=$line ;;
      *$'\\t'*) found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}") ;;
      ?*) found+=("${line//:/\\\\:}") ;;
    esac
  done < <(metricat __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  (( $#found )) && _describe metricat found
  [[ $directive == :0 ]] && _files
}
compdef _metricat metricat
""",
    "fish": """# fish completion of metricat. Load it with: metricat completion fish | source
function __metricat_complete
  set -l words (commandline -opc) (commandline -ct)
  metricat __complete $words[2..-1] 2>/dev/null | string match -v ':*'
end
complete -c metricat -f -a '(__metricat_complete)'
complete -c metricat -n 'test (metricat __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)[-1] = :0' -F
""",
}
"""The script for each shell."""
