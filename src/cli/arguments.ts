/**
 * Reads argv by the book of one command: refuses unknown, valueless and doubled flags and missing and surplus operands, and finds where somebody else's command begins. Knows what flags are called, never what they mean.
 */
import { suggestionFor } from "../protocol/suggestion.ts";
import { type Definition, type Definitions, flagsOf, operandsOf, type ValueDefinition } from "./definitions.ts";
import { usageError } from "./failure.ts";

export interface ScanOptions {
  /** For messages: the command's name. */
  readonly command: string;
  readonly definitions: Definitions;
  /** The first operand behind those defined, and all behind it, belong to another program and are left as they are. */
  readonly wrapsCommand: boolean;
}

export interface Scan {
  /** By name, without dashes: the text of a value, true for a flag that is there, false for its `--no-…`. */
  readonly flags: Readonly<Record<string, string | boolean>>;
  readonly operands: readonly string[];
  readonly asksForHelp: boolean;
}

/** One pass over `argv`, the command's own name taken off.
 *  @throws {HintedError} `bad_command` for what the command does not know, unless help is asked for too */
export function scanArguments(argv: readonly string[], options: ScanOptions): Scan {
  const flags = new Map<string, string | boolean>();
  const operands: string[] = [];
  if (asksForHelp(argv, options)) return { flags: {}, operands: [], asksForHelp: true };
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    if (isEndOfOurs(word, { ...options, operandsBefore: operands.length })) {
      if (options.wrapsCommand) {
        checkMissing(operands, options);
        checkCommand(argv.slice(index), options);
      }
      operands.push(...argv.slice(word === "--" ? index + 1 : index));
      break;
    }
    if (!isFlag(word)) {
      operands.push(word);
      continue;
    }
    const { name, definition, inlineValue } = readFlag(word, options);
    const value =
      definition.type === "boolean"
        ? word === `--${name}`
        : (inlineValue ?? followingValue(name, argv[++index], definition));
    const before = flags.get(name);
    const isRepeatable = definition.type === "string" && definition.isRepeatable === true;
    if (before !== undefined && !isRepeatable)
      throw usageError(`Cannot read --${name}: it is given twice`, `Give --${name} once`);
    const isMore = isRepeatable && before !== undefined;
    flags.set(name, isMore ? `${before}${definition.separator ?? ","}${value}` : value);
  }
  checkOperands(operands, options);
  return { flags: Object.fromEntries(flags), operands, asksForHelp: false };
}

/** Whether what begins with `word`, or behind it, is not ours to read. */
function isEndOfOurs(word: string, at: ScanOptions & { readonly operandsBefore: number }): boolean {
  if (word === "--") return true;
  return at.wrapsCommand && !isFlag(word) && at.operandsBefore >= operandsOf(at.definitions).length;
}

/** Whoever writes -- means to run something: `start -- $COMMAND` must not become a broker that nobody ends. */
function checkCommand([mark, first]: readonly string[], { command }: ScanOptions): void {
  if (mark !== "--" || first !== undefined) return;
  throw usageError(
    `Cannot run "ephemeral ${command}": there is no command behind --`,
    `See: ephemeral ${command} --help`,
  );
}

/** A lone dash means standard input and `-5` is a number: neither is a flag. */
function isFlag(word: string): boolean {
  return word.startsWith("-") && word !== "-" && !/^-\.?\d/.test(word);
}

function asksForHelp(argv: readonly string[], options: ScanOptions): boolean {
  let operandsBefore = 0;
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    if (isEndOfOurs(word, { ...options, operandsBefore })) return false;
    if (!isFlag(word)) operandsBefore++;
    if (word === "--help" || word === "-h") return true;
    const definition = word.includes("=") ? undefined : options.definitions[longName(word, options)];
    // The value of a flag is no flag, but `--secret --help` lacks a value and asks for help.
    if (isValueFlag(definition) && !isFlag(argv[index + 1] ?? "")) index++;
  }
  return false;
}

