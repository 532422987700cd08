/**
 * A test that needs a customer account: leases one of the three for as long as the test runs, waits for its turn when
 * all are taken, and shares one login with every other worker. This is all a suite has to write.
 */
import { test } from "bun:test";
import { Client } from "ephemerald";
import { journalIn, record, testName } from "./journal.ts";
import { login, Shop } from "./shop.ts";

const folder = process.env.SHOP_FOLDER ?? "";
const worker = Number(process.env.BUN_TEST_WORKER_ID ?? 0);
const journal = journalIn(folder);
const client = new Client();

/** Makes the `test` of one file: its body is given a shop opened with an account nobody else has meanwhile. */
export function customers(file: string): (title: string, body: (shop: Shop) => Promise<void>) => void {
  return (title, body) => {
    const name = testName(file, title);
    const note = (event: "begin" | "end" | "login", account?: number): void =>
      record(journal, {
        event,
        atMs: Date.now(),
        worker,
        pid: process.pid,
        test: name,
        ...(account === undefined ? {} : { account }),
      });

    test(title, async () => {
      const { token } = await client.once(
        "login",
        async () => {
          note("login");
          return await login();
        },
        { ttl: 3_600_000 },
      );
      const workerId = `worker-${worker}`;
      const account = await client.lease("accounts", workerId, 60_000, { size: 3, waitMs: 60_000 });
      note("begin", account);
      console.log(`${clock()} worker ${worker} · account ${account} · ${name}`);
      try {
        await body(new Shop({ folder, account, token }));
      } finally {
        note("end", account);
        await client.release(workerId);
      }
    });
  };
}

/** `12:01:03.123` */
function clock(): string {
  return new Date().toISOString().slice(11, 23);
}
