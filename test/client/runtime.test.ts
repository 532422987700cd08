/**
 * What the program runs on: every way in its order, each with the ones before it taken away.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { findRuntime, type RuntimeSources } from "../../src/client/launcher/runtime.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import { temporaryDirectory } from "../support/broker.ts";

const directory = temporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
const at = (...names: readonly string[]): string => join(directory.path, ...names);

const program = import.meta.path;
const runsBun = ["--no-env-file", "--config=/dev/null", program];
const platform = `bun-${process.platform}-${process.arch === "arm64" ? "aarch64" : process.arch}`;

/** A machine with nothing on it. */
const bare: RuntimeSources = {
  executable: undefined,
  searchPath: undefined,
  bunVersion: undefined,
  execPath: "/usr/bin/node",
  program,
  projects: [at("empty/package.json")],
};

async function write(
  path: string,
  { text, mode = 0o644 }: { text: string | Uint8Array; mode?: number },
): Promise<string> {
  await Bun.write(path, text);
  chmodSync(path, mode);
  return path;
}

const stub = { text: '#!/bin/sh\necho "install scripts are off" >&2\nexit 1\n', mode: 0o755 };
const large = { text: new Uint8Array(2 * 1024 * 1024), mode: 0o755 };
const bunOfVersion = (version: string) => ({ text: `#!/bin/sh\necho ${version}\n`, mode: 0o755 });
const machineCode = { text: "\x7fELF…", mode: 0o755 };

/** A project with the `bun` package: its platform's package, its command, or both. */
async function project(name: string, files: Record<string, Parameters<typeof write>[1]>): Promise<string> {
  for (const [path, content] of Object.entries(files)) await write(at(name, "node_modules", path), content);
  return at(name, "package.json");
}

let withPlatform: string;
let withBoth: string;
let withCommand: string;
let withStub: string;
let withOld: string;
beforeAll(async () => {
  mkdirSync(at("empty"));
  const about = (version: string) => ({ text: JSON.stringify({ name: "bun", version }) });
  withPlatform = await project("platform", {
    "bun/package.json": about("1.4.5"),
    "bun/bin/bun.exe": stub,
    [`@oven/${platform}/package.json`]: { text: "{}" },
    [`@oven/${platform}/bin/bun`]: large,
  });
  // As Yarn 1 leaves it: the install script has moved the right one away.
  withBoth = await project("both", {
    "bun/package.json": about("1.4.5"),
    "bun/bin/bun.exe": large,
    [`@oven/${platform}/package.json`]: { text: "{}" },
    [`@oven/${platform}-musl/package.json`]: { text: "{}" },
    [`@oven/${platform}-musl/bin/bun`]: large,
  });
  withCommand = await project("command", { "bun/package.json": about("1.5.0"), "bun/bin/bun.exe": large });
  withStub = await project("stub", { "bun/package.json": about("1.4.5"), "bun/bin/bun.exe": stub });
  withOld = await project("old", { "bun/package.json": about("1.4.4"), "bun/bin/bun.exe": large });
});

const find = (sources: Partial<RuntimeSources>): readonly string[] => findRuntime({ ...bare, ...sources });
const refusalOf = (sources: Partial<RuntimeSources>): EphemeralError => {
  try {
    find(sources);
  } catch (error) {
    if (error instanceof EphemeralError) return error;
    throw error;
  }
  throw new Error("there should be no runtime");
};

describe("findRuntime()", () => {
  test("takes EPHEMERAL_BIN before all else", async () => {
    const executable = await write(at("bin-variable/ephemeral"), machineCode);
    expect(find({ executable, bunVersion: "1.4.5", projects: [withPlatform] })).toEqual([executable]);
  });

  test.each([
    ["nothing", "", "is empty"],
    ["a file that is not there", "/nowhere/ephemeral", "is no file"],
    ["a folder", "/tmp", "is no file"],
    ["a script, which could be the one that asks", `${import.meta.dir}/../../.ci/run`, "is a script"],
  ])("refuses an EPHEMERAL_BIN that is %s, whatever else there is", (_what, executable, reason) => {
    const refusal = refusalOf({ executable, bunVersion: "1.4.5" });
    expect(refusal.code).toBe("bad_command");
    expect(refusal.message).toContain(`${reason}`);
  });

  test.each(["1.4.5", "1.4.10", "1.5.0", "2.0.0"])("takes the Bun %s it runs on", (bunVersion) => {
    expect(find({ bunVersion, execPath: "/opt/bun", projects: [withPlatform] })).toEqual(["/opt/bun", ...runsBun]);
  });

  test.each(["1.4.4", "1.3.99", "0.9.0"])("does not take the Bun %s it runs on", (bunVersion) => {
    expect(refusalOf({ bunVersion }).code).toBe("unavailable");
  });

  test("takes the project's Bun from the package of its platform where its command is a stub", () => {
    expect(find({ projects: [withPlatform] })).toEqual([
      at("platform/node_modules/@oven", platform, "bin/bun"),
      ...runsBun,
    ]);
  });

  test("takes the project's Bun from its command where that is no stub", () => {
    expect(find({ projects: [at("empty/package.json"), withCommand] })).toEqual([
      at("command/node_modules/bun/bin/bun.exe"),
      ...runsBun,
    ]);
  });

  test("takes the project's Bun from its command before another C library's", () => {
    expect(find({ projects: [withBoth] })[0]).toBe(at("both/node_modules/bun/bin/bun.exe"));
  });

  test("passes over a project's stub and a project's old Bun", () => {
    expect(refusalOf({ projects: [withStub, withOld] }).code).toBe("unavailable");
  });

  test("takes the first Bun on PATH that is new enough and answers", async () => {
    await write(at("path-stub/bun"), stub);
    await write(at("path-old/bun"), bunOfVersion("1.4.4"));
    const bun = await write(at("path-new/bun"), bunOfVersion("1.4.5"));
    mkdirSync(at("path-folder/bun"), { recursive: true });
    const searchPath = ["", "path-stub", "path-old", "path-folder", "nowhere", "path-new"]
      .map((name) => (name === "" ? "" : at(name)))
      .join(delimiter);
    expect(find({ searchPath })).toEqual([bun, ...runsBun]);
  });

  test("takes the executable on PATH last, and never a script of that name, such as npm's own entry", async () => {
    await write(at("path-entry/ephemeral"), { text: "#!/usr/bin/env node\n", mode: 0o755 });
    const executable = await write(at("path-executable/ephemeral"), machineCode);
    symlinkSync(executable, at("path-entry/link"));
    const searchPath = [at("path-entry"), at("path-executable")].join(delimiter);
    expect(find({ searchPath })).toEqual([executable]);
    expect(refusalOf({ searchPath: at("path-entry") }).code).toBe("unavailable");
    // Bundled into somebody's own executable, our JavaScript is no file any more.
    expect(find({ searchPath, bunVersion: "1.4.5", program: "/$bunfs/root/main.js" })).toEqual([executable]);
  });

  test("without any of them says what would do", () => {
    expect(refusalOf({}).message).toBe(
      "Cannot run ephemeral: it needs Bun 1.4.5 or newer, or its own executable, and found neither. Add Bun to the project (npm install --save-dev bun), or put bun or the executable ephemeral on PATH, or name the executable in EPHEMERAL_BIN",
    );
  });
});
