/**
 * What real shells offer for a line that somebody has typed so far: bash's completion function called as readline calls it,
 * zsh at a pseudo terminal with its own completion system, fish asked by `complete -C`. Each starts without settings.
 */

import { afterAll } from "bun:test";
import { join } from "node:path";
import { temporaryDirectory } from "./broker.ts";

/** zsh takes a second to read all completions there are, and writes down what it found. */
const found = temporaryDirectory();
const dump = join(found.path, "zcompdump");
afterAll(() => found[Symbol.dispose]());

export interface Typed {
  /** What has been typed, the cursor behind it. */
  readonly line: string;
  /** The completion script of ours. */
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
}

const bash = `
source "$1"
read -ra COMP_WORDS <<< "\${2//=/ = }"
case $2 in *' ' | *=) COMP_WORDS+=("") ;; esac
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)) COMP_LINE=$2 COMP_POINT=\${#2} COMPREPLY=()
[[ $(complete -p "\${COMP_WORDS[0]}") =~ -F\\ ([^ ]+) ]]
"\${BASH_REMATCH[1]}" "\${COMP_WORDS[0]}" "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
printf 'hit:%s\\n' "\${COMPREPLY[@]}"
`;

/** Every match goes through compadd, so its name is told there. */
const zshInside = `
PROMPT= PS2=
stty -echo
autoload -Uz compinit
compinit -u -d $DUMP
source $SCRIPT
bindkey '^I' complete-word
compadd() {
  local -a hits
  if [[ " \${@[1,(i)(-|--)]} " == *" -"[OAD]" "* ]]; then builtin compadd "$@"; return; fi
  builtin compadd -A hits "$@"
  print -rl -- "hit:"$^hits
  builtin compadd "$@"
}
all_told() { print -r -- "no more "hits; exit }
comppostfuncs=(all_told)
print -r -- "now "ready
`;
const zsh = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "source $INSIDE"
while zpty -r shell line; do [[ $line == *"now ready"* ]] && break; done
zpty -n -w shell "$1"$'\\t'
while zpty -r shell line; do
  print -r -- $line
  [[ $line == *"no more hits"* ]] && break
done
zpty -d shell
`;

const fish = `source $argv[1]; complete -C $argv[2] | string replace -r '^' 'hit:' | string replace -r '\\t.*' ''`;

export type ShellName = "bash" | "zsh" | "fish";
export const shellNames: readonly ShellName[] = ["bash", "zsh", "fish"];

/** Whether the tests in this shell run: .ci/run demands all, elsewhere those whose shell is there. */
export function isTested(shell: ShellName): boolean {
  return process.env.EPHEMERAL_TEST_REQUIRE === "all" || Bun.which(shell) !== null;
}

/** What `shell` offers, in its own order. */
export async function offeredBy(shell: ShellName, { line, script, environment }: Typed): Promise<string[]> {
  using home = temporaryDirectory();
  const file = join(home.path, "script");
  const inside = join(home.path, "inside");
  await Promise.all([Bun.write(file, script), Bun.write(inside, zshInside)]);
  const command = {
    bash: ["bash", "--norc", "--noprofile", "-c", bash, "bash", file, line],
    zsh: ["zsh", "-f", "-c", zsh, "zsh", line],
    fish: ["fish", "-c", fish, file, line],
  }[shell];
  await using child = Bun.spawn(command, {
    cwd: home.path,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: home.path,
      TERM: "dumb",
      SCRIPT: file,
      INSIDE: inside,
      DUMP: dump,
      ...environment,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 15_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  if (child.signalCode !== null || stderr !== "") throw new Error(`${shell} failed: ${stdout}${stderr}`);
  return [...stdout.matchAll(/hit:([^\r\n]+)/g)].map(([, hit = ""]) => hit.trimEnd());
}
