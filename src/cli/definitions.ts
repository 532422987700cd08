/**
 * What a command takes, as data: its flags and operands with what help says of them, and the type of what its deed is handed
 * for them. Knows neither argv nor any command.
 */

/** A flag that is there or not. */
export interface SwitchDefinition {
  readonly type: "boolean";
  readonly description: string;
  /** What `--no-…` does; without it there is no such flag. */
  readonly negativeDescription?: string;
}

/** A flag with a value: what it means, its reader knows. */
export interface ValueDefinition {
  readonly type: "string";
  /** `DURATION` for a kind of value, `ttl|session` for the words there are. */
  readonly valueHint: string;
  /** One letter that means the same: `-n 3`. */
  readonly short?: string;
  /** It may be given several times; the values come with commas between them, or what is told here. */
  readonly isRepeatable?: boolean;
  readonly separator?: string;
  readonly description: string;
}

/** An operand; they come in the order of their definitions. */
export interface OperandDefinition {
  readonly type: "positional";
  readonly required: boolean;
  /** The last one, of which there may be any number. */
  readonly isRepeatable?: boolean;
  readonly valueHint?: string;
  readonly description: string;
}

export type Definition = SwitchDefinition | ValueDefinition | OperandDefinition;

/** By name, without dashes. */
export type Definitions = Readonly<Record<string, Definition>>;

type Given<One extends Definition> = One extends SwitchDefinition
  ? boolean | undefined
  : One extends { readonly required: true }
    ? string
    : string | undefined;

/** What was typed for each of `Known`; under `_` all operands, those of another command's included. */
export type Arguments<Known extends Definitions> = { readonly [Name in keyof Known]: Given<Known[Name]> } & {
  readonly _: readonly string[];
};

/** In their order. */
export function operandsOf(definitions: Definitions): readonly (readonly [name: string, OperandDefinition])[] {
  return Object.entries(definitions).flatMap(([name, definition]) =>
    definition.type === "positional" ? [[name, definition] as const] : [],
  );
}

/** All but the operands. */
export function flagsOf(
  definitions: Definitions,
): readonly (readonly [name: string, SwitchDefinition | ValueDefinition])[] {
  return Object.entries(definitions).flatMap(([name, definition]) =>
    definition.type === "positional" ? [] : [[name, definition] as const],
  );
}
