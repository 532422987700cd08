/**
 * What a command of ours is: its flags and operands for citty, what help says of it, and what it does. Pages are loaded
 * one at a time, so that a thin command pays for nothing but itself.
 */
import { type ArgsDef, defineCommand, type ParsedArgs, runCommand } from "citty";

/** The headings of the global help, in its order. */
export const groups = ["Run", "Values", "Leases", "Broker", "Program"] as const;
export type Group = (typeof groups)[number];

export interface Example {
  readonly line: string;
  readonly does: string;
}

interface PageText {
  readonly name: string;
  readonly group: Group;
  /** One line, a verb first. */
  readonly summary: string;
  /** What the flags and operands do not say by themselves; a paragraph each. */
  readonly notes?: readonly string[];
  readonly examples: readonly Example[];
  /** Variables beyond those every client command reads. */
  readonly environment?: readonly (readonly [name: string, meaning: string])[];
  /** When the exit status is 1. */
  readonly refusedWhen?: string;
}

export interface Page extends PageText {
  readonly args: ArgsDef;
  /** Whether the first operand begins somebody else's command. */
  readonly wrapsCommand: boolean;
  /** Runs the command on flags that were scanned already. */
  readonly run: (scanned: { flags: readonly string[]; operands: readonly string[] }) => Promise<void>;
}

interface PageDefinition<Args extends ArgsDef> extends PageText {
  readonly args: Args;
  readonly wrapsCommand?: boolean;
  readonly perform: (args: ParsedArgs<Args>) => Promise<void>;
}

/** Ties a page's text, flags and deed together, the deed typed by the flags. */
export function definePage<const Args extends ArgsDef>(definition: PageDefinition<Args>): Page {
  const { perform, ...page } = definition;
  const command = defineCommand({ args: definition.args, run: ({ args }) => perform(args) });
  return {
    wrapsCommand: false,
    ...page,
    async run({ flags, operands }) {
      await runCommand(command, { rawArgs: [...flags, "--", ...operands] });
    },
  };
}
