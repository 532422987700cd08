/**
 * A broker as `ephemeral start` runs it, a crowd that behaves badly, and a well-behaved client beside a bystander, each a
 * process of its own: what a crowd costs the broker, and whether it is as it was afterwards.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type LineClient, lineClient, temporaryDirectory } from "./broker.ts";
import { type LineProcess, lineProcess, linesOf, type Said } from "./line-process.ts";
import type { Program } from "./programs.ts";

export interface Stats {
  readonly connections: number;
  readonly sessions: number;
  readonly leases: number;
  readonly onces: number;
  readonly waits: number;
  readonly watches: number;
  readonly memory: { readonly rss: number; readonly heapUsed: number };
}

/** What pings took while something was done, in milliseconds, smallest first. */
export interface Pings {
  readonly brokerMs: readonly number[];
  readonly echoMs: readonly number[];
}

/** Longer than it takes the runtime to collect once there is little to do, which is after three seconds or more. */
const settleMsMax = 7000;
const pollMs = 20;

/** Milliseconds so far, on this machine, in which somebody stood ready and had no processor; 0 where the kernel does not say. */
export function pressureMs(): number {
  return Number(/^some .*total=(\d+)/m.exec(readText("/proc/pressure/cpu"))?.[1] ?? 0) / 1000;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

export class CrowdScene implements AsyncDisposable {
  readonly client: LineClient;
  readonly pipe: string;
  readonly #stack: AsyncDisposableStack;
  readonly #brokerPid: number;
  readonly #pinger: LineProcess;
  readonly #crowds: LineProcess;

  static async open(program: Program, flags: readonly string[]): Promise<CrowdScene> {
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(temporaryDirectory()).path;
    const broker = Bun.spawn([...program.argv, "start", ...flags], {
      env: { ...process.env, XDG_RUNTIME_DIR: directory, EPHEMERAL_PIPE: undefined },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    stack.defer(async () => {
      broker.kill("SIGTERM");
      await broker.exited;
    });
    const pipe = (await linesOf(broker.stdout).next()).value ?? "";
    const echoPipe = join(directory, "echo");
    const started = async (name: string, args: readonly string[]): Promise<LineProcess> => {
      const child = stack.use(lineProcess(name, args));
      await child.next();
      return child;
    };
    await started("echo-main.ts", [echoPipe]);
    const pinger = await started("pinger-main.ts", [pipe, echoPipe]);
    const crowds = await started("crowds-main.ts", [pipe]);
    const client = stack.use(await lineClient(pipe));
    return new CrowdScene({ stack: stack.move(), pipe, brokerPid: broker.pid, pinger, crowds, client });
  }

  private constructor(parts: {
    readonly stack: AsyncDisposableStack;
    readonly pipe: string;
    readonly brokerPid: number;
    readonly pinger: LineProcess;
    readonly crowds: LineProcess;
    readonly client: LineClient;
  }) {
    this.#stack = parts.stack;
    this.#brokerPid = parts.brokerPid;
    this.#pinger = parts.pinger;
    this.#crowds = parts.crowds;
    this.client = parts.client;
    this.pipe = parts.pipe;
  }

  /** Has the crowd do `what`, and says what it saw. */
  async crowd(what: string, count: number): Promise<Said> {
    const said = await this.#crowds.ask({ crowd: what, count });
    if (said === undefined) throw new Error(`the crowd has ended amid ${what}`);
    return said;
  }

  /** The pings since this was last asked. */
  async pings(): Promise<Pings> {
    // What the pinger says has this shape.
    const { brokerMs, echoMs } = (await this.#pinger.ask({})) as unknown as Pings;
    return { brokerMs: brokerMs.toSorted((a, b) => a - b), echoMs: echoMs.toSorted((a, b) => a - b) };
  }

  async stats(): Promise<Stats> {
    const { stats } = (await this.client.ask({ action: "stats" })) as unknown as { readonly stats: Stats };
    return stats;
  }

  /** Descriptors the broker has open. */
  get descriptors(): number {
    return readdirSync(`/proc/${this.#brokerPid}/fd`).length;
  }

  /** Asks for the stats until they are as wanted, or `settleMsMax` is over. */
  async settle(isWanted: (stats: Stats) => boolean): Promise<Stats> {
    const deadline = performance.now() + settleMsMax;
    for (;;) {
      const stats = await this.stats();
      if (isWanted(stats) || performance.now() > deadline) return stats;
      await Bun.sleep(pollMs);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
