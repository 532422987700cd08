/**
 * What is as large as all the rest of the package and wanted by several of its bundles: files of their own, in the package
 * once. They are CommonJS, which modules of every kind can take. Knows where they are made from and how bundles find them.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

export interface Part {
  /** As the source imports it. */
  readonly specifier: string;
  /** Where it is in the package. All bundles are in folders beside each other, so that each finds it by the same path. */
  readonly file: string;
  /** What it exports, and from where as seen from this file. */
  readonly exports: Readonly<Record<string, string>>;
}

/** The broker, of the library alone: the program has one of its own, which starts faster. */
export const brokerPart: Part = {
  specifier: "../broker/core.ts",
  file: "broker/core.cjs",
  exports: { assembleBroker: "../broker/core.ts" },
};

/** Of the library what we use: as a whole it is six times as large. */
export const metricsPart: Part = {
  specifier: "prom-client",
  file: "shared/prom-client.cjs",
  exports: {
    Counter: "prom-client/lib/counter.js",
    Gauge: "prom-client/lib/gauge.js",
    Registry: "prom-client/lib/registry.js",
  },
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
  const scratch = mkdtempSync(join(tmpdir(), "ephemeral-pack-"));
  try {
    const entry = join(scratch, "bundle.ts");
    const lines = Object.entries(names).map(([name, path]) => {
      // A package's CommonJS file is what it exports.
      const exported = path.endsWith(".js") ? `default as ${name}` : name;
      return `export { ${exported} } from ${JSON.stringify(resolved(path))};\n`;
    });
    await Bun.write(entry, lines.join(""));
    return await Bun.build({
      entrypoints: [entry],
      outdir: dirname(outfile),
      naming: basename(outfile),
      target: "node",
      format: "cjs",
      metafile: true,
      footer: `0 && (module.exports = { ${Object.keys(names).join(", ")} });`,
      ...rest,
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function resolved(specifier: string): string {
  return Bun.resolveSync(specifier, import.meta.dir);
}

function only(specifier: string): RegExp {
  return new RegExp(`^${RegExp.escape(specifier)}$`);
}
