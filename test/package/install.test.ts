/**
 * The tarball installed by npm, pnpm, Yarn and Bun, and run as each runs commands, with and without Node and Bun on PATH; the
 * client on every runtime it promises. Needs the registry: .ci/run demands these, elsewhere EPHEMERAL_TEST_INSTALL=1 asks for
 * them.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { nodeEntryContract } from "../cli/node-entry-contract.ts";
import { temporaryDirectory } from "../support/broker.ts";
import {
  mustRun,
  type PackedPackage,
  packedPackage,
  pathOf,
  reasonNotToInstall,
  root,
  run,
} from "../support/package.ts";
import { until } from "../support/processes.ts";

/** What a package manager may take; npm gives up on a download that hangs long before, and tries again. */
const registryMsMax = 240_000;
setDefaultTimeout(60_000);

const reason = await reasonNotToInstall();
const isSkipped = reason !== undefined;
const because = isSkipped ? ` (not run: ${reason})` : "";

const bunVersion = "1.4.5";
const tools = { pnpm: "12.21.0", yarn: "1.22.22", "@yarnpkg/cli-dist": "4.18.1", deno: "2.9.6" };
/** As npm's `node` package offers them, less its install script: the package for this platform. */
const nodes = { node22: "22", newest: "latest" } as const;

let packed: PackedPackage;
let toolbox: string;
/** Folders for PATH: Node alone, Bun alone, neither. */
let onlyNode: string;
let onlyBun: string;
let neither: string;

if (!isSkipped) {
  beforeAll(async () => {
    packed = await packedPackage();
    toolbox = join(packed.directory, "toolbox");
    mkdirSync(toolbox);
    onlyNode = pathOf(join(packed.directory, "only-node"), ["node", "npm", "npx", "sh", "env"]);
    onlyBun = pathOf(join(packed.directory, "only-bun"), [
      join(root, "node_modules/.bin/bun"),
      join(root, "node_modules/.bin/bunx"),
      "sh",
      "env",
    ]);
    neither = pathOf(join(packed.directory, "neither"), ["sh", "env"]);
    await npmInstall(
      toolbox,
      Object.entries(tools).map(([name, version]) => `${name}@${version}`),
    );
    const platform = `node-${process.platform}-${process.arch}`;
    for (const [name, version] of Object.entries(nodes)) {
      mkdirSync(join(toolbox, name));
      await npmInstall(join(toolbox, name), [`${platform}@${version}`]);
    }
  }, registryMsMax);
  afterAll(() => packed[Symbol.dispose]());
}

async function npmInstall(directory: string, packages: readonly string[]): Promise<void> {
  await Bun.write(join(directory, "package.json"), '{ "private": true }');
  const flags = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--fetch-timeout=30000"];
  await mustRun(["npm", "install", ...flags, ...packages], { directory, withinMs: registryMsMax });
}

/** A project that has the tarball and, unless told, the `bun` package in its package.json. */
async function project(name: string, { withBun = true } = {}): Promise<string> {
  const directory = join(packed.directory, name);
  mkdirSync(directory);
  const bun = withBun ? { devDependencies: { bun: bunVersion } } : {};
  const manifest = { private: true, dependencies: { ephemerald: `file:${packed.tarball}` }, ...bun };
  await Bun.write(join(directory, "package.json"), JSON.stringify(manifest));
  cpSync(join(import.meta.dir, "every-command.mjs"), join(directory, "every-command.mjs"));
  await Bun.write(join(directory, "fails.mjs"), `await import("./every-command.mjs"); process.exitCode = 7;\n`);
  return directory;
}

const inToolbox = (path: string): string => join(toolbox, "node_modules", path);
/** Its executable: the command of the package needs an install script. */
const pnpm = (): string => inToolbox(`@pnpm/exe.${process.platform}-${process.arch}/pnpm`);
const bunProgram = (name: string): string => join(root, "node_modules/.bin", name);

const everything = {
  set: "number",
  get: ["é", true, [1, 2]],
  list: ["key"],
  lease: 0,
  release: true,
  once: ["token", "token"],
  waited: "there",
  del: true,
  missing: [true, "not_found"],
  big: 200_000,
  ping: true,
};

