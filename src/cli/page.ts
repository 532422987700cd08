/**
 * What a command of ours is: its flags and operands, what help says of it, and what it does. Pages are loaded one at a time,
 * so that a thin command pays for nothing but itself.
 */
import type { Scan } from "./arguments.ts";
import { type Arguments, type Definitions, operandsOf } from "./definitions.ts";

/** The headings of the global help, in its order. */
export const groups = ["Run", "Values", "Turns", "Work", "Messages", "Who has what", "Broker", "Program"] as const;
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
  readonly args: Definitions;
  /** Whether the first operand behind those of `args` begins somebody else's command. */
  readonly wrapsCommand: boolean;
  /** Runs the command on flags that were scanned already. */
  readonly run: (scanned: Scan) => Promise<void>;
}

interface PageDefinition<Args extends Definitions> extends PageText {
  readonly args: Args;
  readonly wrapsCommand?: boolean;
  readonly perform: (args: Arguments<Args>) => Promise<void>;
}

/** Ties a page's text, flags and deed together, the deed typed by the flags. */
export function definePage<const Args extends Definitions>(definition: PageDefinition<Args>): Page {
  const { perform, ...page } = definition;
  return {
    wrapsCommand: false,
    ...page,
    // The scan has read argv by these very definitions: all that is required is there, each of its kind.
    run: ({ flags, operands }) =>
      perform({ ...namedOperands(page.args, operands), ...flags, _: operands } as Arguments<Args>),
  };
}

function namedOperands(definitions: Definitions, operands: readonly string[]): Record<string, string> {
  const named = operandsOf(definitions).flatMap(([name], index): [string, string][] => {
    const operand = operands[index];
    return operand === undefined ? [] : [[name, operand]];
  });
  return Object.fromEntries(named);
}
