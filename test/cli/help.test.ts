/**
 * Help: what it says literally for the program and for one command, and what holds for the page of every command.
 */
import { describe, expect, test } from "bun:test";
import { helpFor } from "../../src/cli/help.ts";
import type { Page } from "../../src/cli/page.ts";
import { commandNames, loadPage } from "../../src/cli/pages.ts";
import { invoke } from "../support/invocation.ts";
import { programs } from "../support/programs.ts";

const both = await programs();
const pages = await Promise.all(
  commandNames.map(async (name): Promise<[string, Page]> => {
    const page = await loadPage(name);
    if (page === undefined) throw new Error(`no page for ${name}`);
    return [name, page];
  }),
);

test("the help of all commands fits a terminal of 80 columns", async () => {
  const lines = (await helpFor(undefined)).split("\n");
  expect(lines.filter((line) => Bun.stringWidth(line) > 80)).toEqual([]);
});

describe.each(both.map((program) => [program.name, program] as const))("ephemeral (%s)", (_name, program) => {
  const stdout = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await invoke(program, { args });
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: "" });
    return stdout;
  };

  test.each([["help"], ["--help"], ["-h"]])("%s shows every command by group", async (word) => {
    expect(await stdout(word)).toBe(`ephemeral: a broker that lives exactly as long as a run

Usage
  ephemeral start [flags] [--] command…
  ephemeral COMMAND [flags] [operands]

Run
  start        Run a command with a broker of its own
  stop         End a broker, and the command it runs first
  on-end       Have a command run when the run ends, however it ends

Values
  get          Print the value of a key
  set          Store a value under a key
  touch        Give a key a new time to live, from now on
  incr         Add to the number under a key, and print the sum
  del          Delete a key
  list         List keys, their versions and when they end
  watch        Print what becomes of keys, until Ctrl-C

Turns
  lock         Run a command while nobody else has the lock
  sem          Run a command while fewer than so many others do
  take         Run a command with an item of a pool that nobody else has
  once         Run a command once for all who ask, who share output and status
  pool         Define a pool's items, show who has them, take broken ones out
  lease        Take the lowest free number of a key, or renew the one held
  release      Give a worker's lease back

Work
  queue        Share jobs: each is done once, by whoever is free
  limit        Run a command when a rate that all share allows it
  barrier      Run a command once so many have come

Messages
  pub          Publish a message in a channel, or each line of standard input
  sub          Print what is published in channels, until Ctrl-C
  presence     Show who is a member of a channel
  channels     Show the channels there are, who listens and what they keep
  request      Ask whoever serves a method, and print the answer
  serve        Answer requests of a method with a command, until Ctrl-C
  send         Say something to one session

Who has what
  why          Say in one line who has something, since when, and who waits
  holders      Show all that is held, by whom, since when, and how many wait
  ls           Show which brokers of yours are running
  ps           Show who is connected, what each holds and what each waits for
  kick         Close a session's connection and free all it holds

Broker
  ping         Ask whether the broker answers, and how fast
  stats        Show the broker's counts
  health       Show whether the broker is well
  metrics      Print the broker's metrics as Prometheus reads them
  limits       Show every bound: its value, what sets it and what is past it

Program
  doctor       Look for what does not work here, and say what to do
  completions  Print the script that completes our commands in a shell
  help         Show what a command does and takes
  version      Print the version

Examples
  ephemeral start -- bun test --parallel  run the workers with a broker
  ephemeral get server-url --wait 30s     in one: wait for what another sets

All about a command: ephemeral help COMMAND. It does not work? ephemeral doctor
`);
  });

  test.each([[["help", "get"]], [["get", "--help"]], [["get", "-h"]], [["get", "k", "--odd", "--help"]]])(
    "%j shows all about get",
    async (args) => {
      expect(await stdout(...args)).toBe(`ephemeral get: Print the value of a key

A string is printed as it is and anything else as JSON, each on a line of its own; bytes are printed
as bytes.

With --json: value, version and ttlMs.

Usage
  ephemeral get [flags] KEY

Examples
  ephemeral get server-url --wait 30s
      wait until a server has said where it listens
  ephemeral get settings --json | jq .value.region
      take one member of a JSON value

Operands
  KEY  1 to 512 bytes

Flags
  --wait DURATION     How long to wait for it; forever waits until it is there
  --refresh           Give the key its whole time to live once more
  --pipe PATH         The broker's socket (default: EPHEMERAL_PIPE)
  --name NAME         The broker of that name, instead of a socket
  --secret SECRET     The broker's secret; others can read it in ps, so better set EPHEMERAL_SECRET
  --secret-file PATH  A file of yours alone with the secret (default: EPHEMERAL_SECRET_FILE)
  --timeout DURATION  How long the broker may take to answer (default: 5s)
  --json              Print one JSON document, failures too (on stderr)

Environment
  EPHEMERAL_PIPE         The broker's socket
  EPHEMERAL_SECRET       The broker's secret; CLIENT_SECRET wins over it
  EPHEMERAL_SECRET_FILE  As --secret-file
  EPHEMERAL_LABEL        Who asks, as ephemeral ps shows it
  CLIENT_TIMEOUT         As --timeout
  NO_COLOR               No colours, also on a terminal
  FORCE_COLOR            Colours, also into a pipe

Exit status
  0   Done
  1   Refused: there is no such key, or its time to live is over
  64  Usage: a flag, an operand or a variable cannot be read
  69  No broker
  70  A fault of ours
  75  Timed out waiting
  77  The secret is missing or wrong
`);
    },
  );

  test("start --help is ours, and a wrapped command's --help is its own", async () => {
    expect(await stdout("start", "--help")).toStartWith("ephemeral start: Run a command with a broker of its own\n");
    expect(await stdout("start", "--grace", "5s", "--help")).toStartWith("ephemeral start: ");
    const echo = ["sh", "-c", 'echo "$1"', "sh", "--help"];
    expect(await stdout("start", ...echo)).toBe("--help\n");
    expect(await stdout("start", "--", ...echo)).toBe("--help\n");
  });

  test("without a command shows help on stderr and ends with 64", async () => {
    const { status, stdout, stderr } = await invoke(program, { args: [] });
    expect({ status, stdout, start: stderr.split("\n")[0] }).toEqual({
      status: 64,
      stdout: "",
      start: "ephemeral: a broker that lives exactly as long as a run",
    });
  });

  test("help of no command is refused", async () => {
    expect(await invoke(program, { args: ["help", "strat"] })).toEqual({
      status: 64,
      stdout: "",
      stderr: 'ephemeral: Unknown command "strat"\nDid you mean "ephemeral start"?\n',
    });
  });

  test.each([["version"], ["--version"], ["-v"]])("%s is the version of package.json", async (word) => {
    const { version } = await Bun.file(new URL("../../package.json", import.meta.url)).json();
    expect(await stdout(word)).toBe(`${version}\n`);
    expect(await stdout(word, "--json")).toBe(`{"version":"${version}"}\n`);
  });
});

