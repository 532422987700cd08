/**
 * Help as text: all commands by group, or one command's page with its flags, examples, variables and exit statuses.
 * Everything it says of a command stands on the command's page.
 */
import { suggestionFor } from "../protocol/suggestion.ts";
import { flagsOf, operandsOf, type SwitchDefinition, type ValueDefinition } from "./definitions.ts";
import { exitStatuses, usageError } from "./failure.ts";
import { type Paint, paintFor, table } from "./output.ts";
import { groups, type Page } from "./page.ts";
import { commandNames, loadPage } from "./pages.ts";
import { processEnvironment } from "./settings/settings.ts";

/** The help of `command`, or of the whole program, for stdout.
 *  @throws {HintedError} `bad_command` for a name that is no command */
export async function helpFor(command: string | undefined): Promise<string> {
  const paint = await paintFor(1, processEnvironment);
  if (command === undefined) return globalHelp(await Promise.all(commandNames.map(pageOf)), paint);
  return pageHelp(await pageOf(command), paint);
}

/** The page of `name`.
 *  @throws {HintedError} `bad_command`, with the command that may have been meant */
export async function pageOf(name: string): Promise<Page> {
  const page = await loadPage(name);
  if (page !== undefined) return page;
  throw usageError(`Unknown command "${name}"`, hintFor(name));
}

/** What the library, or another tool, calls what is a command here. */
const namesElsewhere: ReadonlyMap<string, string> = new Map([
  ["publish", "pub"],
  ["subscribe", "sub"],
  ["acquire", "take"],
  ["semaphore", "sem"],
  ["delete", "del"],
]);

function hintFor(name: string): string {
  const meant = namesElsewhere.get(name) ?? suggestionFor(name.replace(/^-+/, ""), commandNames);
  if (meant !== undefined) return `Did you mean "ephemeral ${meant}"?`;
  if (name.startsWith("-")) return "Flags come after a command of ours. All commands: ephemeral help";
  return `To run it with a broker: ephemeral start ${name} …  All commands: ephemeral help`;
}

function globalHelp(pages: readonly Page[], paint: Paint): string {
  // One width for all groups: their summaries begin in one column.
  const width = Math.max(...commandNames.map((name) => name.length));
  const sections = groups.map((group) => {
    const members = pages.filter((page) => page.group === group);
    const lines = members.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
    return section(group, lines.join(""), paint);
  });
  return [
    "ephemeral: a broker that lives exactly as long as a run\n",
    section("Usage", "  ephemeral start [flags] [--] command…\n  ephemeral COMMAND [flags] [operands]\n", paint),
    ...sections,
    section(
      "Examples",
      table(
        [
          ["  ephemeral start -- bun test --parallel", "run the workers with a broker"],
          ["  ephemeral get server-url --wait 30s", "in one: wait for what another sets"],
        ],
        { paint },
      ),
      paint,
    ),
    "All about a command: ephemeral help COMMAND. It does not work? ephemeral doctor\n",
  ].join("\n");
}

function pageHelp(page: Page, paint: Paint): string {
  const flags = flagsOf(page.args).flatMap(([name, definition]) => flagRows(name, definition));
  const operands = operandsOf(page.args).map(([name, { description }]) => [`  ${name.toUpperCase()}`, description]);
  const sections: [string, string][] = [
    ["Usage", `  ${usageOf(page)}\n`],
    // Before the flags, of which start has more than a screen.
    ["Examples", page.examples.map(({ line, does }) => `  ${line}\n      ${paint.dim(does)}\n`).join("")],
    ["Operands", table(operands, { paint })],
    ["Flags", table(flags, { paint })],
    ["Environment", table(environmentRows(page), { paint })],
    ["Exit status", table(statusRows(page), { paint })],
  ];
  const notes = (page.notes ?? []).map((note) => `${wrapped(note)}\n`);
  const shown = sections.filter(([, text]) => text !== "").map(([title, text]) => section(title, text, paint));
  return [`ephemeral ${page.name}: ${page.summary}\n`, ...notes, ...shown].join("\n");
}

function section(title: string, text: string, paint: Paint): string {
  return `${paint.bold(title)}\n${text}`;
}

function usageOf({ name, args, wrapsCommand }: Page): string {
  const operands = operandsOf(args).map(([operand, { required, isRepeatable }]) => {
    const shown = `${operand.toUpperCase()}${isRepeatable ? "…" : ""}`;
    return required ? shown : `[${shown}]`;
  });
  const hasFlags = Object.keys(args).length > operands.length;
  const wrapped = operands.length > 0 ? ["[--]", "command…"] : ["[--]", "[command…]"];
  return ["ephemeral", name, ...(hasFlags ? ["[flags]"] : []), ...operands, ...(wrapsCommand ? wrapped : [])].join(" ");
}

function flagRows(name: string, definition: SwitchDefinition | ValueDefinition): string[][] {
  const { type, description } = definition;
  if (type === "string") {
    const short = definition.short === undefined ? "" : `, -${definition.short} ${definition.valueHint}`;
    return [[`  --${name} ${definition.valueHint}${short}`, description]];
  }
  const opposite = definition.negativeDescription;
  return [[`  --${name}`, description], ...(opposite === undefined ? [] : [[`  --no-${name}`, opposite]])];
}

export const clientVariables = [
  ["EPHEMERAL_PIPE", "The broker's socket"],
  ["EPHEMERAL_SECRET", "The broker's secret; CLIENT_SECRET wins over it"],
  ["EPHEMERAL_SECRET_FILE", "As --secret-file"],
  ["EPHEMERAL_LABEL", "Who asks, as ephemeral ps shows it"],
  ["CLIENT_TIMEOUT", "As --timeout"],
] as const;

export const colourVariables = [
  ["NO_COLOR", "No colours, also on a terminal"],
  ["FORCE_COLOR", "Colours, also into a pipe"],
] as const;

function environmentRows(page: Page): string[][] {
  const variables = [...(asksBroker(page) ? clientVariables : []), ...(page.environment ?? []), ...colourVariables];
  return variables.map(([name, meaning]) => [`  ${name}`, meaning]);
}

function asksBroker(page: Page): boolean {
  return Object.hasOwn(page.args, "pipe");
}

function statusRows(page: Page): string[][] {
  const { refused, usage, unavailable, internal, timedOut, authFailed } = exitStatuses;
  const rows: (readonly [number | string, string] | undefined)[] = page.wrapsCommand
    ? [
        ["the command's", "It ran. If a signal ended it, the same signal ends us"],
        [126, "The command cannot be executed"],
        [127, "The command is not found"],
      ]
    : [[0, "Done"], page.refusedWhen === undefined ? undefined : [refused, `Refused: ${page.refusedWhen}`]];
  rows.push([usage, "Usage: a flag, an operand or a variable cannot be read"]);
  if (asksBroker(page)) rows.push([unavailable, "No broker"]);
  rows.push([internal, "A fault of ours"]);
  if (asksBroker(page)) rows.push([timedOut, "Timed out waiting"], [authFailed, "The secret is missing or wrong"]);
  return rows.flatMap((row) => (row === undefined ? [] : [[`  ${row[0]}`, row[1]]]));
}

const columns = 100;

/** Prose in lines of at most 100 columns. */
function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.join("\n");
}
