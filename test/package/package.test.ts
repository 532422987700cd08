/**
 * `bun run pack`: what is in the tarball, what judges say of it, and that it serves Node, Bun and the compiler from a folder
 * of its own. Nothing here needs a network.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "../../src/release/pack.ts";
import { testBroker } from "../support/broker.ts";
import { type PackedPackage, packedPackage, root, run } from "../support/package.ts";
import { isThorough } from "../support/thorough.ts";

setDefaultTimeout(60_000);

/** 19 KB of it are the client for browsers, in one file. */
const tarballBytesMax = 300 * 1024;

let packed: PackedPackage;
/** A project with the package in it, and nothing else. */
let project: string;
beforeAll(async () => {
  packed = await packedPackage();
  project = join(packed.directory, "project");
  mkdirSync(join(project, "node_modules"), { recursive: true });
  symlinkSync(packed.unpacked, join(project, "node_modules/ephemerald"));
});
afterAll(() => packed[Symbol.dispose]());

const manifest = () => Bun.file(join(packed.unpacked, "package.json")).json();

describe("The tarball", () => {
  // A bundle named the scratch folder that it was made in.
  test("is the same to the byte whenever it is packed, and whatever was packed there before", async () => {
    const folder = join(packed.directory, "packed again");
    mkdirSync(join(folder, "package/dist"), { recursive: true });
    await Bun.write(join(folder, "package/dist/stale.js"), "");
    const again = await pack(folder);
    expect(Bun.hash(await Bun.file(again).bytes())).toBe(Bun.hash(await Bun.file(packed.tarball).bytes()));
  });

  test("is at most 300 KB", () => {
    expect(statSync(packed.tarball).size).toBeLessThanOrEqual(tarballBytesMax);
  });

  test("has what its package.json names, README and licences, and no source", async () => {
    const { stdout } = await run(["tar", "tzf", packed.tarball], { directory: packed.directory });
    const names = stdout
      .trim()
      .split("\n")
      .map((name) => name.replace(/^package\//, ""));
    expect(names).toEqual(
      expect.arrayContaining(["package.json", "README.md", "LICENSE", "dist/NOTICES.txt", "dist/cli/node.js"]),
    );
    const { exports, bin, main, types } = await manifest();
    const named = [...JSON.stringify([exports, bin, main, types]).matchAll(/"\.\/([^"]+\.[a-z]+)"/g)];
    expect(named.length).toBeGreaterThan(15);
    expect(named.map(([, name = ""]) => name).filter((name) => !names.includes(name))).toEqual([]);
    expect(names.filter((name) => /(?<!\.d)\.ts$|^(?:src|test)\//.test(name))).toEqual([]);
  });

  test("depends on nothing, asks for Bun at most, and runs nothing when it is installed", async () => {
    const { dependencies, optionalDependencies, scripts, peerDependencies, peerDependenciesMeta } = await manifest();
    expect([dependencies, optionalDependencies, scripts]).toEqual([undefined, undefined, undefined]);
    expect(peerDependencies).toEqual({ bun: ">=1.4.5" });
    expect(peerDependenciesMeta).toEqual({ bun: { optional: true } });
  });

  test("has a notice for each package that is bundled in", async () => {
    const notices = await Bun.file(join(packed.unpacked, "dist/NOTICES.txt")).text();
    const { dependencies } = await Bun.file(join(root, "package.json")).json();
    for (const name of Object.keys(dependencies)) expect(notices).toContain(`=== ${name} ${dependencies[name]} (`);
  });

  test("publint finds nothing to say", async () => {
    const judged = await run(
      [join(root, "node_modules/.bin/publint"), "run", packed.unpacked, "--strict", "--pack", "false"],
      {
        directory: packed.directory,
      },
    );
    expect(judged).toMatchObject({ status: 0, stdout: expect.stringContaining("All good!") });
  });

  test.if(isThorough)("arethetypeswrong finds no types wrong, in ES modules, CommonJS and bundlers", async () => {
    const judged = await run(
      [join(root, "node_modules/.bin/attw"), packed.tarball, "--profile", "node16", "--format", "json"],
      {
        directory: packed.directory,
      },
    );
    expect(judged.status).toBe(0);
    const { entrypoints, problems } = JSON.parse(judged.stdout).analysis;
    expect(Object.keys(entrypoints)).toEqual([".", "./client", "./msgpack", "./local", "./broker", "./package.json"]);
    // What predates `exports` finds the main entry alone.
    const told: readonly { readonly resolutionKind: string }[] = problems;
    expect(told.filter(({ resolutionKind }) => resolutionKind !== "node10")).toEqual([]);
  });
});

describe("The client of the package", () => {
  test.each(["client/client.js", "client/broker-process.js"])(
    "%s reaches node: alone, and no broker",
    async (entry) => {
      const dist = join(packed.unpacked, "dist");
      const reached = new Set([join(dist, entry)]);
      const outside = new Set<string>();
      for (const path of reached) {
        for (const { path: name } of new Bun.Transpiler({ loader: "js" }).scanImports(await Bun.file(path).text())) {
          if (name.startsWith(".")) reached.add(join(dirname(path), name));
          else outside.add(name);
        }
      }
      expect([...outside].filter((name) => !name.startsWith("node:"))).toEqual([]);
      expect([...reached].filter((path) => !/\/dist\/(?:client|shared)\//.test(path))).toEqual([]);
      const text = (await Promise.all([...reached].map((path) => Bun.file(path).text()))).join("");
      expect(text).not.toContain("MemoryEngine");
    },
  );

  test("for a browser is one file that reaches nothing at all", async () => {
    const text = await Bun.file(join(packed.unpacked, "dist/client/browser.js")).text();
    expect(new Bun.Transpiler({ loader: "js" }).scanImports(text)).toEqual([]);
    expect(text).not.toMatch(/PipeTransport|node:/);
    const bundled = await Bun.build({
      entrypoints: [join(packed.unpacked, "dist/client/browser.js")],
      target: "browser",
      minify: true,
    });
    const [output] = bundled.outputs;
    expect(gzipSync((await output?.text()) ?? "", { level: 9 }).length).toBeWithin(1, 20 * 1024);
  });

  const commonjs = `const { Broker, Client, EphemeralError } = require("ephemerald");
    const client = require("ephemerald/client");
    const { msgpack } = require("ephemerald/msgpack");
    const local = require("ephemerald/local").localClient();
    require("ephemerald/broker").startBroker().then(
      async (broker) => { await broker.stop(); return "embedded"; },
      (error) => [error instanceof EphemeralError, error.code],
    ).then(async (embedding) => console.log(JSON.stringify([
      typeof Broker, client.Client === Client, client.EphemeralError === EphemeralError, typeof msgpack.prepare, embedding,
      local instanceof Client, /^ephemeral_broker_sessions \\d/m.test(await local.metrics()),
    ])));`;
  const modules = `import { Broker, Client, EphemeralError } from "ephemerald";
    import * as client from "ephemerald/client";
    import { msgpack } from "ephemerald/msgpack";
    import { localClient } from "ephemerald/local";
    import { startBroker } from "ephemerald/broker";
    const local = localClient();
    const embedding = await startBroker().then(
      async (broker) => { await broker.stop(); return "embedded"; },
      (error) => [error instanceof EphemeralError, error.code],
    );
    console.log(JSON.stringify([
      typeof Broker, client.Client === Client, client.EphemeralError === EphemeralError, typeof msgpack.prepare, embedding,
      local instanceof Client, /^ephemeral_broker_sessions \\d/m.test(await local.metrics()),
    ]));`;

  test.each([
    ["import", "node", modules, "import.mjs", [true, "unavailable"]],
    ["require", "node", commonjs, "require.cjs", [true, "unavailable"]],
    ["import", process.execPath, modules, "import-bun.mjs", "embedded"],
    ["require", process.execPath, commonjs, "require-bun.cjs", "embedded"],
  ])("every entry by %s, on %s", async (_how, runtime, script, name, embedding) => {
    await Bun.write(join(project, name), script);
    const { status, stdout, stderr } = await run([runtime, name], { directory: project });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual(["function", true, true, "function", embedding, true, true]);
  });

  test("by require, where Jest's jsdom hides what every runtime has: it proves a secret, and is answered", async () => {
    await using broker = await testBroker({ secret: "s3cret" });
    const script = `for (const name of ["TextEncoder", "TextDecoder", "crypto"]) delete globalThis[name];
      const { Client } = require("ephemerald");
      const client = new Client(${JSON.stringify(broker.pipe)}, { secret: "s3cret" });
      client.set("é", ["ü"]).then(() => client.get("é")).then((value) => console.log(JSON.stringify(value)));`;
    await Bun.write(join(project, "jsdom.cjs"), script);
    const { status, stdout, stderr } = await run(["node", "jsdom.cjs"], { directory: project });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '["ü"]\n', stderr: "" });
  });

  test.each([
    ["a bundler's import", ["browser", "module"], 'import.meta.resolve("ephemerald/client")', "browser.js"],
    ["a bundler's require", ["browser", "module"], 'require.resolve("ephemerald/client")', "browser.js"],
    ["a page's import", ["browser"], 'import.meta.resolve("ephemerald/client")', "browser.js"],
    ["require in Jest's jsdom", ["browser"], 'require.resolve("ephemerald/client")', "client.cjs"],
  ])("for pages, by %s", async (_how, conditions, resolve, file) => {
    const script = `import { createRequire } from "node:module";
      const require = createRequire(import.meta.url);
      console.log(${resolve});`;
    await Bun.write(join(project, "resolve.mjs"), script);
    const flags = conditions.flatMap((condition) => ["-C", condition]);
    const { stdout } = await run(["node", ...flags, "resolve.mjs"], { directory: project });
    expect(stdout).toEndWith(`/dist/client/${file}\n`);
  });

  const user = `import { Broker, Client, EphemeralError, type BrokerOptions, type ClientOptions } from "ephemerald";
    import { Client as Only } from "ephemerald/client";
    import { msgpack } from "ephemerald/msgpack";
    import { LocalBroker } from "ephemerald/local";
    import { startBroker } from "ephemerald/broker";
    const options: BrokerOptions = { defaultTTL: 5000, limits: { itemsMax: 5 } };
    export async function main(): Promise<number> {
      const broker = new Broker(options);
      const pipe: string = await broker.start();
      const client = new Client(pipe, { secret: "x", codec: msgpack } satisfies ClientOptions);
      const number: number = await client.lease("accounts", "worker", 5000);
      const text = await client.get<string>("key");
      if (new EphemeralError("timeout", text).retryable) await broker.stop();
      new Only(broker.pipe).close();
      const embedded = await startBroker({ name: "tests" });
      await embedded.stop();
      // @ts-expect-error there is no such option
      new Broker({ ports: 1 });
      return number;
    }
    // What a library that exports it must be able to name.
    declare const client: Only;
    export const { acquire, barrier, channels, health, history, list, lock, onEvent, onState, pool, presence, ps, publish } = client;
    export const { queue, rateLimit, request, send, serve, stats, subscribe, watch, why, withItem, withSeat } = client;
    export const [holding, job, same] = [acquire("p"), queue("q").info(), new LocalBroker().client() satisfies Client];
    export const granted = holding.then(({ items }) => items);
    export const embedded = startBroker().then((broker) => ({ ...broker }));
    export const limits = { ...({} as NonNullable<BrokerOptions["limits"]>) };
    export const configured = { ...({} as NonNullable<Parameters<typeof startBroker>[0]>) };`;

  const resolutions = [
    ["bundler", { module: "esnext", moduleResolution: "bundler" }],
    ["node16", { module: "node16", moduleResolution: "node16" }],
    ["nodenext", { module: "nodenext" }],
  ] as const;

  test.each(isThorough ? resolutions : resolutions.slice(0, 2))(
    "its types resolve for modules and CommonJS: %s",
    async (name, resolution) => {
      const directory = join(project, name);
      const files = ["user.mts", "user.cts"];
      for (const file of files) await Bun.write(join(directory, file), user);
      const lib = ["ES2022", "DOM"];
      const compilerOptions = {
        strict: true,
        noEmit: true,
        declaration: true,
        isolatedModules: true,
        skipLibCheck: false,
        target: "es2022",
        types: [],
        lib,
        ...resolution,
      };
      await Bun.write(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
      const compiled = await run([join(root, "node_modules/.bin/tsc"), "-p", directory], { directory });
      expect(compiled).toMatchObject({ status: 0, stdout: "" });
    },
  );
});
