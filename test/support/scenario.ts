/**
 * One scenario of several processes: a server, which is the program as users run it, and client programs, which know each other
 * by files in a private directory. Starts them, ends them by their ids, and gathers what they leave. Knows no scenario.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "./broker.ts";
import { processesOf, readProc, until } from "./processes.ts";
import type { Program } from "./programs.ts";

/** The seed's own limits. */
export const limitsMs = { serverUp: 5_000, connected: 2_000, tenConnected: 1_000, whole: 30_000, cleanUp: 5_000 };

export interface ClientProcess {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

export interface ScenarioOptions {
  readonly program: Program;
  /** Folder of the client programs, ready to run. */
  readonly programs: string;
}

const serverName = "scenario";
const secret = "known to all of the scenario";

export class Scenario implements AsyncDisposable {
  readonly #options: ScenarioOptions;
  readonly #directory = temporaryDirectory();
  readonly #clients: ClientProcess[] = [];
  readonly #startedMs = performance.now();
  #server: Bun.Subprocess | undefined;

  constructor(options: ScenarioOptions) {
    this.#options = options;
  }

  get directory(): string {
    return this.#directory.path;
  }

  /** The server's process. */
  get pid(): number {
    return this.#server?.pid ?? 0;
  }

  get port(): number {
    return Number(readFileSync(join(this.directory, "port"), "utf8"));
  }

  /** Starts the server; resolves once its port stands in its file. */
  async startServer(args: readonly string[] = ["--port", "0"]): Promise<void> {
    const port = join(this.directory, "port");
    rmSync(port, { force: true });
    const flags = ["--name", serverName, ...args, "--port-file", port];
    this.#server = this.#spawn([...this.#options.program.argv, "start", ...flags]);
    await until(() => existsSync(port), limitsMs.serverUp);
  }

  async endServer(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#server?.kill(signal);
    await this.#server?.exited;
  }

  start(program: string, name: string, ...args: readonly string[]): ClientProcess {
    const file = join(this.#options.programs, `${program}.js`);
    const child = this.#spawn([process.execPath, file, this.directory, name, ...args]);
    const client = { name, pid: child.pid, exited: child.exited, kill: (signal: NodeJS.Signals) => child.kill(signal) };
    this.#clients.push(client);
    return client;
  }

  /** Runs the program with `args` beside the server, to its end, and returns what it printed. */
  async command(...args: readonly string[]): Promise<string> {
    const child = this.#spawn([...this.#options.program.argv, ...args, "--name", serverName]);
    const text = await new Response(child.stdout).text();
    if ((await child.exited) !== 0) throw new Error(`${args.join(" ")}: status ${child.exitCode}`);
    return text;
  }

  /** Says something to the clients that wait for it. */
  say(file: string): void {
    writeFileSync(join(this.directory, file), "");
  }

  async wrote(file: string, withinMs = limitsMs.whole): Promise<string> {
    const path = join(this.directory, file);
    await until(() => existsSync(path), withinMs);
    return readFileSync(path, "utf8");
  }

  /** Waits for each client to end well, and reads its result. */
  async results<Result>(clients: readonly ClientProcess[] = this.#clients): Promise<readonly Result[]> {
    for (const { name, exited } of clients) {
      const status = await exited;
      if (status !== 0) throw new Error(`${name} ended with ${status}`);
    }
    // Each program knows what it writes.
    return Promise.all(clients.map(async ({ name }) => JSON.parse(await this.wrote(`${name}.json`)) as Result));
  }

  /** Resident memory of the server now, in MiB. */
  serverMiB(): number {
    return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readProc(this.pid, "status"))?.[1]) / 1024);
  }

  /** Ends the server as its user would, and checks that nothing of the scenario is left, and that it did not last too long. */
  async end(): Promise<{ readonly wholeMs: number }> {
    await this.endServer();
    await until(() => processesOf(this.directory).length === 0, limitsMs.cleanUp);
    if (existsSync(join(this.directory, "port"))) throw new Error("the file of the port is left");
    const wholeMs = Math.round(performance.now() - this.#startedMs);
    if (wholeMs > limitsMs.whole) throw new Error(`the scenario took ${wholeMs} ms`);
    return { wholeMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { kill } of this.#clients) kill("SIGKILL");
    await this.endServer("SIGKILL");
    for (const pid of processesOf(this.directory)) process.kill(pid, "SIGKILL");
    this.#directory[Symbol.dispose]();
  }

  #spawn(argv: readonly string[]): Bun.Subprocess<"ignore", "pipe", "inherit"> {
    return Bun.spawn([...argv], {
      cwd: this.directory,
      env: {
        ...process.env,
        XDG_RUNTIME_DIR: this.directory,
        EPHEMERAL_SECRET: secret,
        EPHEMERAL_PIPE: undefined,
        EPHEMERAL_URL: undefined,
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
  }
}
