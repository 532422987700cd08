/**
 * The types of the npm package: what the compiler declares of the library's entries and all they mention, once for ES modules
 * and once for `require`, which take a file by the kind of the package around it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";

const entries = ["client/broker-process", "client/client", "msgpack/client-codec", "local/local", "broker/embedded"];

export interface DeclarationOptions {
  /** The repository. */
  readonly root: string;
  readonly outdir: string;
}

/** Writes each file as `.d.ts` and, beside it, as `.d.cts`: an archive hardly grows by what it has just held.
 *  @throws {Error} with what the compiler says */
export async function writeDeclarations({ root, outdir }: DeclarationOptions): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "ephemeral-types-"));
  try {
    await declare(root, scratch);
    for (const path of await reachable(scratch)) {
      const text = await Bun.file(path).text();
      const target = join(outdir, relative(scratch, path));
      await Bun.write(target, shippable(text, "js"));
      await Bun.write(target.replace(/\.ts$/, ".cts"), shippable(text, "cjs"));
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The compiler leaves specifiers as they stand in the source, and says nothing of what it took from a library that the
 *  reader's settings may leave out. */
function shippable(text: string, kind: "js" | "cjs"): string {
  const reference = /\bSymbol\.(?:asyncD|d)ispose\b/.test(text) ? '/// <reference lib="esnext.disposable" />\n' : "";
  return reference + text.replace(/((?:from|import\()\s*"\.{1,2}\/[^"]+)\.ts"/g, `$1.${kind}"`);
}

async function declare(root: string, outDir: string): Promise<void> {
  const settings = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      // Whether the types are right is another check's question.
      noCheck: true,
      noEmit: false,
      declaration: true,
      stripInternal: true,
      emitDeclarationOnly: true,
      rootDir: join(root, "src"),
      outDir,
    },
    include: [],
    files: entries.map((entry) => join(root, `src/${entry}.ts`)),
  };
  // Beside the repository's own settings: packages of types are looked for from there.
  const project = join(outDir, "tsconfig.json");
  await Bun.write(
    project,
    JSON.stringify({
      ...settings,
      compilerOptions: { ...settings.compilerOptions, typeRoots: [join(root, "node_modules")] },
    }),
  );
  const compiler = Bun.spawn([join(root, "node_modules/.bin/tsc"), "-p", project], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const complaints = await compiler.stdout.text();
  if ((await compiler.exited) !== 0) throw new Error(`Cannot declare types: ${complaints}`);
}

/** The entries' declarations and those they mention, directly or not. */
async function reachable(folder: string): Promise<ReadonlySet<string>> {
  const found = new Set(entries.map((entry) => join(folder, `${entry}.d.ts`)));
  for (const path of found) {
    for (const [, name = ""] of (await Bun.file(path).text()).matchAll(/(?:from|import\()\s*"(\.{1,2}\/[^"]+)\.ts"/g)) {
      found.add(join(dirname(path), `${name}.d.ts`));
    }
  }
  return found;
}
