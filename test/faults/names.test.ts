/**
 * Names under fault, with the compiled program: who starts at once, on what was left by SIGKILL; and who goes on when the
 * owner of a joined run, or one that joined it, ends, dies or will not end.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type LineClient, lineClient } from "../support/broker.ts";
import { readProc, until } from "../support/processes.ts";
import { binaryProgram } from "../support/programs.ts";
import { isThorough } from "../support/thorough.ts";
import { type SeenEnding, Trial, type TrialOptions } from "../support/trial.ts";

setDefaultTimeout(120_000);

const program = await binaryProgram();

const exited = (status: number): SeenEnding => ({ status, killed: false });
const killedBy = (signal: number): SeenEnding => ({ status: 128 + signal, killed: true });
/** Says who it is and ends, with status 3, when it is told to by a line on its stdin. */
const member = `echo "\${EPHEMERAL_JOINER:-owner}"; read _ || exit 9; exit 3`;
const stubborn = `trap '' TERM INT HUP; echo "\${EPHEMERAL_JOINER:-owner}"; while :; do sleep 0.02; done`;

interface Flags {
  readonly join?: boolean;
  readonly grace?: string;
  readonly script?: string;
  readonly beside?: Trial;
}

/** One `ephemeral start --name x`. */
function start({ join = false, grace = "10s", script = member, beside }: Flags = {}): Trial {
  const flags = ["--name", "x", "--grace", grace, ...(join ? ["--join"] : [])];
  const options: TrialOptions = { args: ["start", ...flags, "--", "sh", "-c", script], stdin: "pipe" };
  return new Trial(program, beside === undefined ? options : { ...options, beside });
}

const pipeOf = (trial: Trial): string => join(trial.directory, "ephemeral", "x", "sock");
const isUp = (trial: Trial): boolean => trial.stdout.endsWith("\n");
const isOwner = (trial: Trial): boolean => trial.stdout === "owner\n";

async function kill(pids: readonly number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until(() => pids.every((pid) => readProc(pid, "cmdline") === ""));
}

/** Resolves when the broker says that it is about to end. */
async function draining(client: LineClient): Promise<void> {
  for (let isDraining = false; !isDraining; ) {
    const { connections } = (await client.ask({ action: "health" })) as { connections: { draining: boolean } };
    isDraining = connections.draining;
  }
}

