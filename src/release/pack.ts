/**
 * `bun run pack`: the npm package as a tarball, made from the source and nothing else. Orders the steps; each part is a
 * neighbour's. Nothing runs when the package is installed, and it depends on no other.
 */
import { chmodSync, cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import about from "../../package.json" with { type: "json" };
import { writeBundles } from "./bundles.ts";
import { writeDeclarations } from "./declarations.ts";
import { packageManifest } from "./manifest.ts";
import { noticesOf } from "./notices.ts";

const root = join(import.meta.dir, "../..");

if (import.meta.main) console.log(await pack(join(root, "dist")));

/** Packs into `folder`, leaving the files of the package in `folder/package`, and returns the tarball's path.
 *  @throws {Error} when something does not build */
export async function pack(folder: string): Promise<string> {
  const staged = join(folder, "package");
  const dist = join(staged, "dist");
  rmSync(staged, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  const [packages] = await Promise.all([
    writeBundles({ source: join(root, "src"), outdir: dist }),
    writeDeclarations({ root, outdir: join(dist, "types") }),
  ]);
  chmodSync(join(dist, "cli/node.js"), 0o755);
  await Bun.write(join(dist, "NOTICES.txt"), await noticesOf(packages, "the bundles of dist/"));
  await Bun.write(join(staged, "package.json"), `${JSON.stringify(packageManifest(about), undefined, 2)}\n`);
  for (const name of ["README.md", "LICENSE"]) cpSync(join(root, name), join(staged, name));
  const tarball = join(folder, `${about.name}-${about.version}.tgz`);
  rmSync(tarball, { force: true });
  const packing = Bun.spawn([process.execPath, "pm", "pack", "--quiet", "--ignore-scripts", "--destination", folder], {
    cwd: staged,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [said, complaints] = await Promise.all([packing.stdout.text(), packing.stderr.text()]);
  if ((await packing.exited) !== 0) throw new Error(`Cannot pack: ${said}${complaints}`);
  await Bun.write(tarball, smallest(await Bun.file(tarball).bytes()));
  return tarball;
}

/** The same archive, gzipped as hard as gzip can be: 3 % less than the packer leaves. */
function smallest(archive: Uint8Array<ArrayBuffer>): Uint8Array {
  return Bun.gzipSync(Bun.gunzipSync(archive), { library: "libdeflate", level: 12 });
}