/** What `--name` and its letter are defined under. */
function longName(word: string, { definitions }: ScanOptions): string {
  const short = flagsOf(definitions).find(([, one]) => one.type === "string" && `-${one.short}` === word);
  return short?.[0] ?? word.replace(/^--/, "");
}

function isValueFlag(definition: Definition | undefined): boolean {
  return definition?.type === "string";
}

interface FlagWord {
  readonly name: string;
  readonly definition: Exclude<Definition, { readonly type: "positional" }>;
  readonly inlineValue: string | undefined;
}

function readFlag(word: string, { command, definitions }: ScanOptions): FlagWord {
  const short = flagsOf(definitions).find(([, one]) => one.type === "string" && one.short === word[1]);
  if (short !== undefined && !word.startsWith("--")) {
    const [name, definition] = short;
    return { name, definition, inlineValue: /^-.=?(.+)$/s.exec(word)?.[1] };
  }
  const [, given = "", inlineValue] = /^--?([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  const name = word.startsWith("--no-") && isNegatable(definitions[given.slice(3)]) ? given.slice(3) : given;
  const definition = Object.hasOwn(definitions, name) ? definitions[name] : undefined;
  if (definition === undefined || definition.type === "positional" || !word.startsWith("--")) {
    throw unknownFlag(word.split("=", 1)[0] ?? word, { command, definitions });
  }
  if (definition.type === "boolean" && inlineValue !== undefined) {
    throw usageError(`Cannot read --${given}: it takes no value`, `Give --${given} alone, or leave it out`);
  }
  return { name, definition, inlineValue };
}

/** A flag that is off by default has nothing to negate. */
function isNegatable(definition: Definition | undefined): boolean {
  return definition?.type === "boolean" && definition.negativeDescription !== undefined;
}

function unknownFlag(flag: string, { command, definitions }: Pick<ScanOptions, "command" | "definitions">): Error {
  const known = flagsOf(definitions).flatMap(([name, definition]) =>
    isNegatable(definition) ? [`--${name}`, `--no-${name}`] : [`--${name}`],
  );
  const meant = suggestionFor(flag, [...known, "--help"]);
  const hint = meant === undefined ? `See: ephemeral ${command} --help` : `Did you mean ${meant}?`;
  return usageError(`Unknown flag ${flag} for "ephemeral ${command}"`, hint);
}

function followingValue(name: string, next: string | undefined, definition: ValueDefinition): string {
  if (next !== undefined && !isFlag(next)) return next;
  const hint = `Write --${name} ${definition.valueHint}, or --${name}=VALUE for a value that starts with a dash`;
  throw usageError(`Cannot read --${name}: its value is missing`, hint);
}

function checkMissing(
  operands: readonly string[],
  { command, definitions }: Pick<ScanOptions, "command" | "definitions">,
): void {
  const missing = operandsOf(definitions)
    .slice(operands.length)
    .find(([, { required }]) => required);
  if (missing === undefined) return;
  const hint = `See: ephemeral ${command} --help`;
  throw usageError(`Cannot run "ephemeral ${command}": ${missing[0].toUpperCase()} is missing`, hint);
}

function checkOperands(operands: readonly string[], { command, definitions, wrapsCommand }: ScanOptions): void {
  checkMissing(operands, { command, definitions });
  const wanted = operandsOf(definitions);
  const hint = `See: ephemeral ${command} --help`;
  if (operands.length > wanted.length && !wrapsCommand && wanted.at(-1)?.[1].isRepeatable !== true) {
    const actual = `wanted ${wanted.length || "no"} operand${wanted.length === 1 ? "" : "s"}, got ${operands.length}`;
    throw usageError(
      `Cannot run "ephemeral ${command}": ${actual}`,
      wanted.length === 0 ? hint : `Quote an operand that holds spaces. ${hint}`,
    );
  }
}