interface Manager {
  readonly name: string;
  readonly install: () => readonly string[];
  /** How this one runs a command of the project. */
  readonly run: () => readonly string[];
  /** How it runs Node, where that knows of the packages. */
  readonly node?: readonly string[];
  /** Whether its `--` stays its own. */
  readonly takesDashes?: boolean;
}

const managers: readonly Manager[] = [
  { name: "npm", install: () => ["npm", "install", "--no-audit", "--no-fund"], run: () => ["npx", "ephemeral"] },
  {
    name: "pnpm",
    // Without leave to build it ends with a failure, everything being in place.
    install: () => ["sh", "-c", '"$1" install; test -e node_modules/ephemerald', "sh", pnpm()],
    run: () => [pnpm(), "exec", "ephemeral"],
  },
  {
    name: "yarn 1",
    install: () => ["node", inToolbox("yarn/bin/yarn.js"), "install", "--silent", "--non-interactive"],
    run: () => ["node", inToolbox("yarn/bin/yarn.js"), "run", "-s", "ephemeral"],
    takesDashes: true,
  },
  {
    name: "yarn 4 with Plug'n'Play",
    install: () => ["node", inToolbox("@yarnpkg/cli-dist/bin/yarn.js"), "install"],
    run: () => ["node", inToolbox("@yarnpkg/cli-dist/bin/yarn.js"), "ephemeral"],
  },
  { name: "bun", install: () => [bunProgram("bun"), "install"], run: () => [bunProgram("bunx"), "ephemeral"] },
  {
    name: "bun, as --bun",
    install: () => [bunProgram("bun"), "install"],
    run: () => [bunProgram("bunx"), "--bun", "ephemeral"],
  },
];

describe.skipIf(isSkipped)(`Installed by${because}`, () => {
  test.each(managers)(
    "$name, it runs a command, gives its status back and serves its client",
    async (manager) => {
      const directory = await project(manager.name.replaceAll(/\W+/g, "-"));
      if (manager.name.startsWith("yarn 4")) await Bun.write(join(directory, "yarn.lock"), "");
      await mustRun(manager.install(), { directory, withinMs: registryMsMax });
      const command = ["start", ...(manager.takesDashes ? [] : ["--"]), "node", "fails.mjs"];
      const { status, stdout, stderr } = await run([...manager.run(), ...command], { directory });
      expect({ status, said: stdout.trim().split("\n").at(-1), stderr }).toMatchObject({
        status: 7,
        said: JSON.stringify(everything),
      });
    },
    registryMsMax,
  );
});

