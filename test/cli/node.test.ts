/**
 * The command as npm installs it, on the Node that is on PATH: what becomes of statuses, signals and streams with Node in
 * between.
 */
import { afterAll, beforeAll, describe, setDefaultTimeout } from "bun:test";
import { join } from "node:path";
import { bundleLibrary, type LibraryBundle } from "../support/library-bundle.ts";
import { nodeEntryContract } from "./node-entry-contract.ts";

setDefaultTimeout(20_000);

let library: LibraryBundle;
beforeAll(async () => {
  library = await bundleLibrary();
});
afterAll(() => library[Symbol.dispose]());

describe(`The npm command on Node ${Bun.spawnSync(["node", "--version"]).stdout.toString().trim()}`, () => {
  nodeEntryContract(() => ({ argv: [Bun.which("node") ?? "node", join(library.folder, "cli/node.js")] }));
});
