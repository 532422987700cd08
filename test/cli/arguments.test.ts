/**
 * argv by the book of one command: which flags and operands there are, what is the command's own, and what is refused with which hint.
 */
import { describe, expect, test } from "bun:test";
import { scanArguments } from "../../src/cli/arguments.ts";
import type { Definitions } from "../../src/cli/definitions.ts";
import { HintedError } from "../../src/cli/failure.ts";

const definitions = {
  key: { type: "positional", required: true, description: "as it says" },
  value: { type: "positional", required: false, description: "as it says" },
  ttl: { type: "string", valueHint: "DURATION", description: "as it says" },
  secret: { type: "string", valueHint: "SECRET", description: "as it says" },
  json: { type: "boolean", description: "as it says" },
  "require-ttl": { type: "boolean", description: "as it says", negativeDescription: "as it says" },
} as const satisfies Definitions;

const scan = (argv: readonly string[]) => scanArguments(argv, { command: "set", definitions, wrapsCommand: false });
const { key, ttl, json } = definitions;
const scanWrapper = (argv: readonly string[]) =>
  scanArguments(argv, { command: "start", definitions: { ttl, json }, wrapsCommand: true });
const tag = { type: "string", valueHint: "TAG", short: "t", isRepeatable: true, description: "as it says" } as const;
const scanLock = (argv: readonly string[]) =>
  scanArguments(argv, { command: "lock", definitions: { key, ttl, tag, json }, wrapsCommand: true });

