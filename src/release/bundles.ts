/**
 * The JavaScript of the npm package: the library for Node, Bun and browsers, as ES modules and for `require`, and the command
 * line for Bun behind a small entry for Node. Every package we use is bundled in, so that installing ours installs nothing
 * else. Folders mirror the source's: the launcher finds the command line beside itself.
 */
import { join, relative } from "node:path";
import { brokerPart, bundleOf, metricsExports, metricsPart, withoutParts } from "./parts.ts";

/** The library, and what stands in it for the entry that needs Bun. */
const library = [
  "client/broker-process.ts",
  "client/client.ts",
  "client/no-embedding.ts",
  "msgpack/client-codec.ts",
  "local/local.ts",
];
/** What holds a broker, and the broker itself, which Node can load as well. */
const program = ["cli/main.ts", "broker/embedded.ts", "broker/core.ts"];

/** Names of functions and classes stay, for stack traces. In the library for Node and Bun lines stay, too: Node prints the one
 *  that an uncaught error comes from. */
const minify = {
  library: { syntax: true, whitespace: false, identifiers: true, keepNames: true },
  program: { syntax: true, whitespace: true, identifiers: true, keepNames: true },
};

export interface BundleOptions {
  /** The repository's `src`. */
  readonly source: string;
  /** Where the bundles go, a folder for each of the source's. */
  readonly outdir: string;
}

/** Writes all bundles and returns the folders of the packages that went into them, relative to the repository. */
export async function writeBundles(options: BundleOptions): Promise<ReadonlySet<string>> {
  const builds = await Promise.all([
    // Parts that entries share are files of their own: an error thrown by one is an EphemeralError of the other.
    writeModules(options, { entries: library, target: "node", splitting: true }),
    writeModules(options, { entries: program, target: "bun", splitting: true }),
    // The command must start fast on Node: one file.
    writeModules(options, { entries: ["cli/node.ts"], target: "node", splitting: false }),
    writeRequired(options),
    writeBrowser(options),
    writeMetrics(options),
  ]);
  return new Set(builds.flat());
}

interface Modules {
  readonly entries: readonly string[];
  readonly target: "node" | "bun";
  readonly splitting: boolean;
}

async function writeModules(
  { source, outdir }: BundleOptions,
  { entries, target, splitting }: Modules,
): Promise<readonly string[]> {
  return packagesIn(
    await Bun.build({
      entrypoints: entries.map((entry) => join(source, entry)),
      root: source,
      outdir,
      target,
      splitting,
      format: "esm",
      minify: target === "bun" ? minify.program : minify.library,
      metafile: true,
      plugins: [withoutParts(target === "bun" ? metricsPart : brokerPart)],
      naming: { entry: "[dir]/[name].js", chunk: `${target === "bun" ? "cli" : "shared"}/[name]-[hash].js` },
    }),
  );
}

/** The client for pages: one file with nothing of Node in it, found by the condition `browser`. */
async function writeBrowser({ source, outdir }: BundleOptions): Promise<string[]> {
  const built = await Bun.build({
    entrypoints: [join(source, "client/client.ts")],
    outdir,
    target: "browser",
    format: "esm",
    minify: minify.program,
    metafile: true,
    plugins: [dialledByUrl(source)],
    naming: "client/browser.js",
  });
  return packagesIn(built);
}

/** A browser has no pipes: what dials them gives its place to what dials URLs. */
function dialledByUrl(source: string): Bun.BunPlugin {
  return {
    name: "dialled by URL",
    setup(build) {
      build.onResolve({ filter: /\/transports\/dialling\.ts$/ }, () => ({
        path: join(source, "client/transports/browser-dialling.ts"),
      }));
    },
  };
}

async function writeMetrics({ outdir }: BundleOptions): Promise<string[]> {
  const outfile = join(outdir, metricsPart.file);
  return packagesIn(await bundleOf(metricsExports, { outfile, minify: minify.program }));
}

/** What Jest's jsdom leaves out of the global scope. */
const ownOfNode =
  'const { TextDecoder, TextEncoder } = require("node:util");\nconst { webcrypto: crypto } = require("node:crypto");';

/** One file holds all, for the same reason that the modules share theirs; each entry names its parts one by one. */
async function writeRequired({ source, outdir }: BundleOptions): Promise<string[]> {
  const entries = await Promise.all(library.map((path) => exportsOf(join(source, path))));
  const built = await bundleOf(
    Object.fromEntries(entries.flatMap(({ path, names }) => names.map((name) => [name, path]))),
    {
      outfile: join(outdir, "shared/library.cjs"),
      minify: minify.library,
      plugins: [withoutParts(brokerPart)],
      define: { "import.meta.url": "hereUrl" },
      banner: `const hereUrl = require("node:url").pathToFileURL(__filename).href;\n${ownOfNode}`,
    },
  );
  for (const { path, names } of entries) {
    const file = join(outdir, relative(source, path).replace(/\.ts$/, ".cjs"));
    const exported = names.map((name) => `exports.${name} = library.${name};\n`);
    await Bun.write(file, `"use strict";\nconst library = require("../shared/library.cjs");\n${exported.join("")}`);
  }
  return packagesIn(built);
}

async function exportsOf(path: string): Promise<{ readonly path: string; readonly names: readonly string[] }> {
  return { path, names: transpiler.scan(await Bun.file(path).text()).exports };
}

const transpiler = new Bun.Transpiler({ loader: "ts" });

/** The folders of packages a bundle has parts of. */
export function packagesIn({ metafile }: Pick<Bun.BuildOutput, "metafile">): string[] {
  const inputs = Object.keys(metafile?.inputs ?? {});
  return inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
}
