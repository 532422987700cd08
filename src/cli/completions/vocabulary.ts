/**
 * Everything that can be typed after `ephemeral`, as plain lists: taken from the pages that help is made of, so that a new
 * command or flag is completed with nothing more. Knows no shell.
 */
import { flagsOf, operandsOf, type SwitchDefinition, type ValueDefinition } from "../definitions.ts";
import { pageOf } from "../help.ts";
import { commandNames } from "../pages.ts";

/** What may stand where a value is wanted. */
export type Value =
  | { readonly kind: "words"; readonly words: readonly string[] }
  /** The name of a broker that is running. */
  | { readonly kind: "broker" }
  | { readonly kind: "file" }
  /** Nobody can guess it. */
  | { readonly kind: "free" };

export interface FlagEntry {
  /** Without its dashes. */
  readonly name: string;
  readonly description: string;
  /** What help calls its value; undefined for a flag that takes none. */
  readonly hint: string | undefined;
  readonly value: Value | undefined;
  /** The letter that means the same, without its dash. */
  readonly short: string | undefined;
}

export interface OperandEntry {
  readonly name: string;
  readonly value: Value;
}

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly FlagEntry[];
  readonly operands: readonly OperandEntry[];
  /** Whether the first operand behind ours begins somebody else's command. */
  readonly wrapsCommand: boolean;
}

/** Every command, in the order of the help. */
export function vocabulary(): Promise<readonly CommandEntry[]> {
  return Promise.all(
    commandNames.map(async (name) => {
      const { summary, args, wrapsCommand } = await pageOf(name);
      const flags = flagsOf(args).flatMap(([flag, definition]) => flagEntries(flag, definition));
      const operands = operandsOf(args).map(([operand, { valueHint }]) => ({
        name: operand,
        value: valueFor(valueHint),
      }));
      return { name, summary, flags: [...flags, help], operands, wrapsCommand };
    }),
  );
}

const help: FlagEntry = {
  name: "help",
  description: "Show all about this command",
  hint: undefined,
  value: undefined,
  short: undefined,
};

function flagEntries(name: string, definition: SwitchDefinition | ValueDefinition): FlagEntry[] {
  const { type, description } = definition;
  if (type === "string") {
    const { valueHint: hint, short } = definition;
    return [{ name, description, hint, value: valueFor(hint), short }];
  }
  const flag = { name, description, hint: undefined, value: undefined, short: undefined };
  const opposite = definition.negativeDescription;
  return opposite === undefined ? [flag] : [flag, { ...flag, name: `no-${name}`, description: opposite }];
}

/** Hints of one capital word say what kind of value is wanted; small words in a hint are to be typed as they are. */
function valueFor(hint = ""): Value {
  if (hint === "PATH") return { kind: "file" };
  if (hint === "NAME") return { kind: "broker" };
  if (hint === "COMMAND") return { kind: "words", words: commandNames };
  const words = hint.split("|").filter((word) => /^[a-z]+$/.test(word));
  return words.length > 0 ? { kind: "words", words } : { kind: "free" };
}