function refusal(run: () => unknown): { code: string; message: string; hint: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof HintedError) return { code: error.code, message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("scanArguments()", () => {
  test.each([
    [["k"], {}, ["k"]],
    [["k", "v", "--ttl", "5s"], { ttl: "5s" }, ["k", "v"]],
    [["--ttl=5s", "k", "--json"], { ttl: "5s", json: true }, ["k"]],
    [["k", "-"], {}, ["k", "-"]],
    [["k", "-5"], {}, ["k", "-5"]],
    [["k", "-.5"], {}, ["k", "-.5"]],
    [["k", "--ttl", "-5"], { ttl: "-5" }, ["k"]],
    [["k", "--ttl="], { ttl: "" }, ["k"]],
    [["k", "--secret=--json"], { secret: "--json" }, ["k"]],
    [["k", "--secret=a=b\nc"], { secret: "a=b\nc" }, ["k"]],
    [["--", "--json", "--help"], {}, ["--json", "--help"]],
    [["k", "--", "--"], {}, ["k", "--"]],
    [["k", "--no-require-ttl"], { "require-ttl": false }, ["k"]],
    [["k", "--require-ttl"], { "require-ttl": true }, ["k"]],
  ])("reads %j", (argv, flags, operands) => {
    expect(scan(argv)).toEqual({ flags, operands, asksForHelp: false });
  });

  test.each([
    [["npx", "jest", "--bail"], {}, ["npx", "jest", "--bail"]],
    [["--ttl", "5s", "npx", "--json"], { ttl: "5s" }, ["npx", "--json"]],
    [["--ttl=5s", "--", "npx", "--help"], { ttl: "5s" }, ["npx", "--help"]],
    [["cmd", "--help"], {}, ["cmd", "--help"]],
    [["cmd", "--", "--ttl"], {}, ["cmd", "--", "--ttl"]],
    [["--", "--", "x"], {}, ["--", "x"]],
    [["--", "--odd"], {}, ["--odd"]],
    [["--json", "cmd", "--json"], { json: true }, ["cmd", "--json"]],
    [[], {}, []],
  ])("cuts %j at the wrapped command", (argv, flags, operands) => {
    expect(scanWrapper(argv)).toEqual({ flags, operands, asksForHelp: false });
  });

  test.each([
    [["k", "cmd", "x"], {}, ["k", "cmd", "x"]],
    [["k", "--json", "cmd", "--json"], { json: true }, ["k", "cmd", "--json"]],
    [["--ttl", "5s", "k", "--", "cmd", "--ttl"], { ttl: "5s" }, ["k", "cmd", "--ttl"]],
    [["k", "-t", "a", "-tb", "--tag", "c", "-t=d", "--", "-t"], { tag: "a,b,c,d" }, ["k", "-t"]],
    [["k"], {}, ["k"]],
  ])("cuts %j behind an operand of ours", (argv, flags, operands) => {
    expect(scanLock(argv)).toEqual({ flags, operands, asksForHelp: false });
  });

  test.each([
    [["--", "cmd"], "KEY is missing"],
    [["--json"], "KEY is missing"],
    [["k", "-t"], "Cannot read --tag: its value is missing"],
    [["k", "-x", "1", "cmd"], "Unknown flag -x"],
  ])("refuses %j", (argv, message) => {
    expect(refusal(() => scanLock(argv)).message).toContain(message);
  });

  test.each([
    ["start", () => scanWrapper(["--"])],
    ["lock", () => scanLock(["k", "--ttl", "5s", "--"])],
  ])("refuses -- with no command behind it, of %s", (command, act) => {
    const { message } = refusal(act);
    expect(message).toBe(`Cannot run "ephemeral ${command}": there is no command behind --`);
  });

  test("asks for help before the command begins, and not behind it", () => {
    expect(scanLock(["k", "--help"]).asksForHelp).toBe(true);
    expect(scanLock(["-t", "--help"]).asksForHelp).toBe(true);
    expect(scanLock(["k", "cmd", "--help"]).asksForHelp).toBe(false);
  });

  test("takes any number of the last operand, where it may come again", () => {
    const item = { type: "positional", required: false, isRepeatable: true, description: "as it says" } as const;
    const options = { command: "pool", definitions: { key, item, json }, wrapsCommand: false };
    expect(scanArguments(["k", "a", "--json", "b", "c"], options).operands).toEqual(["k", "a", "b", "c"]);
  });

  test("does not take -- for the value of a flag", () => {
    expect(refusal(() => scanWrapper(["--ttl", "--", "cmd"])).message).toBe("Cannot read --ttl: its value is missing");
  });

  test.each([
    [["--help"], true],
    [["-h"], true],
    [["k", "--odd", "--help"], true],
    [["k", "--secret", "--help"], true],
    [["k", "--", "--help"], false],
    [["k", "--secret=--help"], false],
  ])("in %j asksForHelp is %p", (argv, asksForHelp) => {
    expect(scan(argv).asksForHelp).toBe(asksForHelp);
  });

  test.each([
    [["k", "--tll", "5s"], 'Unknown flag --tll for "ephemeral set"', "Did you mean --ttl?"],
    [["k", "--tll=5s"], 'Unknown flag --tll for "ephemeral set"', "Did you mean --ttl?"],
    [["k", "--requireTtl"], 'Unknown flag --requireTtl for "ephemeral set"', "Did you mean --require-ttl?"],
    [["k", "--no-json"], 'Unknown flag --no-json for "ephemeral set"', "See: ephemeral set --help"],
    [["k", "--no-requier-ttl"], 'Unknown flag --no-requier-ttl for "ephemeral set"', "Did you mean --no-require-ttl?"],
    [["k", "--key", "x"], 'Unknown flag --key for "ephemeral set"', "See: ephemeral set --help"],
    [["k", "-j"], 'Unknown flag -j for "ephemeral set"', "See: ephemeral set --help"],
    [["k", "-ttl", "5"], 'Unknown flag -ttl for "ephemeral set"', "Did you mean --ttl?"],
    [["k", "--toString"], 'Unknown flag --toString for "ephemeral set"', "See: ephemeral set --help"],
    [["k", "--json=true"], "Cannot read --json: it takes no value", "Give --json alone, or leave it out"],
    [
      ["k", "--ttl"],
      "Cannot read --ttl: its value is missing",
      "Write --ttl DURATION, or --ttl=VALUE for a value that starts with a dash",
    ],
    [
      ["k", "--secret", "--json"],
      "Cannot read --secret: its value is missing",
      "Write --secret SECRET, or --secret=VALUE for a value that starts with a dash",
    ],
    [["k", "--ttl=1s", "--ttl=2s"], "Cannot read --ttl: it is given twice", "Give --ttl once"],
    [
      ["k", "--require-ttl", "--no-require-ttl"],
      "Cannot read --require-ttl: it is given twice",
      "Give --require-ttl once",
    ],
    [[], 'Cannot run "ephemeral set": KEY is missing', "See: ephemeral set --help"],
    [
      ["k", "two", "words"],
      'Cannot run "ephemeral set": wanted 2 operands, got 3',
      "Quote an operand that holds spaces. See: ephemeral set --help",
    ],
  ])("refuses %j", (argv, message, hint) => {
    expect(refusal(() => scan(argv))).toEqual({ code: "bad_command", message, hint });
  });
});
