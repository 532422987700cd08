/**
 * CONTEND: eight processes want one lock. How often it changes hands, whether all wait alike, and how long nobody has it after
 * its holder was killed. flock(2) is the kernel's own: the bound, not a rival.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../../support/broker.ts";
import type { Contestant, Running } from "../contestant.ts";
import { ephemeral } from "../contestants/ephemeral.ts";
import { flock } from "../contestants/flock.ts";
import { liveMutex } from "../contestants/live-mutex.ts";
import { properLockfile } from "../contestants/proper-lockfile.ts";
import { redlock } from "../contestants/redlock.ts";
import { goal, headline, type Measure, namesOf, Rounds, withContestants } from "../measure.ts";
import { formatNumber } from "../statistics.ts";
import { lines } from "../workers.ts";

const rivals = [liveMutex, properLockfile, redlock];
const everybody = [ephemeral, ...rivals, flock];
const contenders = 8;
const secondsARound = 2;
/** Who has not handed on by then is told so. */
const handOnMsMax = 15_000;

interface Report {
  readonly taken: number;
  /** How often of these it was not the same process that had had it before. */
  readonly handOvers: number;
  readonly medianMs: number;
  readonly maxMs: number;
}

export const contention: Measure = {
  id: "CONTEND",
  title: "one lock, eight processes",
  async run({ rounds, progress }) {
    const [perSecond, taken, unfair, afterKillMs] = [new Rounds(), new Rounds(), new Rounds(), new Rounds()];
    const { missing } = await withContestants(everybody, async (running) => {
      for (let round = 1; round <= rounds; round++) {
        for (const [contestant, place] of running) {
          progress(`CONTEND round ${round}/${rounds}: ${contestant.name}`);
          const reports = await contend(contestant, place);
          const sumOf = (key: "taken" | "handOvers"): number => reports.reduce((sum, report) => sum + report[key], 0);
          const middle = reports.map(({ medianMs }) => medianMs).toSorted((a, b) => a - b)[contenders / 2] ?? 0;
          perSecond.add(contestant.name, sumOf("handOvers") / secondsARound);
          taken.add(contestant.name, sumOf("taken") / secondsARound);
          unfair.add(contestant.name, Math.max(...reports.map(({ maxMs }) => maxMs)) / middle);
          afterKillMs.add(contestant.name, await handOnMs(contestant, place));
        }
      }
    });
    const goals = rivals.map(({ name }) => {
      const ratio = perSecond.ratio(ephemeral.name, name);
      return goal(`hand-overs ≥ ${name}'s`, ratio, ratio >= 1);
    });
    const oursMs = afterKillMs.of(ephemeral.name).median;
    return {
      id: "CONTEND",
      title: contention.title,
      headline: headline(perSecond, { unit: "hand-overs/s", ours: ephemeral.name, rivals: namesOf(rivals) }),
      head: [
        "contestant",
        "hand-overs/s",
        "taken/s, by the same again too",
        "longest wait / median wait",
        "handed on after SIGKILL, ms",
      ],
      rows: Object.keys(perSecond.toJSON()).map((name) => [
        name,
        formatNumber(perSecond.of(name).median),
        formatNumber(taken.of(name).median),
        formatNumber(unfair.of(name).median),
        afterKillMs.of(name).median < handOnMsMax ? formatNumber(afterKillMs.of(name).median) : `> ${handOnMsMax}`,
      ]),
      goals: [...goals, goal("P8: handed on after SIGKILL in ≤ 10 ms", oursMs, oursMs <= 10)],
      missing,
      raw: { perSecond, taken, unfair, afterKillMs },
    };
  },
};

function start({ name }: Contestant, { address }: Running, ...role: readonly string[]) {
  const argv = [process.execPath, join(import.meta.dir, "../contender.ts"), name, address, ...role];
  const child = Bun.spawn(argv, { stdio: ["pipe", "pipe", "inherit"] });
  return Object.assign(child, { output: lines(child.stdout) });
}

/** All contenders, released at one instant. */
async function contend(contestant: Contestant, place: Running): Promise<readonly Report[]> {
  using folder = temporaryDirectory();
  const lastHolder = join(folder.path, "last-holder");
  writeFileSync(lastHolder, new Uint8Array(4));
  const role = ["contend", `${secondsARound}`, lastHolder];
  const all = Array.from({ length: contenders }, () => start(contestant, place, ...role));
  await Promise.all(all.map(({ output }) => output.next()));
  for (const { stdin } of all) {
    stdin.write("go\n");
    stdin.flush();
  }
  const reports = await Promise.all(all.map(async ({ output }) => JSON.parse((await output.next()).value ?? "{}")));
  await Promise.all(all.map(({ exited }) => exited));
  return reports;
}

/** From the kill of a holder to the next one's having the lock, or `handOnMsMax`. */
async function handOnMs(contestant: Contestant, place: Running): Promise<number> {
  const holder = start(contestant, place, "hold");
  for (let line = ""; line !== '"got"'; ) line = (await holder.output.next()).value ?? '"got"';
  const next = start(contestant, place, "next");
  await next.output.next();
  // It says so right before it asks: give the asking time to arrive.
  await Bun.sleep(200);
  const killedAt = performance.now();
  holder.kill("SIGKILL");
  const got = next.output.next().then(() => performance.now() - killedAt);
  const tookMs = await Promise.race([got, Bun.sleep(handOnMsMax).then(() => handOnMsMax)]);
  next.kill("SIGKILL");
  await Promise.all([holder.exited, next.exited]);
  return tookMs;
}
