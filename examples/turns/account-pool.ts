/**
 * An account pool with tags: each of eight worker processes logs in with an account in Europe that nobody else uses. One of
 * the accounts is broken; whoever finds out puts it into quarantine, and tries the next.
 *
 * Run it: ephemeral start -- bun examples/turns/account-pool.ts
 */
import { Client, type Grant } from "ephemerald";
import { runWorkers, worker } from "../workers.ts";

interface Account {
  readonly user: string;
  readonly password: string;
}

const accounts = [
  { value: { user: "ada", password: "expired" }, tags: ["eu", "admin"] },
  { value: { user: "bob", password: "b0b" }, tags: ["eu"] },
  { value: { user: "cyd", password: "cyd1" }, tags: ["eu"] },
  { value: { user: "dan", password: "dan2" }, tags: ["us"] },
];

const client = new Client();

/** A site that takes one visitor per account at a time, and no old passwords. */
async function visit({ user, password }: Account): Promise<void> {
  if (password === "expired") throw new Error("the password has expired");
  const visitors = await client.incr(`visitors:${user}`);
  if (visitors > 1) throw new Error(`${user} is used by ${visitors} at once`);
  await Bun.sleep(20);
  await client.incr(`visitors:${user}`, -1);
}

async function work(account: Grant<Account>): Promise<boolean> {
  try {
    await visit(account.value);
    console.log(`worker ${worker} worked as ${account.value.user}`);
    return true;
  } catch (error) {
    if (!String(error).includes("expired")) throw error;
    await account.quarantine("the password has expired");
    return false;
  }
}

if (worker !== undefined) {
  // Given back when the work is done, when it throws, and when this process is killed.
  while (!(await client.withItem("accounts", { match: ["eu"], waitMs: 30_000 }, work)));
} else {
  const pool = client.pool("accounts");
  await pool.define(accounts);
  await runWorkers(8);
  const { free, size, quarantined } = await pool.show();
  for (const { item, reason, label } of quarantined)
    console.log(`account ${item} was taken out by ${label}: ${reason}`);
  console.log(`${free} of ${size} accounts may be used`);
  await pool.add([{ value: accounts[0]?.value, tags: ["eu", "admin"] }]);
  console.log(`and ${(await pool.show()).free} when it has been mended`);
}
