/**
 * The types of the npm package: what the compiler declares of the library's entries and all they mention. They stand there
 * once, as CommonJS, which ES modules may import; the other way round the compiler refuses.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";

const entries = ["client/broker-process", "client/client", "msgpack/client-codec", "local/local", "broker/embedded"];

export interface DeclarationOptions {
  /** The repository. */
  readonly root: string;
  readonly outdir: string;
}

/** Writes each file as `.d.cts`, and for each entry a `.d.ts` of one line beside it: types that stood there twice took 24 KB of
 *  the archive, and a class was another by `require`.
 *  @throws {Error} with what the compiler says */
export async function writeDeclarations({ root, outdir }: DeclarationOptions): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "ephemeral-types-"));
  try {
    await declare(root, scratch);
    for (const path of await reachable(scratch)) {
      const target = join(outdir, relative(scratch, path));
      await Bun.write(target.replace(/\.ts$/, ".cts"), shippable(await Bun.file(path).text()));
    }
    for (const entry of entries) {
      await Bun.write(join(outdir, `${entry}.d.ts`), `export * from "./${basename(entry)}.cjs";\n`);
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The compiler leaves specifiers as they stand in the source, and says nothing of what it took from a library that the
 *  reader's settings may leave out. */
function shippable(text: string): string {
  const reference = /\bSymbol\.(?:asyncD|d)ispose\b/.test(text) ? '/// <reference lib="esnext.disposable" />\n' : "";
  return reference + text.replace(/((?:from|import\()\s*"\.{1,2}\/[^"]+)\.ts"/g, '$1.cjs"');
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
