/**
 * The client as people on Node get it: one JavaScript file, bundled from the source, and scripts that import it.
 * Owns a private directory for the files.
 */
import { join } from "node:path";
import { temporaryDirectory } from "./broker.ts";

const root = join(import.meta.dir, "../..");

export interface ClientBundle extends Disposable {
  /** Path of the bundled client, an ES module. */
  readonly path: string;
  /** Writes a script that has `Client` and `EphemeralError` in scope and returns its path. */
  script(body: string): Promise<string>;
}

/** Bundles `src/client/client.ts` for Node. */
export async function bundleClient(options: { readonly minify?: boolean } = {}): Promise<ClientBundle> {
  const directory = temporaryDirectory();
  const built = await Bun.build({
    entrypoints: [join(root, "src/client/client.ts")],
    outdir: directory.path,
    naming: "client.mjs",
    target: "node",
    format: "esm",
    minify: options.minify ?? false,
  });
  if (!built.success) throw new AggregateError(built.logs, "the client does not bundle");
  const path = join(directory.path, "client.mjs");
  let scripts = 0;
  return {
    path,
    async script(body) {
      const script = join(directory.path, `script-${++scripts}.mjs`);
      await Bun.write(script, `import { Client, EphemeralError } from ${JSON.stringify(path)};\n${body}`);
      return script;
    },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

/** Runs a script to its end and returns all it said. Fails when it does not end by itself. */
export async function runScript(
  command: readonly string[],
  pipe: string,
): Promise<{ stdout: string; stderr: string; code: number }> {
  const env = { PATH: process.env.PATH ?? "", EPHEMERAL_PIPE: pipe };
  await using child = Bun.spawn([...command], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 15_000,
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const code = await child.exited;
  if (child.signalCode !== null) throw new Error(`${command.join(" ")} did not end by itself: ${stdout}${stderr}`);
  return { stdout, stderr, code };
}
