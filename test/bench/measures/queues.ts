/** QUEUE: a hundred thousand jobs pushed by 8 processes, and then taken and acked by them. */
import { join } from "node:path";
import type { Contestant } from "../contestant.ts";
import { bullmqOneByOne, bullmqSideBySide } from "../contestants/bullmq.ts";
import { ephemeral } from "../contestants/ephemeral.ts";
import { goal, headline, type Measure, Rounds, withContestants } from "../measure.ts";
import { cpuMs } from "../process-figures.ts";
import { formatNumber } from "../statistics.ts";
import { lines } from "../workers.ts";

const jobs = 100_000;
const workers = 8;
const contestants: readonly Contestant[] = [ephemeral, bullmqOneByOne, bullmqSideBySide];

export const queues: Measure = {
  id: "QUEUE",
  title: `${jobs.toLocaleString("en")} jobs and ${workers} worker processes`,
  async run({ rounds, progress }) {
    const [pushed, done, cpu] = [new Rounds(), new Rounds(), new Rounds()];
    const missing = new Set<string>();
    for (let round = 1; round <= rounds; round++) {
      for (const contestant of contestants) {
        const { name } = contestant;
        progress(`QUEUE round ${round}/${rounds}: ${name}`);
        // A server of its own each time: ours remembers the queue that was closed.
        const took = await withContestants([contestant], async (running) => {
          const server = running.get(contestant);
          if (server === undefined) return;
          const { pushSeconds, drainSeconds } = await share(name, server.address);
          pushed.add(name, jobs / pushSeconds);
          done.add(name, jobs / drainSeconds);
          if (server.pid !== undefined) cpu.add(name, (cpuMs(server.pid) * 1000) / jobs);
        });
        for (const absent of took.missing) missing.add(absent);
      }
    }
    const pushRatio = pushed.ratio(ephemeral.name, bullmqOneByOne.name);
    const ratio = done.ratio(ephemeral.name, bullmqOneByOne.name);
    const best = done.ratio(ephemeral.name, bullmqSideBySide.name);
    return {
      id: "QUEUE",
      title: queues.title,
      headline: headline(done, { unit: "taken and acked/s", ours: ephemeral.name, rivals: [bullmqOneByOne.name] }),
      head: ["contestant", "pushed/s", "taken and acked/s", "min–max", "server CPU µs a job"],
      rows: contestants.map(({ name }) => {
        const { median, min, max } = done.of(name);
        const range = `${formatNumber(min)}–${formatNumber(max)}`;
        return [
          name,
          formatNumber(pushed.of(name).median),
          formatNumber(median),
          range,
          formatNumber(cpu.of(name).median),
        ];
      }),
      goals: [
        goal("push ≥ 3 × BullMQ's", pushRatio, pushRatio >= 3),
        goal("take and ack, one job at a time, ≥ 3 × BullMQ's", ratio, ratio >= 3),
        goal("the same ≥ 1 × BullMQ's with 50 at a time", best, best >= 1),
      ],
      missing: [...missing],
      raw: { pushed, done, cpu },
    };
  },
};

/** All push their share, and when the last has, all drain. */
async function share(contestant: string, address: string): Promise<{ pushSeconds: number; drainSeconds: number }> {
  const argv = [process.execPath, join(import.meta.dir, "../queue-load.ts"), contestant, address, `${jobs / workers}`];
  const processes = Array.from({ length: workers }, () => Bun.spawn(argv, { stdio: ["pipe", "pipe", "inherit"] }));
  const outputs = processes.map(({ stdout }) => lines(stdout));
  const all = async (): Promise<unknown[]> =>
    Promise.all(outputs.map(async (output) => JSON.parse((await output.next()).value ?? "")));
  const timed = async (): Promise<{ seconds: number; said: unknown[] }> => {
    const startedNs = Bun.nanoseconds();
    for (const { stdin } of processes) {
      stdin.write("go\n");
      stdin.flush();
    }
    const said = await all();
    return { seconds: (Bun.nanoseconds() - startedNs) / 1e9, said };
  };
  await all();
  const push = await timed();
  const drain = await timed();
  const count = drain.said.reduce((sum: number, done) => sum + Number(done), 0);
  if (count !== jobs) throw new Error(`${contestant}: ${count} of ${jobs} jobs were done`);
  await Promise.all(processes.map(({ exited }) => exited));
  return { pushSeconds: push.seconds, drainSeconds: drain.seconds };
}
