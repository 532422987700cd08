/**
 * What the client programs of the scenarios have in common. Each is a process of its own and knows the others by files alone,
 * as a user's scripts would: it reads the port from one, says with one that it is ready, and leaves its result in one.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../../../src/client/client.ts";

const [, , directory = "", name = "", ...rest] = process.argv;

export { name };

/** What else this process was told. */
export const told: readonly string[] = rest;

const pollMs = 2;

/** Waits for a file of the scenario and reads it. */
export async function read(file: string, withinMs = 25_000): Promise<string> {
  const path = join(directory, file);
  const endMs = performance.now() + withinMs;
  while (!existsSync(path)) {
    if (performance.now() > endMs) fail(`no ${file} within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  return readFileSync(path, "utf8");
}

/** Writes a file of this process, whole or not at all. */
export function write(what: string, content: unknown = ""): void {
  const path = join(directory, `${name}.${what}`);
  writeFileSync(`${path}.part`, JSON.stringify(content));
  renameSync(`${path}.part`, path);
}

/** A client of the server whose port stands in the file `port`, and how long it took from then to be connected. */
export async function connect(): Promise<{ readonly client: Client; readonly connectedAfterMs: number }> {
  const port = (await read("port", 5_000)).trim();
  const startedMs = performance.now();
  const client = new Client(`ws://127.0.0.1:${port}/ws`, { label: name });
  await client.ping();
  return { client, connectedAfterMs: performance.now() - startedMs };
}

/** Leaves the result and ends. */
export function finish(client: Client, result: object): void {
  client.close();
  write("json", result);
  process.exit(0);
}

function fail(reason: string): never {
  console.error(`${name}: ${reason}`);
  process.exit(1);
}

/** Milliseconds since 1970, with their fractions: processes of one machine agree on them. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
