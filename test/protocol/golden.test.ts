import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EndOfRun } from "../../src/broker/end-of-run.ts";
import type { CommandName } from "../../src/protocol/commands.ts";
import { testBroker } from "../support/broker.ts";
import { proofOf, sealed } from "../support/proof.ts";
import { type RawClient, rawClient } from "../support/raw-client.ts";

// What the lines mean, and the rule for what stands in angle brackets: golden/README.md.
const directory = join(import.meta.dir, "golden");
const files = readdirSync(directory).filter((name) => name.endsWith(".txt"));
const conversations = new Map(
  files.map((name) => [name, readFileSync(join(directory, name), "utf8").trimEnd().split("\n")]),
);

const placeholder = /<(\w+|\.\.\.)>/g;

/** What has been bound to names so far. */
type Bindings = Map<string, string>;

/** The line as it is sent: names replaced by what they are bound to, proofs computed. */
function filledIn(line: string, bindings: Bindings, secret: string): string {
  if (line.endsWith(',"hmac":"<hmac>"}')) {
    return sealed(JSON.parse(line.replace(',"hmac":"<hmac>"}', "}")), secret).trimEnd();
  }
  return line.replace(placeholder, (_whole, name: string) => {
    const bound = bindings.get(name);
    if (bound === undefined) throw new Error(`nothing is bound to <${name}> yet`);
    return bound;
  });
}

/** Checks `actual` against `expected` byte for byte and binds the names in it. */
function compare(actual: string, expected: string, bindings: Bindings): void {
  const names: string[] = [];
  const parts = expected.split(placeholder).map((part, index) => {
    if (index % 2 === 0) return RegExp.escape(part);
    if (part === "any") return String.raw`(?:[^"\\]|\\.)*?`;
    if (part === "...") return ".*?";
    const bound = bindings.get(part);
    if (bound !== undefined) return RegExp.escape(bound);
    if (names.includes(part)) return String.raw`\k<${part}>`;
    names.push(part);
    return String.raw`(?<${part}>(?:[^"\\]|\\.)*?)`;
  });
  const match = new RegExp(`^${parts.join("")}$`).exec(actual);
  if (match === null) expect(actual).toBe(expected);
  for (const name of names) bindings.set(name, match?.groups?.[name] ?? "");
}

async function replay(lines: readonly string[]): Promise<void> {
  const options = lines[0]?.startsWith("! ") ? JSON.parse(lines[0].slice(2)) : {};
  const endOfRun = new EndOfRun({ commandsMax: 2, keep: () => {} });
  await using broker = await testBroker(options, { endOfRun });
  using stack = new DisposableStack();
  const clients = new Map<string, RawClient>();
  const bindings: Bindings = new Map();
  const secret = String(options.secret);
  const proof = (side: "client" | "server"): string => {
    const nonces = { serverNonce: bindings.get("serverNonce") ?? "", clientNonce: "c0ffee" };
    return proofOf({ side, secret, endpoint: broker.pipe, ...nonces });
  };
  for (const line of lines) {
    const [, name = "", direction, text = ""] = /^(\d?)([<>]) (.*)$/.exec(line) ?? [];
    if (direction === undefined) continue;
    const client = clients.get(name) ?? stack.use(await rawClient(broker.pipe));
    clients.set(name, client);
    if (text.includes("<clientProof>")) bindings.set("clientProof", proof("client"));
    if (text.includes("<serverProof>")) bindings.set("serverProof", proof("server"));
    if (direction === ">") client.write(`${filledIn(text, bindings, secret)}\n`);
    else if (text === "(closed)") await expect(client.line()).rejects.toThrow("closed");
    else compare(await client.line(), text, bindings);
  }
  for (const client of clients.values()) expect(client.linesWaiting).toBe(0);
}

describe("golden conversation", () => {
  test.each([...conversations])("%s goes as it is written", async (_name, lines) => {
    await replay(lines);
  });

  test("is there for every command", () => {
    const commands: Record<CommandName, true> = {
      set: true,
      get: true,
      touch: true,
      incr: true,
      watch: true,
      unwatch: true,
      del: true,
      list: true,
      lease: true,
      release: true,
      once: true,
      "once.resolve": true,
      "once.reject": true,
      "pool.define": true,
      "pool.add": true,
      "pool.remove": true,
      acquire: true,
      renew: true,
      quarantine: true,
      why: true,
      limit: true,
      "limit.penalize": true,
      barrier: true,
      "queue.push": true,
      "queue.take": true,
      "queue.ack": true,
      "queue.nack": true,
      "queue.renew": true,
      "queue.close": true,
      "queue.info": true,
      send: true,
      serve: true,
      request: true,
      respond: true,
      kick: true,
      subscribe: true,
      unsubscribe: true,
      publish: true,
      history: true,
      presence: true,
      channels: true,
      cancel: true,
      bye: true,
      challenge: true,
      hello: true,
      ping: true,
      stats: true,
      health: true,
      metrics: true,
      ps: true,
      join: true,
      drain: true,
      onEnd: true,
    };
    const all = [...conversations.values()].flat().join("\n");
    expect(Object.keys(commands).filter((action) => !all.includes(`"action":"${action}"`))).toEqual([]);
  });

  test.each([
    ["a byte more", '{"ok":true,"version":1} ', '{"ok":true,"version":1}'],
    ["another order", '{"version":1,"ok":true}', '{"ok":true,"version":1}'],
    ["another number for one name", '{"a":1,"b":2}', '{"a":<n>,"b":<n>}'],
    ["a member within <any>", '{"ok":true,"a":1,"b":"2"}', '{"ok":true,"a":<any>}'],
  ])("would not pass %s", (_what, actual, expected) => {
    expect(() => compare(actual, expected, new Map())).toThrow();
  });
});
