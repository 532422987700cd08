/** Packages the benchmarks compare with, installed apart from the product's own. */
import { existsSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dir, "../node_modules");

export const installed = {
  missing: (name: string): string | undefined =>
    existsSync(join(folder, name)) ? undefined : `${name} is not installed: npm install --prefix test/bench`,
  /** The exports of a CommonJS package, whose shape the caller knows. */
  load: async <T>(name: string): Promise<T> => {
    const module = (await import(Bun.resolveSync(name, folder))) as { default?: T } & T;
    return module.default ?? module;
  },
  /** The exports of an ES module, whose shape the caller knows. */
  loadModule: async <T>(name: string): Promise<T> => (await import(Bun.resolveSync(name, folder))) as T,
};
