/** Work queues: `queue.push queue.take queue.ack queue.nack queue.renew queue.close queue.info`. The rules are the engine's. */
import type { Awaitable, Engine } from "../../engine/engine.ts";
import type { QueueReading, TakeAnswer } from "../../engine/sharing.ts";
import { Encoded, type Reply } from "../../protocol/commands.ts";
import type { SharingCommands } from "../../protocol/sharing.ts";
import type { BrokerConfig } from "../config.ts";
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
        return taken instanceof Promise ? taken.then(takeReply) : takeReply(taken);
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

function takeReply({ jobs, isDone }: TakeAnswer): Reply<"queue.take"> {
  const records = jobs.map((job) => ({ ...job, data: new Encoded(job.data) }));
  return { jobs: new Encoded(records), done: isDone ? true : undefined };
}

function infoReply({ deadJobs, ...counts }: QueueReading): Reply<"queue.info"> {
  return { ...counts, deadJobs: new Encoded(deadJobs.map((job) => ({ ...job, data: new Encoded(job.data) }))) };
}
