/**
 * The page of queue: jobs put into a queue, taken out of it one by one, and done by commands that run side by side.
 */
import { systemClientClock } from "../../client/client-clock.ts";
import { Jobs } from "../../client/sharing/jobs.ts";
import { fromJsonValue } from "../../protocol/json-values.ts";
import type { QueueInfo, TakenJob } from "../../protocol/sharing.ts";
import { type Answer, call, callThrough, clientFlags } from "../call.ts";
import type { Arguments, Definitions } from "../definitions.ts";
import { HintedError, usageError } from "../failure.ts";
import { type Paint, printable, table } from "../output.ts";
import { definePage } from "../page.ts";
import { durationFlag, findGiven, jobsFlag, lanesMax, readNumber, waitFlag } from "../settings/settings.ts";
import { readJobs, textOfData } from "../sharing/queue-items.ts";
import { numberUnit } from "../units.ts";

const definitions = {
  action: {
    type: "positional",
    required: true,
    valueHint: "push|take|ack|nack|info|close|run",
    description: "push, take, ack, nack, info, close or run",
  },
  queue: { type: "positional", required: true, description: "What the queue is called; 1 to 512 bytes" },
  word: {
    type: "positional",
    required: false,
    isRepeatable: true,
    description: "With push a job, or - for the lines of stdin; with ack and nack JOB FENCE; with run the command",
  },
  closes: { type: "boolean", description: "With push: no others come after these" },
  priority: { type: "string", valueHint: "N", description: "With push: higher ones are taken first (default: 0)" },
  "json-value": { type: "boolean", description: "With push: words and lines are JSON" },
  wait: {
    type: "string",
    valueHint: "DURATION",
    short: "w",
    description: "With take: how long to wait for a job (default: 0). With run: end when none came for so long",
  },
  ack: {
    type: "string",
    valueHint: "DURATION",
    description: "With take: it goes back unless it is acked by then (default: 1m)",
  },
  delay: { type: "string", valueHint: "DURATION", description: "With nack: nobody takes it again before that" },
  reason: { type: "string", valueHint: "TEXT", description: "With nack: why, as info shows it of dead jobs" },
  pass: { type: "boolean", description: "With nack: this attempt does not count" },
  jobs: {
    type: "string",
    valueHint: "N",
    short: "j",
    description: `With run: so many at a time, at most ${lanesMax} (default: 1)`,
  },
  "retry-after": {
    type: "string",
    valueHint: "DURATION",
    description: "With run: how long a job that failed rests before it is tried again (default: 0)",
  },
  grace: {
    type: "string",
    valueHint: "DURATION",
    description: "With run: how long commands may take to end after SIGTERM or SIGHUP (default: 10s)",
  },
  ...clientFlags,
} as const satisfies Definitions;

type Given = Arguments<typeof definitions>;

interface Action {
  /** Those of the flags that are about it. */
  readonly flags: readonly (keyof typeof definitions)[];
  readonly perform: (args: Given) => Promise<void>;
}

export const queuePage = definePage({
  name: "queue",
  group: "Work",
  summary: "Share jobs: each is done once, by whoever is free",
  notes: [
    "push adds jobs and prints how many are new: in a run an id counts once, also when its job is done or dead, and a text is its own id. take prints a job, its fence and its data with tabs between them; it is ours until it is acked, given back with nack, or its time is over. After 3 attempts (--job-attempts-max of ephemeral start) a job is dead, and info shows why; it stays dead, so push it under another id to have it tried again.",
    "run takes jobs until the queue is closed and all are done, or --wait is over, and runs the command for each: {} in its words is the job's data, as it is when it is text and else as JSON. A command's exit status 0 acks its job, any other gives it back as failed. Ours is 0 when all jobs of the queue are done, 1 when some are dead, 126 or 127 when there is no such command, and then nothing was taken. Any number of processes may run the same queue. Commands have no stdin; their output is not touched. Ctrl-C and SIGTERM end the commands and give their jobs back unharmed, and so does the end of whoever read their output (| head); when this process is killed the commands are, too, and their jobs go to others.",
    "With --json: push count; take id, data, attempt, fence, expiresAtMs; info and close depth, inFlight, dead, done, closed, and info waiting and deadJobs; run the same, and what it did itself (as the last line of stdout).",
  ],
  examples: [
    { line: "ls test/*.test.ts | ephemeral queue push specs --closes -", does: "a job for each file, and no others" },
    { line: "ephemeral queue run specs -j 4 -- bun test {}", does: "do them, four at a time, on every shard alike" },
    {
      line: 'ephemeral queue push seeds --json-value \'{"data":[1,2],"priority":5}\'',
      does: "a job with JSON in it, before the others",
    },
    {
      line: "ephemeral queue take specs --wait 30s --ack 10m",
      does: "take one by hand, for ten minutes at most",
    },
    {
      line: "ephemeral queue info specs --json | jq -c '.deadJobs[] | {data}' | ephemeral queue push again --json-value -",
      does: "have what is dead tried again, in another queue",
    },
  ],
  environment: [
    ["EPHEMERAL_JOB", "With run, set for the command: the job's data"],
    ["EPHEMERAL_JOB_ID", "With run, set for the command: the job's id"],
    ["EPHEMERAL_JOB_ATTEMPT", "With run, set for the command: how often it has been taken, 1 the first time"],
    ["EPHEMERAL_FENCE", "With run, set for the command: a number larger than that of every hold before"],
    ["EPHEMERAL_GRACE", "As --grace"],
  ],
  refusedWhen: "nothing is left to take, or the job is not ours any more; with run, jobs are dead",
  args: definitions,
  async perform(args) {
    const action = actions[args.action];
    if (action === undefined) {
      const wanted = Object.keys(actions).join(", ");
      const actual = `wanted ${wanted}, got ${JSON.stringify(args.action)}`;
      throw usageError(`Cannot read ACTION: ${actual}`, "See: ephemeral help queue");
    }
    refuseForeignFlags(args, action);
    await action.perform(args);
  },
});

