/**
 * The completion script for bash 4 and newer: the vocabulary as a few `case` tables, and the code that walks the line by
 * them. Uses bash-completion for the wrapped command where it is there, and the command's own completion without it.
 */
import type { CommandEntry, Value } from "./vocabulary.ts";

export function bashCompletions(commands: readonly CommandEntry[]): string {
  const flags = commands.map(
    ({ name, flags }) => `    ${name}) echo '${flags.map((flag) => `--${flag.name}`).join(" ")}' ;;`,
  );
  const values = commands.flatMap(({ name, flags, operands }) => [
    ...flags.flatMap(({ name: flag, value, short }) => {
      if (value === undefined) return [];
      const row = valueRow(`${name} --${flag}`, value);
      return short === undefined ? [row] : [row, valueRow(`${name} -${short}`, value)];
    }),
    ...operands.map((operand, index) => valueRow(`${name} ${index}`, operand.value)),
  ]);
  const wrapping = commands.filter(({ wrapsCommand }) => wrapsCommand);
  const own = wrapping.map(({ name, operands }) => `${name}) [ "\${2:-99}" -ge ${operands.length} ] ;;`);
  return `# bash completion for ephemeral; made by: ephemeral completions bash

_ephemeral_commands='${commands.map(({ name }) => name).join(" ")}'

_ephemeral_flags() {
  case $1 in
${flags.join("\n")}
  esac
}

# What may stand behind a flag, or as an operand (counted from 0): nothing for a flag that takes no value.
_ephemeral_value() {
  case "$1 $2" in
${values.join("\n")}
  esac
}

# Whether command $1 runs another, which begins behind operand $2 of ours.
_ephemeral_wraps() { case $1 in ${own.join(" ")} *) return 1 ;; esac }
${walker}`;
}

function valueRow(key: string, value: Value): string {
  return `    '${key}') echo '${value.kind === "words" ? value.words.join(" ") : `:${value.kind}`}' ;;`;
}

/* bash splits words at "=", too: --flag=value comes as three of them. */
const walker = `
_ephemeral() {
  local program=$1 word=\${COMP_WORDS[COMP_CWORD]} command=\${COMP_WORDS[1]} pending= operands=0 index
  COMPREPLY=()
  if [ "$COMP_CWORD" -le 1 ]; then
    COMPREPLY=($(compgen -W "$_ephemeral_commands --help --version" -- "$word"))
    return
  fi
  for ((index = 2; index < COMP_CWORD; index++)); do
    local before=\${COMP_WORDS[index]}
    if [ "$before" = = ] || [ -n "$pending" ]; then
      [ "$before" = = ] || pending=
      continue
    fi
    case $before in
      --) _ephemeral_wraps "$command" && _ephemeral_wrapped $((index + 1)); return ;;
      --* | -?) [ -z "$(_ephemeral_value "$command" "$before")" ] || pending=$before ;;
      *)
        if _ephemeral_wraps "$command" "$operands"; then _ephemeral_wrapped "$index"; return; fi
        operands=$((operands + 1)) ;;
    esac
  done
  [ "$word" != = ] || word=
  if [ -n "$pending" ]; then
    _ephemeral_values "$(_ephemeral_value "$command" "$pending")"
  elif [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$(_ephemeral_flags "$command")" -- "$word"))
  elif _ephemeral_wraps "$command" "$operands"; then
    _ephemeral_wrapped "$COMP_CWORD"
  else
    _ephemeral_values "$(_ephemeral_value "$command" "$operands")"
  fi
}

_ephemeral_values() {
  case $1 in
    '' | :free) ;;
    :file) COMPREPLY=($(compgen -f -- "$word")); compopt -o filenames 2> /dev/null ;;
    :broker) COMPREPLY=($(compgen -W "$(_ephemeral_brokers)" -- "$word")) ;;
    *) COMPREPLY=($(compgen -W "$1" -- "$word")) ;;
  esac
}

_ephemeral_brokers() {
  local name rest
  "$program" ls --timeout 200ms 2> /dev/null | while read -r name rest; do
    [ "$name" = NAME ] || echo "$name"
  done
}

# Completes the words from number $1 on as if they were the whole line.
_ephemeral_wrapped() {
  if declare -F _comp_command_offset > /dev/null; then _comp_command_offset "$1"; return; fi
  if declare -F _command_offset > /dev/null; then _command_offset "$1"; return; fi
  if [ "$COMP_CWORD" -eq "$1" ]; then
    COMPREPLY=($(compgen -c -- "$word") $(compgen -f -- "$word"))
    return
  fi
  local own=\${COMP_WORDS[$1]}
  local completion=$(complete -p "\${own##*/}" 2> /dev/null)
  COMP_WORDS=("\${COMP_WORDS[@]:$1}")
  COMP_CWORD=$((COMP_CWORD - $1))
  COMP_LINE=\${COMP_WORDS[*]} COMP_POINT=\${#COMP_LINE}
  if [[ $completion =~ \\ -F\\ ([^\\ ]+) ]]; then
    "\${BASH_REMATCH[1]}" "$own" "$word" "\${COMP_WORDS[COMP_CWORD - 1]}"
  else
    COMPREPLY=($(compgen -f -- "$word"))
    compopt -o filenames 2> /dev/null
  fi
}

complete -F _ephemeral ephemeral ephemerald
`;
