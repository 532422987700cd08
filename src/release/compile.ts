/**
 * The program as one executable for a target, and the packages that went into it. The runtime of another target Bun fetches
 * itself, from the npm registry (`@oven/bun-…`, its own version), and keeps.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packagesIn } from "./bundles.ts";
import type { Target } from "./targets.ts";

/** As in `bun run build`: fast to start, deaf to .env and bunfig.toml. */
export const compileFlags: readonly string[] = [
  "--compile",
  "--bytecode",
  "--minify",
  "--splitting",
  "--format=esm",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
];

/** The executable's bytes, and the folders of the packages in it.
 *  @throws {Error} with what Bun says when it does not compile */
export async function compile(
  root: string,
  { bunTarget, executable }: Target,
): Promise<{ readonly bytes: Uint8Array; readonly packages: readonly string[] }> {
  const scratch = mkdtempSync(join(tmpdir(), "ephemeral-release-"));
  try {
    const outfile = join(scratch, executable);
    const metafile = join(scratch, "meta.json");
    const about = [`--target=${bunTarget}`, `--metafile=${metafile}`, "--outfile", outfile];
    const building = Bun.spawn([process.execPath, "build", ...compileFlags, "src/cli/main.ts", ...about], {
      cwd: root,
      stdout: "pipe",
      stderr: "pipe",
    });
    const [said, complaints] = await Promise.all([building.stdout.text(), building.stderr.text()]);
    if ((await building.exited) !== 0) throw new Error(`Cannot compile for ${bunTarget}: ${said}${complaints}`);
    const packages = packagesIn({ metafile: await Bun.file(metafile).json() }).map((folder) => join(root, folder));
    return { bytes: await Bun.file(outfile).bytes(), packages };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
