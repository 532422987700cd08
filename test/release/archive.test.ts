/**
 * Archives of a release, read back by the tools people unpack them with.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type ArchivedFile, tarGz, zip } from "../../src/release/archive.ts";
import { temporaryDirectory } from "../support/broker.ts";

const atMs = Date.UTC(2026, 10, 21, 22, 23, 24);
const files: readonly ArchivedFile[] = [
  {
    path: "folder/program",
    bytes: new Uint8Array(100_000).map((_, index) => (index * 7919) % 251),
    isExecutable: true,
  },
  { path: "folder/deep/text", bytes: Buffer.from("a line\n"), isExecutable: false },
  { path: "folder/empty", bytes: new Uint8Array(), isExecutable: false },
  { path: "folder/one-block", bytes: new Uint8Array(512).fill(65), isExecutable: false },
];

const tools = [
  { name: "tarGz()", file: "a.tar.gz", make: tarGz, unpack: ["tar", "--warning=all", "-xzf"] },
  { name: "zip()", file: "a.zip", make: zip, unpack: ["unzip", "-q"] },
];

describe.each(tools)("$name", ({ file, make, unpack }) => {
  const isThere = Bun.which(unpack[0] ?? "") !== null || process.env.EPHEMERAL_TEST_REQUIRE === "all";

  test.skipIf(!isThere)("unpacks to the same files, modes and times, without a complaint", async () => {
    using directory = temporaryDirectory();
    await Bun.write(join(directory.path, file), make(files, { atMs }));
    const child = Bun.spawn([...unpack, file], {
      cwd: directory.path,
      env: { PATH: process.env.PATH ?? "", TZ: "UTC" },
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = (await child.stdout.text()) + (await child.stderr.text());
    expect({ status: await child.exited, said }).toEqual({ status: 0, said: "" });
    for (const { path, bytes, isExecutable } of files) {
      const unpacked = join(directory.path, path);
      expect(await Bun.file(unpacked).bytes()).toEqual(Uint8Array.from(bytes));
      const { mode, mtimeMs } = statSync(unpacked);
      expect({ path, mode: mode & 0o777, mtimeMs }).toEqual({
        path,
        mode: isExecutable ? 0o755 : 0o644,
        mtimeMs: atMs,
      });
    }
    expect(readdirSync(directory.path).sort()).toEqual([file, "folder"]);
  });

  test.skipIf(!isThere)("is refused by the tool when a byte of it is another", async () => {
    using directory = temporaryDirectory();
    const bytes = make(files, { atMs });
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 0xff;
    await Bun.write(join(directory.path, file), bytes);
    const child = Bun.spawn([...unpack, file], { cwd: directory.path, stdout: "ignore", stderr: "ignore" });
    expect(await child.exited).not.toBe(0);
  });
});
