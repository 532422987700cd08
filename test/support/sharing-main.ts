/**
 * A worker of a run that shares work: does the jobs of a queue, passes a rate limit as often as it can, or comes to barriers
 * when it is told. Says what happens to it, one JSON object a line; knows nothing of the other workers.
 */
import { Client, EphemeralError } from "../../src/client/client.ts";

interface Told {
  readonly pipe: string;
  readonly part: "jobs" | "rate" | "turns";
  readonly label: string;
  /** How many workers there are. */
  readonly count: number;
  readonly rate: { readonly limit: number; readonly windowMs: number };
  /** How long the limit is to be in use. */
  readonly durationMs: number;
  /** The job of its own, counted from 1, in the middle of which it hangs; 0 for none. */
  readonly hangsAt: number;
}

const { pipe, part, label, count, rate, durationMs, hangsAt } = JSON.parse(process.argv[2] ?? "") as Told;
const client = new Client(pipe, { label });
const say = (what: object): void => void process.stdout.write(`${JSON.stringify(what)}\n`);

const parts: Readonly<Record<Told["part"], () => Promise<void>>> = {
  async jobs() {
    let begun = 0;
    for await (const { id, data, attempt, fence } of client.queue<{ ms: number }>("specs")) {
      say({ began: id, attempt, fence });
      begun += 1;
      await Bun.sleep(begun === hangsAt ? 60_000 : data.ms);
      say({ finished: id, attempt });
    }
    say({ ended: true });
  },

  /** From the moment all are there until the limit has been in use for so long. */
  async rate() {
    await client.barrier("start", count);
    const grantedAtMs: number[] = [];
    let endsAtMs = Number.POSITIVE_INFINITY;
    for (let atMs = 0; atMs < endsAtMs; ) {
      const { resetAtMs } = await client.rateLimit("api", rate);
      atMs = resetAtMs - rate.windowMs;
      grantedAtMs.push(atMs);
      endsAtMs = Number(grantedAtMs[0]) + durationMs;
    }
    say({ grantedAtMs });
  },

  /** Each line is a barrier to come to, or to join, or a limit to pass. */
  async turns() {
    await client.ping();
    say({ ready: true });
    for await (const line of console) {
      const { key, join = false, limit } = JSON.parse(line) as { key: string; join?: boolean; limit?: string };
      const passing =
        limit === undefined
          ? client.barrier(key, count, { join })
          : client.rateLimit(limit, rate).then(({ remaining }) => remaining);
      if (!join) say({ waits: true });
      say(
        await passing.then(
          (index) => ({ index }),
          (error) => ({ error: error instanceof EphemeralError ? [error.code, error.details?.left] : `${error}` }),
        ),
      );
    }
  },
};

await parts[part]();
client.close();
