/**
 * What several bundles of the package want, and it has once: files of their own, which bundles import from where they are.
 * Knows how a bundle finds them, and how one is made that names what it exports.
 */
import { basename, dirname, join } from "node:path";

export interface Part {
  /** As the source imports it. */
  readonly specifier: string;
  /** Where it is in the package. All bundles are in folders beside each other, so that each finds it by the same path. */
  readonly file: string;
}

/** An ES module, which CommonJS can import as well, though not at once: the program's, of which the library has none. */
export const brokerPart: Part = { specifier: "../broker/core.ts", file: "broker/core.js" };

/** CommonJS, as the package it is made of. */
export const metricsPart: Part = { specifier: "prom-client", file: "shared/prom-client.cjs" };

/** Of that package what we use: as a whole it is six times as large. */
export const metricsExports = {
  Counter: "prom-client/lib/counter.js",
  Gauge: "prom-client/lib/gauge.js",
  Registry: "prom-client/lib/registry.js",
};

/** Bun takes a package's CommonJS for Node, of which it must take all; a tenth of this one is enough. */
const modules = { "@msgpack/msgpack": "@msgpack/msgpack/dist.esm/index.mjs" };

/** Leaves `parts` out of a bundle, to be imported from where they are in the package. */
export function withoutParts(...parts: readonly Part[]): Bun.BunPlugin {
  return {
    name: "parts of their own",
    setup(build) {
      for (const [specifier, module] of Object.entries(modules)) {
        build.onResolve({ filter: only(specifier) }, () => ({ path: resolved(module) }));
      }
      for (const { specifier, file } of parts) {
        build.onResolve({ filter: only(specifier) }, () => ({ path: `../${file}`, external: true }));
      }
    },
  };
}

/** Bundles what exports `names`, each of the module at its path. Names go where Node finds them without running the file. */
export async function bundleOf(
  names: Readonly<Record<string, string>>,
  settings: Pick<Bun.BuildConfig, "minify" | "plugins" | "define" | "banner"> & { readonly outfile: string },
): Promise<Bun.BuildOutput> {
  const { outfile, ...rest } = settings;
  // No file, and none of a scratch folder: bundles say in comments where their modules were, and are to be the same each time.
  const entry = join(import.meta.dir, "bundle.ts");
  const lines = Object.entries(names).map(([name, path]) => {
    // A package's CommonJS file is what it exports.
    const exported = path.endsWith(".js") ? `default as ${name}` : name;
    return `export { ${exported} } from ${JSON.stringify(resolved(path))};\n`;
  });
  return await Bun.build({
    entrypoints: [entry],
    files: { [entry]: lines.join("") },
    outdir: dirname(outfile),
    naming: basename(outfile),
    target: "node",
    format: "cjs",
    metafile: true,
    footer: `0 && (module.exports = { ${Object.keys(names).join(", ")} });`,
    ...rest,
  });
}

function resolved(specifier: string): string {
  return Bun.resolveSync(specifier, import.meta.dir);
}

function only(specifier: string): RegExp {
  return new RegExp(`^${RegExp.escape(specifier)}$`);
}