/** The owner of "x" and one that joined it, both commands running. */
async function joinedRun(
  flags: { readonly owner?: Flags; readonly joiner?: Flags } = {},
): Promise<AsyncDisposable & { readonly owner: Trial; readonly joiner: Trial }> {
  await using stack = new AsyncDisposableStack();
  const owner = stack.use(start(flags.owner));
  await until(() => isUp(owner));
  const joiner = stack.use(start({ join: true, ...flags.joiner, beside: owner }));
  await until(() => isUp(joiner));
  expect([isOwner(owner), isOwner(joiner)]).toEqual([true, false]);
  const kept = stack.move();
  return { owner, joiner, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function expectNothingLeft(trial: Trial): Promise<void> {
  await until(() => trial.processes().length === 0);
  expect(trial.runDirectories()).toEqual([]);
}

/** What the round before left behind, by a real SIGKILL. */
type Leftover = "nothing" | "stale directory" | "run being cleaned up";

async function leave(leftover: Leftover, directory: Trial): Promise<void> {
  if (leftover === "nothing") return;
  const dead = start({ beside: directory });
  await until(() => isUp(dead) && directory.reapers().length === 1);
  const reapers = directory.reapers();
  await kill(leftover === "stale directory" ? [...reapers, dead.pid] : [dead.pid]);
  await dead.ending();
  if (leftover === "stale directory") expect(directory.runDirectories()).toContain("x/lock");
}

/** Two that start "x" at once. Exactly one owns it; the other is refused, or joins when it may. */
async function race(directory: Trial, join: boolean): Promise<void> {
  const both = [start({ join, beside: directory }), start({ join, beside: directory })];
  const endings = both.map((trial) => trial.ending());
  const settled = new Set<Trial>();
  for (const [index, trial] of both.entries()) void endings[index]?.then(() => settled.add(trial));
  await until(() => both.every((trial) => isUp(trial) || settled.has(trial)), 20_000);
  const owners = both.filter(isOwner);
  const [other] = both.filter((trial) => !isOwner(trial));
  expect(both.map((trial) => trial.stderr).join("")).toBe(join ? "" : refusal(directory, owners[0]));
  expect(owners).toHaveLength(1);
  expect([...settled]).toEqual(join || other === undefined ? [] : [other]);
  for (const trial of both) if (!settled.has(trial)) trial.type("\n");
  const statuses = (await Promise.all(endings)).map(({ status }) => status);
  expect(statuses.toSorted()).toEqual(join ? [3, 3] : [3, 69]);
  await until(() => directory.runDirectories().length === 0);
}

function refusal(directory: Trial, owner: Trial | undefined): string {
  const place = join(directory.directory, "ephemeral", "x");
  return [
    `ephemeral: Cannot start broker: the name "x" is held by another one, process ${owner?.pid} (${place})`,
    "Join it with --join, end it with: ephemeral stop --name x, or choose another name\n",
  ].join("\n");
}

describe("two starts of one name at once", () => {
  const rounds = isThorough ? 200 : 16;

  test(`have exactly one owner, ${rounds} rounds of the compiled program, half of them on what SIGKILL left`, async () => {
    await using directory = new Trial(program, { args: ["version"] });
    await directory.ending();
    const leftovers: readonly Leftover[] = ["nothing", "stale directory", "nothing", "run being cleaned up"];
    for (let round = 0; round < rounds; round++) {
      const leftover = leftovers[round % leftovers.length] ?? "nothing";
      await leave(leftover, directory);
      await race(directory, round % 8 >= 4);
    }
    await expectNothingLeft(directory);
  });
});

describe("when the owner's command ends first", () => {
  test("the joiner's clients are served until the joiner ends, no one else may join, and then all is gone", async () => {
    await using run = await joinedRun();
    const { owner, joiner } = run;
    using client = await lineClient(pipeOf(owner));
    expect(await client.ask({ action: "set", key: "k", value: 1, ttl: 60_000 })).toMatchObject({ ok: true });
    owner.type("\n");
    await draining(client);
    expect(await client.ask({ action: "join" })).toMatchObject({ error: "draining" });
    expect(await client.ask({ action: "lease", key: "l", workerId: "w" })).toMatchObject({ ok: true });
    expect(await client.ask({ action: "get", key: "k" })).toMatchObject({ value: 1 });
    joiner.type("\n");
    expect(await joiner.ending()).toEqual(exited(3));
    expect(await owner.ending()).toEqual(exited(3));
    await client.closed;
    expect([owner.stderr, joiner.stderr]).toEqual(["", ""]);
    await expectNothingLeft(owner);
  });

  test("a joiner that takes longer than the grace is told once, and goes on without the broker", async () => {
    await using run = await joinedRun({ owner: { grace: "200ms" } });
    const { owner, joiner } = run;
    const before = performance.now();
    owner.type("\n");
    expect(await owner.ending()).toEqual(exited(3));
    expect(performance.now() - before).toBeGreaterThanOrEqual(195);
    await joiner.complained("\n");
    expect(owner.runDirectories()).toEqual([]);
    joiner.type("\n");
    expect(await joiner.ending()).toEqual(exited(3));
    await joiner.closedStreams();
    expect(joiner.stderr).toMatch(/^ephemeral: The broker at .+\/x\/sock has gone, the command goes on: .+\n$/);
    await expectNothingLeft(owner);
  });

  test("a signal to the owner ends its waiting for joiners", async () => {
    await using run = await joinedRun();
    const { owner, joiner } = run;
    using client = await lineClient(pipeOf(owner));
    owner.type("\n");
    await draining(client);
    owner.signal("SIGTERM");
    expect(await owner.ending()).toEqual(exited(3));
    joiner.type("\n");
    expect(await joiner.ending()).toEqual(exited(3));
    await expectNothingLeft(owner);
  });
});

describe("when one of a joined run is killed by SIGKILL:", () => {
  test("the joiner: its command is ended, the owner's goes on, and the broker does not wait for it", async () => {
    await using run = await joinedRun({ joiner: { script: `setsid sleep 1001 & ${member}` } });
    const { owner, joiner } = run;
    await until(() => owner.reapers().length === 2);
    joiner.signal("SIGKILL");
    expect(await joiner.ending()).toEqual(killedBy(9));
    await until(() => owner.find(["sleep", "1001"]) === undefined);
    using client = await lineClient(pipeOf(owner));
    expect(await client.ask({ action: "ping" })).toMatchObject({ ok: true });
    owner.type("\n");
    expect(await owner.ending()).toEqual(exited(3));
    await expectNothingLeft(owner);
  });

  test("the owner: its command is ended, the joiner's goes on and gives its ending, told once", async () => {
    await using run = await joinedRun({ owner: { script: `setsid sleep 1002 & ${member}` } });
    const { owner, joiner } = run;
    await until(() => owner.reapers().length === 2);
    owner.signal("SIGKILL");
    await until(() => owner.find(["sleep", "1002"]) === undefined);
    await joiner.complained("\n");
    await until(() => owner.runDirectories().length === 0);
    await using next = start({ beside: owner });
    await until(() => isUp(next));
    joiner.type("\n");
    expect(await joiner.ending()).toEqual(exited(3));
    await joiner.closedStreams();
    expect(joiner.stderr).toMatch(/^ephemeral: The broker at .+\/x\/sock has gone, the command goes on: .+\n$/);
    next.type("\n");
    expect(await next.ending()).toEqual(exited(3));
    await expectNothingLeft(owner);
  });

  test("the owner and its reaper, and its command lives on: the name is free at once", async () => {
    await using owner = start({ script: stubborn });
    await until(() => isUp(owner) && owner.reapers().length === 1);
    await kill([...owner.reapers(), owner.pid]);
    await using next = start({ beside: owner });
    await until(() => isUp(next));
    expect(isOwner(next)).toBe(true);
    next.type("\n");
    expect(await next.ending()).toEqual(exited(3));
    expect(owner.runDirectories()).toEqual([]);
  });

  // Failed like this: whoever cleaned up after the killed owner removed the socket of the name's next one.
  test("the owner, its command stubborn: the name's next owner waits for the cleaning, and keeps its socket", async () => {
    await using owner = start({ script: stubborn, grace: "400ms" });
    await until(() => isUp(owner) && owner.reapers().length === 1);
    const [first = 0] = owner.reapers();
    owner.signal("SIGKILL");
    await using next = start({ beside: owner });
    await until(() => isUp(next));
    expect(readProc(first, "cmdline")).toBe("");
    using client = await lineClient(pipeOf(owner));
    expect(await client.ask({ action: "ping" })).toMatchObject({ ok: true });
    next.type("\n");
    expect(await next.ending()).toEqual(exited(3));
    await expectNothingLeft(owner);
  });

  test("one that waits for a name being cleaned up can be ended meanwhile, and leaves nothing", async () => {
    await using owner = start({ script: stubborn, grace: "5s" });
    await until(() => isUp(owner) && owner.reapers().length === 1);
    owner.signal("SIGKILL");
    await owner.ending();
    await using next = start({ beside: owner });
    await until(
      () => (BigInt(`0x${/^SigCgt:\s*(\w+)$/m.exec(readProc(next.pid, "status"))?.[1] ?? "0"}`) & 0x4000n) > 0n,
    );
    next.signal("SIGTERM");
    expect(await next.ending()).toEqual(killedBy(15));
    expect([next.stdout, next.stderr]).toEqual(["", ""]);
  });
});

describe("to kill", () => {
  test("the joiner's command, by a second SIGINT, leaves the owner's alone", async () => {
    await using run = await joinedRun({ joiner: { script: stubborn } });
    const { owner, joiner } = run;
    joiner.signal("SIGINT");
    joiner.signal("SIGINT");
    // Signals of one kind that are not taken yet are one to the kernel.
    const again = setInterval(() => joiner.signal("SIGINT"), 50);
    expect(await joiner.ending().finally(() => clearInterval(again))).toEqual(killedBy(9));
    owner.type("\n");
    expect(await owner.ending()).toEqual(exited(3));
    await expectNothingLeft(owner);
  });

  test("the owner's command, after its grace, leaves the joiner's alone", async () => {
    await using run = await joinedRun({ owner: { script: stubborn, grace: "100ms" } });
    const { owner, joiner } = run;
    owner.signal("SIGTERM");
    expect(await owner.ending()).toEqual(killedBy(9));
    joiner.type("\n");
    expect(await joiner.ending()).toEqual(exited(3));
    await expectNothingLeft(owner);
  });
});
