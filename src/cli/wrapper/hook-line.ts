/**
 * A command for the end of the run, written for the reaper's shell: everything in it quoted, so that no word of it is ever read
 * as shell. Knows the reaper's `run_hook` and nothing else of it.
 */
import { randomHex } from "../../broker/random-hex.ts";
import { type EndCommand, isVariableName } from "../../protocol/end-of-run.ts";
import type { Environment } from "../settings/settings.ts";
import { isNotOfRun } from "./run-mark.ts";

const defaultTimeoutMs = 30_000;
const markBytes = 8;

/** One line. `environment` is that of whoever started the broker: what the command's own `env` is added to. */
export function hookLine(
  { argv, cwd, env, timeoutMs = defaultTimeoutMs }: EndCommand,
  environment: Environment,
): string {
  const mark = `EPHEMERAL_ON_END=${randomHex(markBytes)}`;
  // A hook begins when the run is over: it belongs to no run, nor can its broker be asked for anything.
  const inherited = Object.entries(environment).filter(([name]) => isVariableName(name) && isNotOfRun(name));
  const variables = Object.entries({ ...Object.fromEntries(inherited), ...env }).map(
    ([name, value]) => `${name}=${value}`,
  );
  // Not with env(1): a program's arguments are for everybody to see. What the shell keeps to itself, it may refuse to take, and
  // then takes nothing of the rest of the line.
  const exports = [...variables, mark].map((entry) => `command export ${quoted(entry)};`).join(" ");
  const script = `{ ${exports} } 2> /dev/null; cd -- ${quoted(cwd)} && exec ${argv.map(quoted).join(" ")}`;
  return [`${timeoutMs / 1000}`, mark, shownInShell(argv), script].map(quoted).join(" ").replaceAll("\n", `'"$nl"'`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** As one would type it, and on one line whatever is in it. */
function shownInShell(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quoted(word).replace(/\p{Cc}/gu, escaped)))
    .join(" ");
}

function escaped(character: string): string {
  const written = JSON.stringify(character).slice(1, -1);
  // JSON lets DEL and the other half of the control characters pass.
  return written === character ? `\\x${character.charCodeAt(0).toString(16)}` : written;
}
