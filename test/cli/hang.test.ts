/**
 * A suite that hangs, as its author meets it: four workers of bun test, one of which keeps a lock for ever, and a second
 * terminal. The commands there say which test file has it, and which wait.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/broker.ts";
import { invoke } from "../support/invocation.ts";
import { binaryProgram } from "../support/programs.ts";
import { Trial } from "../support/trial.ts";

setDefaultTimeout(60_000);

const client = join(import.meta.dir, "../../src/client/client.ts");
const program = await binaryProgram();

const testFile = (body: string): string => `
  import { test } from "bun:test";
  import { Client } from ${JSON.stringify(client)};
  const client = new Client();
  test("uses the database", async () => { ${body} }, 600_000);
`;
const holds = `await client.withLock("database", async () => {
  await client.set("held", true);
  await new Promise(() => setInterval(() => {}, 60_000));
});`;
const waits = `await client.get("held", { waitMs: 30_000 }); await client.withLock("database", () => {});`;

test("of a suite that hangs a second terminal learns which test file holds the lock, since when, and who waits", async () => {
  using folder = temporaryDirectory();
  const suite = join(folder.path, "tests");
  mkdirSync(suite);
  writeFileSync(join(suite, "checkout.test.ts"), testFile(holds));
  for (const name of ["login", "profile", "search"]) writeFileSync(join(suite, `${name}.test.ts`), testFile(waits));
  const line = `cd ${suite} && exec ${process.execPath} test --parallel=4`;
  await using run = new Trial(program, { args: ["start", "--name", "shop", "--", "sh", "-c", line] });
  const environment = { XDG_RUNTIME_DIR: run.directory };
  const ask = async (...args: readonly string[]) => (await invoke(program, { args, environment })).stdout.trim();

  const worker = (name: string): string => String.raw`${name}\.test\.ts \(worker \d, pid \d+\)`;
  const waiters = String.raw`(?:${worker("(?:login|profile|search)")} for \d+m?s(?:, |$)){3}`;
  const why = new RegExp(String.raw`^"database": held by ${worker("checkout")} for \d+m?s; waiting: ${waiters}`);
  const endsAtMs = performance.now() + 20_000;
  let said = "";
  while (!why.test(said) && performance.now() < endsAtMs) said = await ask("why", "database", "--name", "shop");
  expect(said).toMatch(why);

  const [, held] = (await ask("holders", "--name", "shop")).split("\n");
  expect(held).toMatch(new RegExp(String.raw`^database +0 +grant +${worker("checkout")} +\d+m?s +3$`));
  const sessions = (await ask("ps", "--name", "shop")).split("\n");
  expect(sessions.filter((one) => /checkout\.test\.ts.*grant database 0/.test(one))).toHaveLength(1);
  expect(sessions.filter((one) => /\.test\.ts.*acquire database/.test(one))).toHaveLength(3);
});