describe.skipIf(isSkipped)(`With npm's files and on PATH${because}`, () => {
  let withBun: string;
  let withoutBun: string;
  beforeAll(async () => {
    if (isSkipped) return;
    withBun = await project("path-with-bun");
    withoutBun = await project("path-without-bun", { withBun: false });
    for (const directory of [withBun, withoutBun]) {
      await mustRun(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], {
        directory,
        withinMs: registryMsMax,
      });
    }
  }, registryMsMax);

  const start = ["start", "--", "node", "fails.mjs"];
  const worked = { status: 7, stdout: expect.stringContaining(JSON.stringify(everything)) };

  test("Node alone: the project's Bun serves, install scripts or not", async () => {
    expect(
      await run([join(onlyNode, "npx"), "ephemeral", ...start], { directory: withBun, path: onlyNode }),
    ).toMatchObject(worked);
  });

  test("Node alone and no bun package: it says what to do, and the status is 69", async () => {
    const { status, stderr } = await run([join(onlyNode, "npx"), "ephemeral", ...start], {
      directory: withoutBun,
      path: onlyNode,
    });
    expect({ status, stderr }).toEqual({ status: 69, stderr: expect.stringContaining("npm install --save-dev bun") });
  });

  test("Node and Bun, no bun package: the one on PATH serves", async () => {
    const path = `${onlyBun}:${onlyNode}`;
    expect(await run(["npx", "ephemeral", ...start], { directory: withoutBun, path })).toMatchObject(worked);
  });

  test("Bun alone: bunx and bunx --bun serve scripts that Bun runs", async () => {
    for (const flags of [[], ["--bun"]]) {
      const command = ["bunx", ...flags, "ephemeral", "start", "--", "bun", "fails.mjs"];
      expect(await run(command, { directory: withoutBun, path: onlyBun })).toMatchObject(worked);
    }
  });

  test("Node and the executable alone, no Bun: the executable serves, by PATH or by EPHEMERAL_BIN", async () => {
    const binary = process.env.EPHEMERAL_TEST_BINARY ?? join(root, "dist/ephemeral");
    if (!existsSync(binary)) throw new Error(`there is no ${binary}: bun run build`);
    const folder = pathOf(join(packed.directory, "only-executable"), [binary]);
    const path = `${onlyNode}:${folder}`;
    expect(await run(["npx", "ephemeral", ...start], { directory: withoutBun, path })).toMatchObject(worked);
    const environment = { EPHEMERAL_BIN: realpathSync(binary) };
    expect(
      await run(["npx", "ephemeral", ...start], { directory: withoutBun, path: onlyNode, environment }),
    ).toMatchObject(worked);
  });

  test("neither: Node's own absence is all there is to see", async () => {
    const entry = join(withBun, "node_modules/.bin/ephemeral");
    expect(await run([entry, "version"], { directory: withBun, path: neither })).toMatchObject({
      status: 127,
      stderr: expect.stringContaining("node"),
    });
  });

  test("a signal that ends the command ends npx by the same status", async () => {
    const { status } = await run(["npx", "ephemeral", "start", "--", "sh", "-c", "kill -TERM $$"], {
      directory: withBun,
    });
    expect(status).toBe(143);
  });

  const runtimes: readonly {
    readonly name: string;
    readonly command: () => readonly string[];
    readonly version: RegExp;
  }[] = [
    { name: "Node 20", command: () => ["node"], version: /^v20\./ },
    { name: "Node 22", command: () => [nodeOf("node22")], version: /^v22\./ },
    { name: "the newest Node", command: () => [nodeOf("newest")], version: /^v2[6-9]\./ },
    { name: "Bun", command: () => [bunProgram("bun")], version: /^1\.4\.5/ },
    {
      name: "Deno",
      command: () => [inToolbox(`@deno/${process.platform}-${process.arch}-glibc/deno`)],
      version: /^deno 2/,
    },
  ];

  test.each(runtimes)("the client does all it can on $name", async ({ command, version }) => {
    const [file = ""] = command();
    const told = await mustRun([file, "--version"], { directory: withBun });
    expect(told.stdout).toMatch(version);
    const script = version.source.includes("deno")
      ? ["run", "-A", "--quiet", "every-command.mjs"]
      : ["every-command.mjs"];
    const { status, stdout, stderr } = await run(["npx", "ephemeral", "start", "--", file, ...script], {
      directory: withBun,
    });
    expect({ status, stdout, stderr: stderr.replaceAll(/^npm warn.*\n/gm, "") }).toEqual({
      status: 0,
      stdout: `${JSON.stringify(everything)}\n`,
      stderr: "",
    });
  });

  test.each(runtimes)("a broker is launched on $name, and ends with its creator", async ({ command, version }) => {
    using runtime = temporaryDirectory();
    await Bun.write(
      join(withBun, "launches.mjs"),
      'import { Broker } from "ephemerald"; console.log(await new Broker().start());',
    );
    const [file = ""] = command();
    const script = version.source.includes("deno") ? ["run", "-A", "--quiet", "launches.mjs"] : ["launches.mjs"];
    const environment = { XDG_RUNTIME_DIR: runtime.path };
    const { status, stdout } = await run([file, ...script], { directory: withBun, environment });
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/\/sock\n$/) });
    await until(() => !existsSync(stdout.trim()), 1000);
  });
});

function nodeOf(name: keyof typeof nodes): string {
  return join(toolbox, name, `node_modules/node-${process.platform}-${process.arch}/bin/node`);
}

describe.skipIf(isSkipped)(`The npm command on the newest Node${because}`, () => {
  nodeEntryContract(() => ({ argv: [nodeOf("newest"), join(packed.unpacked, "dist/cli/node.js")] }));
});
