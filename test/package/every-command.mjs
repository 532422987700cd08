// One client's commands and a lease of its end, on whatever runtime this is run: what came, as one line of JSON.
import { Client, EphemeralError } from "ephemerald";

const client = new Client({ label: "everywhere" });
const said = {};
said.set = typeof (await client.set("key", { text: "é", bytes: new Uint8Array([1, 2]) }, 60_000));
const stored = await client.get("key");
said.get = [stored.text, stored.bytes instanceof Uint8Array, [...stored.bytes]];
said.list = Object.keys(await client.list("k"));
said.lease = await client.lease("accounts", "w1", 60_000, { size: 3 });
said.release = await client.release("w1");
said.once = [await client.once("login", async () => "token"), await client.once("login", () => "never run")];
const waited = client.get("later", { waitMs: 10_000 });
await client.set("later", "there");
said.waited = await waited;
said.del = await client.del("key");
said.missing = await client.get("key").catch((error) => [error instanceof EphemeralError, error.code]);
await client.set("big", "x".repeat(200_000));
said.big = (await client.get("big")).length;
said.ping = (await client.ping()) >= 0;
console.log(JSON.stringify(said));
