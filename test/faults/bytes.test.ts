import { describe, expect, test } from "bun:test";
import { lineClient } from "../support/broker.ts";
import { type BrokerProcess, brokerProcess } from "../support/broker-process.ts";
import { proofOf, sealed } from "../support/proof.ts";
import { announceSeed, Random, testSeed } from "../support/random.ts";
import { rawClient } from "../support/raw-client.ts";

const MiB = 1024 * 1024;
const secret = "a secret";

/** The broker answers a newcomer, and is the process that it was. */
async function expectAlive(broker: BrokerProcess): Promise<void> {
  using client = await lineClient(broker.pipe);
  client.write(sealed({ id: 1, action: "ping" }, secret));
  expect(await client.next()).toMatchObject({ id: 1, ok: true });
  expect(broker.exitCode).toBeNull();
}

/** Says `bytes` on a connection of their own and reads until the broker has answered a command behind them, or closed. */
async function say(broker: BrokerProcess, ...chunks: readonly (string | Uint8Array)[]): Promise<void> {
  using client = await rawClient(broker.pipe);
  for (const chunk of chunks) client.write(chunk);
  client.finish();
  await client.closed;
}

const deep = (count: number, opener: string): string => `{"action":"set","value":${opener.repeat(count)}\n`;

describe.each([
  ["a broker without a secret", {}],
  ["a broker with a secret", { secret }],
])("%s outlives", (_who, options) => {
  test.each<[string, readonly (string | Uint8Array)[]]>([
    ["null", ["null\n"]],
    ["[]", ["[]\n"]],
    ["every other JSON that is no object", ['1\n"x"\ntrue\n', "[{}]\n"]],
    ["100,000 arrays that are not closed", [deep(100_000, "[")]],
    ["100,000 objects that are not closed", [deep(100_000, '{"a":')]],
    ["a million brackets in a string", [`{"action":"${"[".repeat(1_000_000)}"}\n`]],
    ["a line of 2 MiB", ["x".repeat(2 * MiB), "\n"]],
    ["a command of 2 MiB", [`{"action":"set","key":"k","ttl":1000,"value":"${"x".repeat(2 * MiB)}"}\n`]],
    ["2 MiB without an end", ["x".repeat(2 * MiB)]],
    ["a line that is never ended", ['{"action":"pi']],
    ["a line ended inside a character", [Uint8Array.of(0x7b, 0xe2, 0x82, 0x0a)]],
    ["100,000 empty lines", ["\r\n".repeat(100_000)]],
    ["100,000 pings without waiting", ['{"action":"ping"}\n'.repeat(100_000)]],
    [
      "__proto__ where it can be",
      ['{"__proto__":{"action":"ping"},"action":"set","key":"__proto__","value":{"__proto__":1},"ttl":1000}\n'],
    ],
    ["a MessagePack frame of 4 GiB", [Uint8Array.of(0, 0xff, 0xff, 0xff), new Uint8Array(1000)]],
    ["a MessagePack map of four billion", [Uint8Array.of(0, 0, 0, 5, 0xdf, 0xff, 0xff, 0xff, 0xff)]],
    ["half a MessagePack frame", [Uint8Array.of(0, 0, 0, 100, 0x81)]],
    ["nothing at all", []],
  ])("%s", async (_what, chunks) => {
    await using broker = await brokerProcess(options);
    await say(broker, ...chunks);
    await expectAlive(broker);
    expect((await broker.stop()).stderr).toBe("");
  });
});

