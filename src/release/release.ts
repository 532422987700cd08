/**
 * `bun run release`: an archive for each target with the executable, what must be with it and the completions, the checksums
 * of all, and the script that installs by them. Orders the steps; each part is a neighbour's.
 */
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import about from "../../package.json" with { type: "json" };
import { type ArchivedFile, tarGz, zip } from "./archive.ts";
import { compile } from "./compile.ts";
import { noticesOf } from "./notices.ts";
import { releaseTargets, type Target } from "./targets.ts";

const root = join(import.meta.dir, "../..");

if (import.meta.main) {
  const folder = join(root, "dist/release");
  for (const name of await release({ folder, targets: releaseTargets })) console.log(join(folder, name));
}

export interface ReleaseOptions {
  /** Emptied first. */
  readonly folder: string;
  readonly targets: readonly Target[];
}

/** Makes the release and returns the names of its files. One target after the other: each takes 300 MB of memory.
 *  @throws {Error} when something does not build */
export async function release({ folder, targets }: ReleaseOptions): Promise<readonly string[]> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const common = await commonFiles();
  const sums: string[] = [];
  const names: string[] = [];
  for (const target of targets) {
    const name = `ephemeral-${target.name}.${target.archive}`;
    const bytes = await archiveFor(target, common);
    await Bun.write(join(folder, name), bytes);
    sums.push(`${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}  ${name}\n`);
    names.push(name);
  }
  await Bun.write(join(folder, "SHA256SUMS"), sums.join(""));
  cpSync(join(import.meta.dir, "install.sh"), join(folder, "install.sh"));
  return [...names, "SHA256SUMS", "install.sh"];
}

type PlainFile = readonly [path: string, text: string];

async function archiveFor(target: Target, common: readonly PlainFile[]): Promise<Uint8Array> {
  const { bytes, packages } = await compile(root, target);
  const place = `the executable, whose runtime is Bun ${Bun.version} (its licences: https://bun.com/docs/project/licensing)`;
  const notices = await noticesOf(new Set(packages), place);
  const folder = `ephemeral-${target.name}`;
  const texts = [...common, ["NOTICES.txt", notices] as const].map(
    ([path, text]): ArchivedFile => ({ path: `${folder}/${path}`, bytes: Buffer.from(text), isExecutable: false }),
  );
  const files = [{ path: `${folder}/${target.executable}`, bytes, isExecutable: true }, ...texts];
  return target.archive === "zip" ? zip(files, { atMs: Date.now() }) : tarGz(files, { atMs: Date.now() });
}

async function commonFiles(): Promise<readonly PlainFile[]> {
  const texts = ["LICENSE", "README.md"].map(
    async (name): Promise<PlainFile> => [name, await Bun.file(join(root, name)).text()],
  );
  const scripts = Object.entries(completionFiles).map(
    async ([shell, path]): Promise<PlainFile> => [path, await completionsFor(shell)],
  );
  return [["VERSION", `${about.version}\n`], ...(await Promise.all([...texts, ...scripts]))];
}

/** Under the names by which the shells look for them. */
const completionFiles = {
  bash: "completions/ephemeral.bash",
  zsh: "completions/_ephemeral",
  fish: "completions/ephemeral.fish",
};

async function completionsFor(shell: string): Promise<string> {
  const asked = Bun.spawn([process.execPath, join(root, "src/cli/main.ts"), "completions", shell], { stdout: "pipe" });
  const script = await asked.stdout.text();
  if ((await asked.exited) !== 0) throw new Error(`Cannot make completions for ${shell}`);
  return script;
}
