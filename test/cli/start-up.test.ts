/**
 * What a command loads of the runtime before it does anything: these modules take milliseconds each, which every start would
 * pay. Speed itself is the benchmark's to measure.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";

const main = join(import.meta.dir, "../../src/cli/main.ts");
/** They cost next to nothing, together. */
const cheap = ["bun:ffi", "fs", "os", "path"];

test("no command loads node:crypto, node:net, node:tty or other costly modules, but where it needs them", async () => {
  const built = await Bun.build({ entrypoints: [main], target: "bun", format: "esm", splitting: true, metafile: true });
  const transpiler = new Bun.Transpiler({ loader: "js" });
  const loaded = new Set<string>();
  for (const output of built.outputs) {
    const { inputs = {} } = built.metafile?.outputs[output.path] ?? {};
    // The log is loaded where one is wanted, and asks for what it likes.
    if (Object.keys(inputs).some((path) => path.includes("node_modules/@logtape/"))) continue;
    const text = (await output.text()).replace(/^#!.*/, "");
    for (const { kind, path } of transpiler.scanImports(text)) {
      if (kind === "import-statement" && !path.startsWith(".")) loaded.add(path);
    }
  }
  expect([...loaded].sort()).toEqual(cheap);
});
