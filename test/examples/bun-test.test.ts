/**
 * The README's main command: a real parallel suite over three accounts and one login, run as a stranger runs it, from
 * the source and from the compiled binary. What it shows is checked from its journal and its output, not from its word.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Entry, journalIn, readJournal, summarize } from "../../examples/bun-test/journal.ts";
import { type Program, programs } from "../support/programs.ts";

setDefaultTimeout(60_000);

const root = join(import.meta.dir, "../..");
const both = await programs();

const scratch = mkdtempSync(join(tmpdir(), "ephemeral-demo-"));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Run {
  readonly status: number;
  readonly output: string;
  readonly entries: readonly Entry[];
  /** What is left in the folder for sockets. */
  readonly left: readonly string[];
}

let runs = 0;

/** Runs the demonstration with `bun test` arguments of its own, in private folders. */
async function runDemo(program: Program, ...bunTestArguments: readonly string[]): Promise<Run> {
  const folder = join(scratch, `${++runs}`);
  const runtime = join(folder, "runtime");
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  const demo = Bun.spawn([process.execPath, join(root, "examples/bun-test/run.ts"), ...bunTestArguments], {
    cwd: root,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: process.env.HOME ?? "",
      XDG_RUNTIME_DIR: runtime,
      SHOP_FOLDER: folder,
      ...(program.name === "binary" ? { EPHEMERAL_BIN: program.argv[0] } : {}),
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([demo.stdout.text(), demo.stderr.text(), demo.exited]);
  return {
    status,
    output: stdout + stderr,
    entries: readJournal(journalIn(folder)),
    left: readdirSync(runtime, { recursive: true }).map(String),
  };
}

/** Who has each account, followed line by line; the accounts begun twice. */
function takenTwice(entries: readonly Entry[]): readonly Entry[] {
  const taken = new Map<number, number>();
  return entries.filter(({ event, account, pid }) => {
    if (account === undefined) return false;
    const isTwice = event === "begin" ? taken.has(account) : taken.get(account) !== pid;
    if (event === "begin") taken.set(account, pid);
    else taken.delete(account);
    return isTwice;
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function writeSuite(body: string): Promise<string> {
  const path = join(scratch, `given-${++runs}.test.ts`);
  await Bun.write(path, `import { expect, test } from "bun:test";\n${body}\n`);
  return path;
}

describe.each(both.map((program) => [program.name, program] as const))(
  "the bun test example (%s)",
  (_name, program) => {
    test("four workers share three accounts and one login, and leave nothing", async () => {
      const { status, output, entries, left } = await runDemo(program);
      expect({ status, output: status === 0 ? "" : output }).toEqual({ status: 0, output: "" });

      const begun = entries.filter(({ event }) => event === "begin");
      const ended = entries.filter(({ event }) => event === "end");
      expect(begun.length).toBeGreaterThanOrEqual(40);
      expect(ended.length).toBe(begun.length);
      expect(new Set(begun.map(({ test }) => test)).size).toBe(begun.length);
      expect(new Set(begun.map(({ test }) => test.split(":")[0])).size).toBeGreaterThanOrEqual(8);
      expect(new Set(begun.map(({ pid }) => pid)).size).toBe(4);
      expect([...new Set(begun.map(({ account }) => account))].sort()).toEqual([0, 1, 2]);
      expect(takenTwice(entries)).toEqual([]);
      expect(entries.filter(({ event }) => event === "login")).toHaveLength(1);

      const told = output.match(/^\d\d:\d\d:\d\d\.\d{3} worker [1-4] · account [012] · \w+\.test\.ts: .+$/gm) ?? [];
      expect(told).toHaveLength(begun.length);
      expect(output).toContain(`${begun.length} tests in 4 worker processes`);
      expect(output).toContain("each account used by one worker at a time: yes");
      expect(output).toContain("logins computed: 1");

      expect(begun.map(({ pid }) => pid).filter(isAlive)).toEqual([]);
      expect(left).toEqual([]);
    });

    test("a failing suite's exit status comes through, and nothing is left", async () => {
      const failing = await writeSuite('test("fails", () => expect(1).toBe(2));');
      const { status, output, left } = await runDemo(program, failing);
      expect(output).toContain("1 fail");
      expect(status).toBe(1);
      expect(left).toEqual([]);
    });

    test("a passing suite that used an account twice at once fails the run", async () => {
      const line = (worker: number): string =>
        JSON.stringify({ event: "begin", atMs: 0, worker, pid: worker, test: "a.test.ts: a", account: 1 });
      const overlapping = await writeSuite(
        `test("overlaps", () => Bun.write(process.env.SHOP_FOLDER + "/journal.jsonl", ${JSON.stringify(`${line(1)}\n${line(2)}\n`)}));`,
      );
      const { status, output } = await runDemo(program, overlapping);
      expect(output).toContain("1 pass");
      expect(output).toContain("USED BY TWO AT ONCE: account 1: worker 2 (a.test.ts: a) and worker 1 (a.test.ts: a)");
      expect(status).toBe(1);
    });
  },
);

describe("summarize()", () => {
  const entry = (event: Entry["event"], worker: number, account?: number): Entry => ({
    event,
    atMs: 0,
    worker,
    pid: 100 + worker,
    test: `t${worker}`,
    ...(account === undefined ? {} : { account }),
  });

  test("counts tests, processes, uses and logins", () => {
    const entries = [
      entry("login", 1),
      entry("begin", 1, 0),
      entry("begin", 2, 1),
      entry("end", 1, 0),
      entry("end", 2, 1),
    ];
    expect(summarize([...entries, entry("begin", 2, 0), entry("end", 2, 0)])).toEqual({
      tests: 3,
      pids: [101, 102],
      logins: 1,
      uses: new Map([
        [0, 2],
        [1, 1],
      ]),
      overlaps: [],
    });
  });

  test.each([
    ["begun twice", [entry("begin", 1, 0), entry("begin", 2, 0)], ["account 0: worker 2 (t2) and worker 1 (t1)"]],
    ["ended by another", [entry("begin", 1, 0), entry("end", 2, 0)], ["account 0: worker 2 (t2) and worker 1 (t1)"]],
    ["ended unbegun", [entry("end", 1, 0)], ["account 0: worker 1 (t1) and nobody"]],
  ])("tells of an account that was %s", (_name, entries, overlaps) => {
    expect(summarize(entries).overlaps).toEqual(overlaps);
  });
});
