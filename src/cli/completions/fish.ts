/**
 * The completion script for fish 3 and newer: one `complete` line for each word of the vocabulary, under conditions that
 * look at the line in front of the cursor.
 */
import type { CommandEntry, FlagEntry, Value } from "./vocabulary.ts";

export function fishCompletions(commands: readonly CommandEntry[]): string {
  const lines = commands.flatMap((command) => [
    `_ephemeral_word -n '_ephemeral_is ""' -a ${command.name} -d ${quoted(command.summary)}`,
    ...command.flags.map((flag) => flagLine(command.name, flag)),
    ...command.operands.map(
      ({ value }, index) => `_ephemeral_word -n '_ephemeral_is ${command.name} ${index}'${argumentsOf(value)}`,
    ),
  ]);
  const wrapping = commands.filter(({ wrapsCommand }) => wrapsCommand);
  const valued = commands.flatMap(({ flags }) =>
    flags.flatMap(({ name, value, short }) => {
      if (value === undefined) return [];
      return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`];
    }),
  );
  return `# fish completion for ephemeral; made by: ephemeral completions fish

# Commands that run another, each with the number of operands of ours before it.
set -g _ephemeral_wrapping ${wrapping.map(({ name, operands }) => `${name}:${operands.length}`).join(" ")}
set -g _ephemeral_valued ${[...new Set(valued)].join(" ")}
${walker}
${lines.join("\n")}
`;
}

function flagLine(command: string, { name, description, value, short }: FlagEntry): string {
  const letter = short === undefined ? "" : ` -s ${short}`;
  const condition = `_ephemeral_word -n '_ephemeral_is ${command}' -l ${name}${letter} -d ${quoted(description)}`;
  return value === undefined ? condition : `${condition}${argumentsOf(value) || " -x"}`;
}

function argumentsOf(value: Value): string {
  if (value.kind === "words") return ` -x -a ${quoted(value.words.join(" "))}`;
  return { broker: " -x -a '(_ephemeral_brokers)'", file: " -r -F", free: "" }[value.kind];
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}

const walker = `
# How many operands of command $1 stand before the command it runs; nothing for one that runs none.
function _ephemeral_own
    test -n "$argv[1]"; and string replace -f -r -- "^$argv[1]:" '' $_ephemeral_wrapping
end

# Prints our command, then how many operands of it stand before the cursor; or "wrapped" and where another command begins.
function _ephemeral_line
    set -l words (commandline -opc)
    set -l operands 0
    set -l index 3
    set -l own (_ephemeral_own $words[2])
    while test $index -le (count $words)
        set -l word $words[$index]
        if set -q own[1]
            if test "$word" = --
                printf '%s\\n' wrapped (math $index + 1)
                return
            else if test $operands -ge $own; and not string match -q -- '-*' $word
                printf '%s\\n' wrapped $index
                return
            end
        end
        if contains -- $word $_ephemeral_valued
            set index (math $index + 1)
        else if not string match -q -- '-*' $word
            set operands (math $operands + 1)
        end
        set index (math $index + 1)
    end
    printf '%s\\n' "$words[2]" $operands
end

# Whether the cursor stands in the words of command $1 and, if told, at operand $2.
function _ephemeral_is
    set -l line (_ephemeral_line)
    test "$line[1]" = "$argv[1]"; and begin
        not set -q argv[2]; or test "$line[2]" = "$argv[2]"
    end
end

# Whether the word at the cursor is another program's, or may be the first of them.
function _ephemeral_wraps
    set -l line (_ephemeral_line)
    set -l own (_ephemeral_own $line[1])
    test "$line[1]" = wrapped; and return
    set -q own[1]; and test $line[2] -ge $own
end

function _ephemeral_wrapped
    set -l line (_ephemeral_line)
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    if test "$line[1]" = wrapped; and test $line[2] -le (count $words)
        complete --do-complete=(string join ' ' -- (string escape -- $words[$line[2]..-1]) "$current")
    else
        complete --do-complete="$current"
    end
end

function _ephemeral_brokers
    set -l words (commandline -opc)
    $words[1] ls --timeout 200ms 2>/dev/null | string match -v -r '^NAME ' | string replace -r ' .*' ''
end

function _ephemeral_word
    complete -c ephemeral $argv
    complete -c ephemerald $argv
end

_ephemeral_word -f
_ephemeral_word -n _ephemeral_wraps -x -a '(_ephemeral_wrapped)'
`;
