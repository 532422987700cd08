/**
 * The package.json that is published: what the repository's says of the program, and where things are in the package. Knows
 * nothing of how they came there.
 */

/** What is taken over from the repository's package.json. */
export interface Program {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
}

const page = { types: "./dist/types/client/client.d.ts", default: "./dist/client/browser.js" };

/** A module for `import` and for `require`, each with types of its kind. */
function both(path: string): Readonly<Record<"import" | "require", object>> {
  return {
    import: { types: `./dist/types/${path}.d.ts`, default: `./dist/${path}.js` },
    require: { types: `./dist/types/${path}.d.cts`, default: `./dist/${path}.cjs` },
  };
}

export function packageManifest({ name, version, description, license }: Program): object {
  return {
    name,
    version,
    description,
    keywords: ["ipc", "lock", "lease", "broker", "parallel", "test", "unix-socket"],
    license,
    type: "module",
    bin: { ephemeral: "./dist/cli/node.js", ephemerald: "./dist/cli/node.js" },
    main: "./dist/client/broker-process.cjs",
    types: "./dist/types/client/broker-process.d.cts",
    exports: {
      ".": both("client/broker-process"),
      "./client": {
        // Bundlers know `module`, also for what is required; Jest's jsdom says `browser`, runs on Node, and takes no ES module.
        browser: { module: page, import: page, require: both("client/client").require },
        ...both("client/client"),
      },
      "./msgpack": both("msgpack/client-codec"),
      "./local": both("local/local"),
      // Bun can `require` an ES module.
      "./broker": {
        import: {
          types: "./dist/types/broker/embedded.d.ts",
          bun: "./dist/broker/embedded.js",
          default: "./dist/client/no-embedding.js",
        },
        require: {
          types: "./dist/types/broker/embedded.d.cts",
          bun: "./dist/broker/embedded.js",
          default: "./dist/client/no-embedding.cjs",
        },
      },
      "./package.json": "./package.json",
    },
    files: ["dist"],
    sideEffects: false,
    // Yarn keeps packages zipped, and Bun reads no archives.
    preferUnplugged: true,
    engines: { node: ">=20" },
    peerDependencies: { bun: ">=1.4.5" },
    peerDependenciesMeta: { bun: { optional: true } },
  };
}
