/** Work queues: `queue.push queue.take queue.ack queue.nack queue.renew queue.close queue.info`. The rules are the engine's. */
import type { Awaitable, Engine } from "../../engine/engine.ts";
import type { QueueReading, TakeAnswer, Taken } from "../../engine/sharing.ts";
import type { Codec } from "../../protocol/codec.ts";
import { Encoded, type Reply } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { SharingCommands } from "../../protocol/sharing.ts";
import type { BrokerConfig } from "../config.ts";
import { isOfCodec, writingFailure } from "../connections/writing.ts";
import type { Rows } from "../dispatcher.ts";
import { storable } from "./values.ts";

interface QueuesParts {
  readonly engine: Engine;
  readonly config: BrokerConfig;
}

type QueueRows = Rows<Extract<keyof SharingCommands, `queue.${string}`>>;

export function queueRows({ engine: { sharing }, config }: QueuesParts): QueueRows {
  const row = { access: "admitted", whileDraining: "served" } as const;
  return {
    "queue.push": {
      ...row,
      handle: ({ queue, items, closes = false }, { codec }) => {
        const jobs = items.map(({ id, data, priority = 0 }) => {
          return { id, data: storable(data, codec, config.limits), priority };
        });
        return sharing.pushJobs({ queue, jobs, closes });
      },
    },
    "queue.take": {
      ...row,
      handle: ({ queue, count = 1, ackMs, scope, waitMs = 0 }, invocation) => {
        const request = { queue, count, ackMs, outlivesSession: scope === "ttl" };
        const taken = sharing.takeJobs(request, invocation.waiting(waitMs));
        const giveBack = async ({ id: job, fence }: Taken): Promise<void> =>
          sharing.nackJob({ queue, job, fence, delayMs: 0, reason: undefined, pass: true });
        const read = (answer: TakeAnswer): Reply<"queue.take"> =>
          takeReply(readable(answer, { queue, codec: invocation.codec, giveBack }));
        return taken instanceof Promise ? taken.then(read) : read(taken);
      },
    },
    "queue.ack": { ...row, handle: (taking) => nothing(sharing.ackJob(taking)) },
    "queue.nack": {
      ...row,
      handle: ({ delayMs = 0, reason, pass = false, ...taking }) =>
        nothing(sharing.nackJob({ ...taking, delayMs, reason, pass })),
    },
    "queue.renew": { ...row, handle: (request) => sharing.renewJob(request) },
    "queue.close": { ...row, handle: ({ queue }) => sharing.closeQueue(queue) },
    "queue.info": {
      ...row,
      handle: ({ queue }) => {
        const reading = sharing.readQueue(queue);
        return reading instanceof Promise ? reading.then(infoReply) : infoReply(reading);
      },
    },
  };
}

function nothing(done: Awaitable<void>): Awaitable<Record<never, never>> {
  return done instanceof Promise ? done.then(() => ({})) : {};
}

interface Reader {
  readonly queue: string;
  readonly codec: Codec;
  readonly giveBack: (job: Taken) => Promise<void>;
}

/** Only what its taker can be told is taken: the rest goes back as it was, for others, where it would be in flight with somebody
 *  who does not know of it.
 *  @throws {EphemeralError} why the first cannot be told, when none can */
function readable({ jobs, isDone }: TakeAnswer, { queue, codec, giveBack }: Reader): TakeAnswer {
  const failures = new Map<Taken, unknown>();
  for (const job of jobs) {
    const failure = isOfCodec(job.data, codec) ? undefined : writingFailure(takeReply({ jobs: [job], isDone }), codec);
    if (failure !== undefined) failures.set(job, failure);
  }
  // The last first, so that they stand in their old order. One whose session has ended meanwhile has gone back with it.
  for (const job of [...failures.keys()].reverse()) giveBack(job).catch(() => {});
  const [first] = failures;
  if (first === undefined || failures.size < jobs.length) {
    return { jobs: jobs.filter((job) => !failures.has(job)), isDone };
  }
  const [{ id }, failure] = first;
  if (!(failure instanceof EphemeralError)) throw failure;
  const text = `Cannot take job ${JSON.stringify(id)} of queue ${JSON.stringify(queue)}, which stays there for others`;
  throw new EphemeralError(failure.code, `${text}: ${failure.message}`);
}

function takeReply({ jobs, isDone }: TakeAnswer): Reply<"queue.take"> {
  const records = jobs.map((job) => ({ ...job, data: new Encoded(job.data) }));
  return { jobs: new Encoded(records), done: isDone ? true : undefined };
}

function infoReply({ deadJobs, ...counts }: QueueReading): Reply<"queue.info"> {
  return { ...counts, deadJobs: new Encoded(deadJobs.map((job) => ({ ...job, data: new Encoded(job.data) }))) };
}