const actions: Readonly<Record<string, Action>> = {
  push: { flags: ["closes", "priority", "json-value"], perform: push },
  take: { flags: ["wait", "ack"], perform: take },
  ack: {
    flags: [],
    perform: (args) =>
      call(args, async (ask) => {
        await ask({ action: "queue.ack", ...takingIn(args) });
        return { document: {} };
      }),
  },
  nack: {
    flags: ["delay", "reason", "pass"],
    perform: (args) =>
      call(args, async (ask) => {
        const { reason, pass } = args;
        await ask({ action: "queue.nack", ...takingIn(args), delayMs: durationFlag(args, "delay"), reason, pass });
        return { document: {} };
      }),
  },
  info: {
    flags: [],
    perform: (args) =>
      through(args, async (jobs) => {
        const info = await jobs.info();
        return { document: info, text: (paint) => shown(info, paint) };
      }),
  },
  close: { flags: [], perform: (args) => through(args, async (jobs) => ({ document: await jobs.close() })) },
  run: {
    flags: ["wait", "jobs", "retry-after", "grace"],
    async perform(args) {
      const { runQueue } = await import("../sharing/queue-run.ts");
      await runQueue(args, {
        queue: args.queue,
        command: wordsOf(args),
        lanesCount: jobsFlag(args),
        waitMs: args.wait === undefined ? -1 : waitFlag(args),
        retryAfterMs: durationFlag(args, "retry-after"),
        isJson: args.json === true,
      });
    },
  },
};

function refuseForeignFlags(args: Given, { flags }: Action): void {
  const own = new Set<string>([...flags, ...Object.keys(clientFlags)]);
  const foreign = Object.entries(definitions).find(
    ([name, { type }]) => type !== "positional" && Object.hasOwn(args, name) && !own.has(name),
  );
  if (foreign === undefined) return;
  const [name, { description }] = foreign;
  throw usageError(`Cannot use --${name} with queue ${args.action}`, `It means: ${description}`);
}

/** Operands behind ACTION and QUEUE. */
function wordsOf(args: Given): readonly string[] {
  return args._.slice(2);
}

function through(args: Given, inquire: (jobs: Jobs<unknown>) => Promise<Answer>): Promise<void> {
  return callThrough(args, ({ connection }) =>
    inquire(new Jobs({ connection, clock: systemClientClock, name: args.queue, options: {} })),
  );
}

async function push(args: Given): Promise<void> {
  const given = findGiven("priority", [], { flags: args, environment: {} });
  const priority = given === undefined ? undefined : readNumber(given, numberUnit);
  const words = wordsOf(args);
  if (words.length === 0 && args.closes !== true)
    throw usageError("Cannot push: there are no jobs", "Give some, or - for the lines of stdin");
  const items = await readJobs({ words, isJson: args["json-value"] === true, priority });
  await through(args, async (jobs) => {
    const count = await jobs.push(items, args.closes);
    return { document: { count }, text: `${count}\n` };
  });
}

const defaultAckMs = 60_000;

/** The end of this process is not the end of the job: whoever knows its fence acks it. */
async function take(args: Given): Promise<void> {
  const { queue } = args;
  const ackMs = durationFlag(args, "ack") ?? defaultAckMs;
  await call(args, async (ask) => {
    const command = { action: "queue.take", queue, count: 1, ackMs, scope: "ttl" } as const;
    const { jobs, done } = await ask<"queue.take">(command, waitFlag(args));
    // Only the broker's own side of it is encoded already.
    const [taken] = jobs as readonly TakenJob[];
    if (done === true || taken === undefined) {
      const text = `Nothing to take from queue ${JSON.stringify(queue)}: it is closed, and all of its jobs are done or dead`;
      throw new HintedError("not_found", text, { hint: `See: ephemeral queue info ${queue}` });
    }
    const job = { ...taken, data: fromJsonValue(taken.data) };
    return { document: job, text: `${printable(job.id)}\t${job.fence}\t${textOfData(job.data)}\n` };
  });
}

function takingIn(args: Given): { readonly queue: string; readonly job: string; readonly fence: number } {
  const [job, fence = "", ...others] = wordsOf(args);
  if (job === undefined || !/^\d{1,16}$/.test(fence) || others.length > 0) {
    const wanted = `Cannot read "queue ${args.action}": wanted JOB FENCE`;
    throw usageError(`${wanted}, got ${JSON.stringify(wordsOf(args).join(" "))}`, "ephemeral queue take prints them");
  }
  return { queue: args.queue, job, fence: Number(fence) };
}

function shown({ deadJobs, ...info }: QueueInfo, paint: Paint): string {
  const { depth, inFlight, done, dead, closed, waiting } = info;
  const counts = `${depth} to do, ${inFlight} in flight, ${done} done, ${dead} dead, ${waiting} waiting for one`;
  const rows = deadJobs.map(({ id, attempts, label, reason }) => [id, `${attempts}`, label, reason]);
  return `${counts}${closed ? ", closed" : ""}\n${table(rows, { header: ["DEAD", "ATTEMPTS", "LAST BY", "REASON"], paint })}`;
}
