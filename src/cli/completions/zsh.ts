/**
 * The completion script for zsh: one `_arguments` call for each command. Serves as a file `_ephemeral` on `fpath`, and as
 * text to be sourced once `compinit` has run.
 */
import type { CommandEntry, FlagEntry, Value } from "./vocabulary.ts";

export function zshCompletions(commands: readonly CommandEntry[]): string {
  const summaries = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`);
  return `#compdef ephemeral ephemerald
# zsh completion for ephemeral; made by: ephemeral completions zsh

_ephemeral_commands() {
  local -a commands=(
${summaries.join("\n")}
  )
  _describe -t commands command commands
}

_ephemeral_brokers() {
  local -a names=(\${\${(f)"$(_call_program brokers $_ephemeral_program ls --timeout 200ms 2> /dev/null)"}%% *})
  compadd "$@" -- \${names:#NAME}
}

# Completes the line behind the first $1 operands as a line of its own, if there is one before the cursor; the rest of $@ are
# our flags that take a value.
_ephemeral_wrapped() {
  local -i index=2 own=$1
  shift
  while (( index < CURRENT )); do
    if [[ $words[index] == -- ]]; then
      (( index++ ))
      break
    fi
    if [[ $words[index] != -* ]]; then
      (( own > 0 )) || break
      (( own--, index++ ))
      continue
    fi
    (( index += \${@[(Ie)$words[index]]} ? 2 : 1 ))
  done
  (( index < CURRENT )) || [[ $index -eq $CURRENT && $words[CURRENT-1] == -- ]] || return
  shift $(( index - 1 )) words
  (( CURRENT -= index - 1 ))
  if (( CURRENT == 1 )); then _command_names -e; else _normal; fi
  return 0
}

_ephemeral() {
  local curcontext=$curcontext state _ephemeral_program=$words[1]
  local -a line
  _arguments -C '(- *)--help[Show all commands]' '(- *)--version[Print the version]' \\
    '1:command:_ephemeral_commands' '*::argument:->arguments'
  [[ $state == arguments ]] || return
  curcontext="\${curcontext%:*:*}:ephemeral-$words[1]:"
  case $words[1] in
${commands.map(caseOf).join("\n")}
  esac
}

if [[ $funcstack[1] == _ephemeral ]]; then _ephemeral "$@"; else compdef _ephemeral ephemeral ephemerald; fi
`;
}

function caseOf({ name, flags, operands, wrapsCommand }: CommandEntry): string {
  const valued = flags.flatMap(({ name: flag, value, short }) => {
    if (value === undefined) return [];
    return short === undefined ? [`--${flag}`] : [`--${flag}`, `-${short}`];
  });
  const own = [
    ...operands.map((operand) => ({ name: operand.name, action: actionOf(operand.value) })),
    ...(wrapsCommand ? [{ name: "command", action: " _command_names -e" }] : []),
  ];
  const specifications = [
    ...flags.flatMap(flagSpecifications),
    ...own.map(({ name, action }, index) => quoted(`${index + 1}:${name}:${action}`)),
  ];
  const wrapped = wrapsCommand ? `_ephemeral_wrapped ${operands.length} ${valued.join(" ")} && return\n      ` : "";
  return `    ${name})\n      ${wrapped}_arguments -S \\\n        ${specifications.join(" \\\n        ")} ;;`;
}

function flagSpecifications({ name, description, hint, value, short }: FlagEntry): string[] {
  const text = escaped(description);
  if (value === undefined) return [quoted(`--${name}[${text}]`)];
  const behind = `[${text}]:${escaped(hint ?? "")}:${actionOf(value)}`;
  return [quoted(`--${name}=${behind}`), ...(short === undefined ? [] : [quoted(`-${short}+${behind}`)])];
}

/** Without the characters that end a part of a specification. */
function escaped(text: string): string {
  return text.replace(/[[\]\\:]/g, "\\$&");
}

function actionOf(value: Value): string {
  if (value.kind === "words") return `(${value.words.join(" ")})`;
  // A lone space: the message is shown and nothing is offered.
  return { broker: "_ephemeral_brokers", file: "_files", free: " " }[value.kind];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
