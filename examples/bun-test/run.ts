/**
 * The demonstration: `ephemeral start -- bun test --parallel=4` over this folder, then what the journal says of the run.
 * Fails when the suite fails, and also when an account was used by two at once. Arguments go to `bun test`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { journalIn, readJournal, type Summary, summarize } from "./journal.ts";

const workers = 4;
const { SHOP_FOLDER: givenFolder, EPHEMERAL_BIN: executable } = process.env;
const folder = givenFolder ?? mkdtempSync(join(tmpdir(), "ephemeral-shop-"));
const ephemeral = executable ? [executable] : [process.execPath, join(import.meta.dir, "../../src/cli/main.ts")];
const bunTest = ["test", `--parallel=${workers}`, "--parallel-delay=0", ...Bun.argv.slice(2)];

// The terminal sends Ctrl-C to all of us: let the suite end first, then say how it ended.
process.on("SIGINT", () => undefined);

console.log(`$ ephemeral start -- bun ${bunTest.join(" ")}\n`);
try {
  const suite = Bun.spawn([...ephemeral, "start", "--", process.execPath, ...bunTest], {
    cwd: import.meta.dir,
    env: { ...process.env, SHOP_FOLDER: folder },
    stdio: ["inherit", "inherit", "inherit"],
  });
  const status = await suite.exited;
  const summary = summarize(readJournal(journalIn(folder)));
  print(summary);
  process.exitCode = status !== 0 ? status : isSound(summary) ? 0 : 1;
} finally {
  if (givenFolder === undefined) rmSync(folder, { recursive: true });
}

/** What the run must show whatever the suite says. */
function isSound({ tests, overlaps, logins }: Summary): boolean {
  return overlaps.length === 0 && logins === (tests > 0 ? 1 : 0);
}

function print({ tests, pids, uses, overlaps, logins }: Summary): void {
  console.log(`\n${tests} tests in ${pids.length} worker processes (pids ${pids.join(", ")})`);
  for (const [account, count] of uses) console.log(`account ${account}: used by ${count} tests`);
  for (const overlap of overlaps) console.log(`USED BY TWO AT ONCE: ${overlap}`);
  if (overlaps.length === 0 && tests > 0) console.log("each account used by one worker at a time: yes");
  console.log(`logins computed: ${logins}`);
}
