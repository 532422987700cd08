/** BullMQ: jobs in Redis, over its unix socket, where BullMQ's client keeps a second connection to wait on. */
import type { Contestant } from "../contestant.ts";
import { installed } from "./installed.ts";
import { redis } from "./redis.ts";

interface Bullmq {
  readonly Queue: new (
    name: string,
    options: object,
  ) => {
    addBulk(jobs: readonly object[]): Promise<unknown>;
    close(): Promise<void>;
  };
  readonly Worker: new (
    name: string,
    work: (job: { data: unknown }) => Promise<unknown>,
    options: object,
  ) => {
    once(event: "drained", listener: () => void): void;
    close(): Promise<void>;
  };
}

/** Jobs of one `addBulk`: more at once were no faster, fewer slower. */
const bulkCount = 2500;

function bullmq(name: string, concurrency: number): Contestant {
  return {
    name,
    missing: () => installed.missing("bullmq") ?? redis.missing(),
    start: redis.start,
    open: async (address) => {
      const { Queue, Worker } = await installed.load<Bullmq>("bullmq");
      const connection = { path: address, maxRetriesPerRequest: null };
      const queue = new Queue("bench", { connection, defaultJobOptions: { removeOnComplete: true } });
      return {
        pushAll: async (jobs) => {
          const bulk = jobs.map((data) => ({ name: "job", data }));
          for (let at = 0; at < bulk.length; at += bulkCount) await queue.addBulk(bulk.slice(at, at + bulkCount));
        },
        drain: async () => {
          let count = 0;
          const work = async (): Promise<void> => void count++;
          const worker = new Worker("bench", work, { connection, concurrency });
          await new Promise<void>((resolve) => worker.once("drained", resolve));
          await worker.close();
          return count;
        },
        close: () => queue.close(),
      };
    },
  };
}

/** As it comes: one job at a time in each worker. */
export const bullmqOneByOne = bullmq("BullMQ on Redis", 1);
export const bullmqSideBySide = bullmq("BullMQ, concurrency 50", 50);