describe("a broker", () => {
  const random = new Random();
  const endpoint = "/tmp/sock";
  const proof = proofOf({ side: "client", secret, endpoint, serverNonce: "00", clientNonce: "11" });
  const commands = [
    {
      id: 1,
      action: "set",
      key: "k",
      value: { a: [1, null, "é€😀"], $binary: "AA==" },
      ttl: 1000,
      if: "absent",
      version: 3,
    },
    { id: 2, action: "get", key: "k", waitMs: 5 },
    { action: "get", key: "k" },
    { id: 3, action: "del", key: "k", version: 1 },
    { id: 4, action: "list", prefix: "k", cursor: "1", limit: 5 },
    { id: 5, action: "lease", key: "l", workerId: "w", ttl: 1000, size: 2, waitMs: 3, scope: "session" },
    { id: 6, action: "release", workerId: "w", key: "*" },
    { id: 7, action: "once", key: "o", waitMs: 4 },
    { id: 8, action: "once.resolve", key: "o", fence: 1, value: 1, ttl: 50 },
    { id: 9, action: "once.reject", key: "o", fence: 1, reason: "r", cacheMs: 5 },
    { id: 10, action: "cancel", target: 2 },
    { action: "challenge" },
    { action: "hello", protocol: 1, client: { name: "n", version: "v" }, label: "l", auth: { nonce: "11", proof } },
    { id: 11, action: "stats" },
    { id: 12, action: "health" },
    { id: 13, action: "ps" },
    { action: "ping", hmac: "0".repeat(64) },
  ].map((command) => Buffer.from(`${JSON.stringify(command)}\n`));
  const spice = [0x00, 0x0a, 0x0d, 0x22, 0x5b, 0x5c, 0x7b, 0x7d, 0x2d, 0x30, 0x65, 0x80, 0xc0, 0xed, 0xff];

  /** `bytes` with a few bytes changed, dropped, doubled or put in. */
  function mutated(bytes: Uint8Array): Uint8Array {
    const result = [...bytes];
    for (let change = 1 + random.integer(4); change > 0; change--) {
      const at = random.integer(result.length);
      const kind = random.integer(5);
      if (kind === 0) result[at] = random.integer(256);
      else if (kind === 1) result[at] = random.pick(spice);
      else if (kind === 2) result.splice(at, 1 + random.integer(8));
      else if (kind === 3) result.splice(at, 0, random.pick(spice));
      else result.splice(at, 0, ...result.slice(at, at + random.integer(40)));
      if (result.length === 0) return bytes;
    }
    return Uint8Array.from(result);
  }

  test("outlives 3000 mutations of valid lines, dropped at any byte, without a word on stderr", async () => {
    announceSeed("mutated lines");
    await using broker = await brokerProcess();
    for (let round = 0; round < 150; round++) {
      using client = await rawClient(broker.pipe);
      // Whether it reads, or never does, changes nothing.
      if (random.integer(3) === 0) client.pause();
      for (let line = 0; line < 20; line++) {
        const bytes = mutated(random.pick(commands));
        const cut = random.integer(bytes.length + 1);
        client.write(bytes.subarray(0, cut));
        client.write(bytes.subarray(cut));
      }
      if (random.integer(2) === 0) client.write(random.pick(commands).subarray(0, random.integer(20)));
      if (random.integer(2) === 0) {
        client.finish();
        client.resume();
        await client.closed;
      }
      if (round % 25 === 24) await expectAlive(broker);
    }
    await expectAlive(broker);
    expect([testSeed, await broker.stop()]).toEqual([testSeed, { status: 0, stderr: "" }]);
  }, 30_000);

  test("outlives 300 connections of random bytes, and of random MessagePack frames", async () => {
    announceSeed("random bytes");
    await using broker = await brokerProcess();
    for (let round = 0; round < 300; round++) {
      const body = random.bytes(1 + random.integer(2000));
      if (round % 3 === 0) await say(broker, body);
      else {
        const size = Uint8Array.of(0, 0, body.length >> 8, body.length & 0xff);
        // Most random bytes are refused for their first: some begin as a map of a few pairs.
        if (round % 3 === 1) body[0] = 0x80 + random.integer(4);
        await say(broker, size, body, size, body);
      }
    }
    await expectAlive(broker);
    expect([testSeed, await broker.stop()]).toEqual([testSeed, { status: 0, stderr: "" }]);
  }, 30_000);
});
