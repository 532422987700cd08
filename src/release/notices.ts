/**
 * The licences of the packages that are bundled into ours, as their authors ask for. Knows packages by their folders only.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** One text with the name, version and licence of every package, in the order of their names.
 *  `place` says where parts of them are.
 *  @throws {Error} for a package without a licence text: it must not be shipped */
export async function noticesOf(folders: Iterable<string>, place: string): Promise<string> {
  const notices = await Promise.all([...folders].sort().map(noticeOf));
  return `Parts of these packages are in ${place}.\n\n${notices.join("\n\n")}`;
}

async function noticeOf(folder: string): Promise<string> {
  const { name, version, license } = await Bun.file(join(folder, "package.json")).json();
  const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
  if (file === undefined) throw new Error(`Cannot pack: ${name} ${version} has no licence text`);
  const text = await Bun.file(join(folder, file)).text();
  return `=== ${name} ${version} (${license})\n\n${text.trim()}\n`;
}
