// Runs the seed's own client, unmodified, on Node: one JSON line in is one call, one JSON line out its outcome, in order.
// argv: the pipe, the client's options as JSON. What the client says in debug mode goes to stderr.
import { createInterface } from "node:readline";
import { Client } from "@ephemeral-broker/core";

console.log = console.error;
const [pipe, options] = process.argv.slice(2);
const client = new Client(pipe, JSON.parse(options));
for await (const line of createInterface({ input: process.stdin })) {
  const { method, args } = JSON.parse(line);
  const outcome = await client[method](...args).then(
    (value) => ({ value }),
    (error) => ({ error: error.message }),
  );
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
