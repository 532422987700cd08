/** P9, P10 and P11: what the program costs before it does anything: start-up, an idle broker, the file itself. */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ephemeral } from "../contestants/ephemeral.ts";
import { goal, headline, type Measure, Rounds } from "../measure.ts";
import { anonymousBytes, cpuMs, residentBytes } from "../process-figures.ts";
import { formatNumber } from "../statistics.ts";

const program = join(import.meta.dir, "../../../dist/ephemeral");
const mib = 1024 * 1024;
const compileFlags = [
  "--compile",
  "--bytecode",
  "--minify",
  "--format=esm",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
];

/** A program that does nothing, compiled as ours is: what the runtime alone costs. */
async function compileEmpty(directory: string): Promise<string> {
  const source = join(directory, "empty.ts");
  await Bun.write(source, "export {};\n");
  const outfile = join(directory, "empty");
  const build = Bun.spawn([process.execPath, "build", ...compileFlags, source, "--outfile", outfile], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if ((await build.exited) !== 0) throw new Error("the empty program could not be compiled");
  return outfile;
}

async function wallMs(argv: readonly string[], env: Record<string, string | undefined>): Promise<number> {
  const startedAt = performance.now();
  await Bun.spawn([...argv], { env, stdio: ["ignore", "ignore", "ignore"] }).exited;
  return performance.now() - startedAt;
}

/** Each round runs every command so often; the round's figure is their median. */
const runsPerRound = 11;

export const startUp: Measure = {
  id: "P9",
  title: "start-up of the compiled program, wall ms",
  async run({ rounds, progress }) {
    const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
    const wall = new Rounds();
    const env = { ...process.env, XDG_RUNTIME_DIR: directory, EPHEMERAL_PIPE: undefined, EPHEMERAL_SECRET: undefined };
    const broker = await ephemeral.start(directory);
    try {
      const commands: Record<string, readonly string[]> = {
        "an empty compiled program": [await compileEmpty(directory)],
        "ephemeral start -- true": [program, "start", "--", "true"],
        "ephemeral get": [program, "get", "key", "--pipe", broker.address],
      };
      for (let round = 1; round <= rounds; round++) {
        progress(`P9 round ${round}/${rounds}`);
        const runs = new Map(Object.keys(commands).map((name) => [name, [] as number[]]));
        for (let run = 0; run < runsPerRound; run++) {
          for (const [name, argv] of Object.entries(commands)) runs.get(name)?.push(await wallMs(argv, env));
        }
        for (const [name, values] of runs) wall.add(name, values.sort((a, b) => a - b)[runsPerRound >> 1] ?? 0);
      }
      const start = wall.of("ephemeral start -- true").median;
      const get = wall.of("ephemeral get").median;
      return {
        id: "P9",
        title: startUp.title,
        headline: headline(wall, { unit: "ms", ours: "ephemeral start -- true" }),
        head: ["command", "median ms", "min–max of rounds"],
        rows: Object.keys(commands).map((name) => {
          const { median, min, max } = wall.of(name);
          return [name, formatNumber(median), `${formatNumber(min)}–${formatNumber(max)}`];
        }),
        goals: [
          goal("start -- true ≤ 25 ms", start, start <= 25),
          goal("a thin command (get) ≤ 20 ms", get, get <= 20),
        ],
        missing: [],
        raw: wall,
      };
    } finally {
      await broker.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

const idleMs = 3000;

export const idle: Measure = {
  id: "P10",
  title: "an idle broker",
  async run({ progress }) {
    progress("P10");
    const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
    const broker = await ephemeral.start(directory);
    try {
      const pid = broker.pid ?? 0;
      // What start-up left for the collector is done by then.
      await Bun.sleep(3000);
      const cpuBefore = cpuMs(pid);
      await Bun.sleep(idleMs);
      const cpu = cpuMs(pid) - cpuBefore;
      const resident = residentBytes(pid) / mib;
      const anonymous = anonymousBytes(pid) / mib;
      return {
        id: "P10",
        title: idle.title,
        headline: { unit: "resident MB", ours: resident },
        head: ["figure", "value"],
        rows: [
          ["resident MB", formatNumber(resident)],
          ["MB of that which are no pages of files", formatNumber(anonymous)],
          [`CPU ms in ${idleMs / 1000} s`, formatNumber(cpu)],
        ],
        goals: [goal("≤ 40 MB resident", resident, resident <= 40), goal("0 % CPU", cpu / idleMs, cpu === 0)],
        missing: [],
        raw: { resident, anonymous, cpu },
      };
    } finally {
      await broker.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

export const executable: Measure = {
  id: "P11",
  title: "the executable's size",
  async run({ progress }) {
    progress("P11");
    const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
    try {
      const empty = statSync(await compileEmpty(directory)).size / mib;
      const ours = statSync(program).size / mib;
      return {
        id: "P11",
        title: executable.title,
        headline: { unit: "MB above an empty compiled program", ours: ours - empty },
        head: ["program", "MB"],
        rows: [
          ["an empty compiled program", formatNumber(empty)],
          ["ephemeral", formatNumber(ours)],
        ],
        goals: [goal("≤ 6 MB above an empty program", ours - empty, ours - empty <= 6)],
        missing: [],
        raw: { empty, ours },
      };
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};
