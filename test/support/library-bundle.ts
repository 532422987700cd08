/**
 * The library and the command line as the npm package has them, bundled from the source into a private directory, and scripts
 * that use them on Node or Bun.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeBundles } from "../../src/release/bundles.ts";
import { temporaryDirectory } from "./broker.ts";

const root = join(import.meta.dir, "../..");

export interface LibraryBundle extends Disposable {
  /** Where the bundles are; empty of all else. */
  readonly folder: string;
  /** Where brokers make their directories, by XDG_RUNTIME_DIR. */
  readonly runtimeDirectory: string;
  /** Starts a script that has `Broker`, `Client`, `EphemeralError` and `say` (a value, as a line of JSON) in scope. */
  run(runtime: Runtime, body: string, options?: ScriptOptions): Promise<RunningScript>;
}

export type Runtime = "node" | "bun";

export interface ScriptOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** The repository's by default, in which there is a `bun` package. */
  readonly directory?: string;
  /** What a line it says is; JSON unless told. */
  readonly read?: (line: string) => unknown;
  /** How it is run; by its runtime alone unless told. */
  readonly command?: (runtime: string, script: string) => readonly string[];
}

export interface RunningScript extends AsyncDisposable {
  readonly pid: number;
  /** What it says next. Fails when it ends before, with its stderr. */
  next(): Promise<unknown>;
  /** All it still says, and how it ended. Fails when it does not end by itself within 15 s. */
  end(): Promise<{ readonly said: readonly unknown[]; readonly stderr: string; readonly status: number }>;
  kill(signal: NodeJS.Signals): void;
}

export async function bundleLibrary(): Promise<LibraryBundle> {
  const directory = temporaryDirectory();
  const folder = join(directory.path, "bundles");
  const runtimeDirectory = join(directory.path, "run");
  mkdirSync(runtimeDirectory, { mode: 0o700 });
  await writeBundles({ source: join(root, "src"), outdir: folder });
  let scripts = 0;
  return {
    folder,
    runtimeDirectory,
    async run(runtime, body, options = {}) {
      const script = join(directory.path, `script-${++scripts}.mjs`);
      const library = JSON.stringify(join(folder, "client/broker-process.js"));
      const head = `import { Broker, Client, EphemeralError } from ${library};
        const say = (value) => process.stdout.write(JSON.stringify(value ?? null) + "\\n");\n`;
      await Bun.write(script, head + body);
      const file = runtime === "bun" ? process.execPath : (Bun.which("node") ?? "node");
      const { command = (file, script) => [file, script] } = options;
      return startScript(command(file, script), { XDG_RUNTIME_DIR: runtimeDirectory, ...options });
    },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

const endsWithinMs = 15_000;

function startScript(
  command: readonly string[],
  { XDG_RUNTIME_DIR, environment, directory, read = JSON.parse }: ScriptOptions & { readonly XDG_RUNTIME_DIR: string },
): RunningScript {
  const child = Bun.spawn([...command], {
    cwd: directory ?? root,
    env: { PATH: process.env.PATH ?? "", XDG_RUNTIME_DIR, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const stderr = child.stderr.text();
  const lines = linesOf(child.stdout);
  return {
    pid: child.pid,
    async next() {
      const { done, value } = await lines.next();
      if (done) throw new Error(`the script said no more and ended: ${await stderr}`);
      return read(value);
    },
    async end() {
      const timer = setTimeout(() => child.kill("SIGKILL"), endsWithinMs);
      const said: unknown[] = [];
      for await (const line of lines) said.push(read(line));
      const status = await child.exited;
      clearTimeout(timer);
      if (child.signalCode !== null) throw new Error(`the script did not end by itself: ${await stderr}`);
      return { said, stderr: await stderr, status };
    },
    kill: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
}
