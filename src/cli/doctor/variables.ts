/**
 * Our variables and the seed's in the environment: which are set, which are read by nobody, which cannot be read, and those of
 * Bun's that change what we are. Shows names only: a value may be a secret.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import { suggestionFor } from "../../protocol/suggestion.ts";
import { hintOf } from "../failure.ts";
import { clientVariables, colourVariables } from "../help.ts";
import { commandNames, loadPage } from "../pages.ts";
import { idleVariablesIn } from "../settings/idle-variables.ts";
import { clientSettings, type Environment } from "../settings/settings.ts";
import { startSettings } from "../settings/start-settings.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const topic = "variables";
const nameForm = /\b(?:EPHEMERAL|BROKER|CLIENT)_[A-Z_]+\b/g;

/** What is read outside the commands: by the library, the launcher and the installer; and what is set for a command. */
const elsewhere = [
  "CLIENT_COMPRESSION",
  "CLIENT_COMPRESSION_THRESHOLD",
  "CLIENT_SECRET",
  "EPHEMERAL_BIN",
  "EPHEMERAL_FENCE",
  "EPHEMERAL_INSTALL_PREFIX",
  "EPHEMERAL_INSTALL_URL",
  "EPHEMERAL_ON_END",
  "EPHEMERAL_OWNER",
  "EPHEMERAL_TURN",
];

/** Every variable of ours or the seed's: those the help names, and those nobody needs help for. */
export async function knownVariables(): Promise<ReadonlySet<string>> {
  const pages = await Promise.all(commandNames.map(loadPage));
  const rows = [...pages.flatMap((page) => page?.environment ?? []), ...clientVariables, ...colourVariables];
  return new Set([...elsewhere, ...rows.flatMap((row) => row.join(" ").match(nameForm) ?? [])]);
}

export async function variableFindings(environment: Environment): Promise<readonly Finding[]> {
  const known = await knownVariables();
  const set = Object.keys(environment).filter((name) => environment[name] !== undefined);
  const ours = set.filter((name) => known.has(name));
  return [
    ok(topic, ours.length === 0 ? "none of ours is set" : `set: ${ours.sort().join(", ")}`),
    ...set.filter((name) => !known.has(name)).flatMap((name) => unknownFinding(name, known)),
    ...idleVariablesIn(environment).map(({ name, reason }) => idleFinding(name, reason)),
    ...unreadable(environment),
    ...runtimeFindings(environment),
  ];
}

/** EPHEMERAL_ is ours; the seed's beginnings are others' too, so only what is nearly a name is told of those. */
function unknownFinding(name: string, known: ReadonlySet<string>): Finding[] {
  const isOurs = name.startsWith("EPHEMERAL_");
  if (!isOurs && !/^(?:BROKER|CLIENT)_/.test(name)) return [];
  const meant = suggestionFor(name, known);
  if (meant === undefined && !isOurs) return [];
  const advice = meant === undefined ? "Unset it; ephemeral help start names all there are" : `Did you mean ${meant}?`;
  return [warn(topic, `${name} is set, but nobody reads it`, advice)];
}

function idleFinding(name: string, reason: string): Finding {
  return warn(topic, `${name} is set, but has no effect: ${reason}`, `Unset ${name}`);
}

/** What `start` and the other commands would refuse; secrets are looked at elsewhere. */
function unreadable(environment: Environment): Finding[] {
  const { EPHEMERAL_SECRET, EPHEMERAL_SECRET_FILE, BROKER_SECRET, CLIENT_SECRET, ...others } = environment;
  const readers = [
    () => startSettings({}, others),
    () => clientSettings({}, { ...others, EPHEMERAL_PIPE: others.EPHEMERAL_PIPE || "/none" }),
  ];
  return readers.flatMap((read) => {
    try {
      read();
      return [];
    } catch (error) {
      if (error instanceof EphemeralError) return [fail(topic, error.message, hintOf(error))];
      throw error;
    }
  });
}

const runtimeVariables = [
  ["BUN_OPTIONS", "gives flags to every program made with Bun, this one and those it runs"],
  ["BUN_BE_BUN", "makes every executable made with Bun be bun itself, this one too"],
] as const;

function runtimeFindings(environment: Environment): Finding[] {
  return runtimeVariables.flatMap(([name, effect]) =>
    environment[name] === undefined ? [] : [warn("runtime", `${name} is set: it ${effect}`, `Unset ${name}`)],
  );
}