describe.each(pages)("the page of %s", (name, page) => {
  test("shows its summary, every flag, an example and what it can end with", async () => {
    const help = await helpFor(name);
    expect(help).toStartWith(`ephemeral ${name}: ${page.summary}\n`);
    for (const [flag, definition] of Object.entries(page.args)) {
      const shown = definition.type === "positional" ? `\n  ${flag.toUpperCase()} ` : `\n  --${flag} `;
      expect(help).toContain(shown);
      expect(definition.description).toMatch(/^\S.*[^.]$/);
    }
    expect(page.examples.length).toBeGreaterThan(0);
    for (const { line } of page.examples) expect(help).toContain(`\n  ${line}\n`);
    expect(help).toContain("\n  64");
    for (const [variable] of page.environment ?? []) expect(help).toContain(`\n  ${variable} `);
  });

  test("has examples whose flags exist", () => {
    for (const { line } of page.examples) {
      const [, ours = ""] = new RegExp(`ephemeral ${name}([^|>&]*)`).exec(line) ?? [];
      const flags = page.wrapsCommand ? /^(?:\s+--\w[\w-]*)*/.exec(ours)?.[0] : ours;
      for (const [, flag = ""] of (flags ?? "").matchAll(/\s--(\w[\w-]*)/g)) expect(page.args).toHaveProperty([flag]);
    }
  });
});
