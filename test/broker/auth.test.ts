import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { Admission } from "../../src/broker/gates/admission.ts";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { msgpackClient, prefixed } from "../support/msgpack-client.ts";
import { proofOf, sealed } from "../support/proof.ts";

const secret = "correct horse battery staple";
const ping = { action: "ping" };
const clientNonce = "00112233445566778899aabbccddeeff";
const zeroHmac = "0".repeat(64);

async function challenge(client: LineClient): Promise<string> {
  const reply = await client.ask({ action: "challenge" });
  expect(reply).toEqual({ ok: true, nonce: expect.stringMatching(/^[0-9a-f]{32}$/) });
  return String(reply.nonce);
}

function hello(proof: unknown, nonce: unknown = clientNonce): object {
  return { action: "hello", protocol: 1, auth: { nonce, proof } };
}

const rightHmac = sealed(ping, secret).slice(-67, -3);
const sealedPing = sealed(ping, secret);

describe("the seed's HMAC on each message", () => {
  test.each([
    ["right", sealedPing],
    ["right and with CRLF", sealedPing.replace("\n", "\r\n")],
    ["right in upper case", sealedPing.replace(rightHmac, rightHmac.toUpperCase())],
    [
      "right over blanks and members of any kind",
      sealed({ id: 1, action: "ping", " a ": [null, "é😀", '","hmac":"'] }, secret),
    ],
  ])("passes one that is %s", async (_what, line) => {
    await using broker = await testBroker({ secret });
    using client = await lineClient(broker.pipe);
    client.write(line);
    expect(await client.next()).toMatchObject({ ok: true, pong: expect.any(Number) });
  });

  test.each([
    ["missing", `${JSON.stringify(ping)}\n`],
    ["empty", '{"action":"ping","hmac":""}\n'],
    ["all zeros", `{"action":"ping","hmac":"${zeroHmac}"}\n`],
    ["of another secret", sealed(ping, "correct horse battery stable")],
    ["of another message", sealed({ action: "pong" }, secret).replace("pong", "ping")],
    ["not last", `{"hmac":"${rightHmac}","action":"ping"}\n`],
    ["followed by a blank", sealedPing.replace("}\n", "} \n")],
    ["preceded by a blank", sealedPing.replace(',"hmac', ', "hmac')],
    ["one digit short", sealedPing.replace(rightHmac, rightHmac.slice(1))],
    ["two digits short", sealedPing.replace(rightHmac, rightHmac.slice(2))],
    ["two digits long", sealedPing.replace(rightHmac, `${rightHmac}00`)],
    ["no hex", sealedPing.replace(rightHmac, "zz".repeat(32))],
    ["hex up to a character", sealedPing.replace(rightHmac, `${rightHmac.slice(0, 62)}zz`)],
    ["of another kind", '{"action":"ping","hmac":1}\n'],
    ["written with an escape", sealedPing.replace('"hmac"', '"\\u0068mac"')],
  ])("refuses one that is %s as auth_failed and keeps the connection", async (_what, line) => {
    await using broker = await testBroker({ secret });
    using client = await lineClient(broker.pipe);
    client.write(line);
    const reply = await client.next();
    expect(reply).toMatchObject({ ok: false, error: "auth_failed" });
    expect(JSON.stringify(reply)).not.toContain(secret);
    client.write(sealedPing);
    expect(await client.next()).toMatchObject({ ok: true });
  });

  test("closes with the fifth that fails, and not with four and right ones between", async () => {
    await using broker = await testBroker({ secret });
    using client = await lineClient(broker.pipe);
    for (let count = 0; count < 4; count++) {
      expect(await client.ask(ping)).toMatchObject({ error: "auth_failed" });
      client.write(sealedPing);
      expect(await client.next()).toMatchObject({ ok: true });
    }
    expect(await client.ask(ping)).toMatchObject({ error: "auth_failed" });
    await client.closed;
  });

  test("is not asked for where there is no secret, and a wrong one does no harm there", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    expect(await client.ask({ ...ping, hmac: zeroHmac })).toMatchObject({ ok: true });
  });

  test("guards every command but challenge and hello", async () => {
    await using broker = await testBroker({ secret });
    const commands = [
      { action: "set", key: "k", value: 1, ttl: 1000 },
      { action: "get", key: "k" },
      { action: "del", key: "k" },
      { action: "list" },
      { action: "lease", key: "k", workerId: "w" },
      { action: "release", workerId: "w" },
      { action: "once", key: "k" },
      { action: "once.resolve", key: "k", fence: 1, value: 1 },
      { action: "once.reject", key: "k", fence: 1, reason: "r" },
      { action: "cancel", target: 1 },
      { action: "ping" },
      { action: "stats" },
      { action: "health" },
      { action: "metrics" },
      { action: "ps" },
    ];
    for (const command of commands) {
      using client = await lineClient(broker.pipe);
      expect([command.action, await client.ask(command)]).toEqual([
        command.action,
        expect.objectContaining({ ok: false, error: "auth_failed" }),
      ]);
    }
    using client = await lineClient(broker.pipe);
    await challenge(client);
  });
});

describe("challenge and hello", () => {
  test("with the right proof admit for good, and answer with the broker's own proof", async () => {
    await using broker = await testBroker({ secret });
    using client = await lineClient(broker.pipe);
    const serverNonce = await challenge(client);
    const known = { secret, endpoint: broker.pipe, serverNonce, clientNonce };
    const reply = await client.ask(hello(proofOf({ ...known, side: "client" })));
    expect(reply).toMatchObject({ ok: true, protocol: 1, auth: { proof: proofOf({ ...known, side: "server" }) } });
    expect(JSON.stringify(reply)).not.toContain(secret);
    for (let count = 0; count < 10; count++) expect(await client.ask(ping)).toMatchObject({ ok: true });
  });

  type Attempt = (known: { endpoint: string; serverNonce: string }) => object;
  const right = (endpoint: string, serverNonce: string): string =>
    proofOf({ side: "client", secret, endpoint, serverNonce, clientNonce });

  test.each<[string, Attempt]>([
    ["no proof", () => ({ action: "hello", protocol: 1 })],
    ["an empty proof", () => hello("")],
    ["a proof of zeros", () => hello(zeroHmac)],
    ["a proof that is no hex", () => hello("z".repeat(64))],
    ["half a proof", ({ endpoint, serverNonce }) => hello(right(endpoint, serverNonce).slice(0, 32))],
    [
      "a proof of another secret",
      (known) => hello(proofOf({ ...known, side: "client", secret: "guess", clientNonce })),
    ],
    ["a proof for another endpoint", ({ serverNonce }) => hello(right("/tmp/other/sock", serverNonce))],
    ["a proof for another server nonce", ({ endpoint }) => hello(right(endpoint, "0".repeat(32)))],
    ["a proof for another client nonce", ({ endpoint, serverNonce }) => hello(right(endpoint, serverNonce), "other")],
    ["the broker's own proof sent back", (known) => hello(proofOf({ ...known, side: "server", secret, clientNonce }))],
  ])("with %s is refused as auth_failed and closed", async (_what, attempt) => {
    await using broker = await testBroker({ secret });
    using client = await lineClient(broker.pipe);
    const serverNonce = await challenge(client);
    client.say(attempt({ endpoint: broker.pipe, serverNonce }));
    client.say(ping);
    const reply = await client.next();
    expect(reply).toMatchObject({ ok: false, error: "auth_failed" });
    expect(Object.keys(reply).toSorted()).toEqual(["error", "message", "ok"]);
    await client.closed;
    // What was said behind it was not even run.
    await expect(client.next()).rejects.toThrow("closed");
  });

  test("without a challenge is refused and closed", async () => {
    await using broker = await testBroker({ secret });
    using client = await lineClient(broker.pipe);
    expect(await client.ask(hello(right(broker.pipe, "")))).toMatchObject({ error: "auth_failed" });
    await client.closed;
  });

  test("take the second challenge for the only one", async () => {
    await using broker = await testBroker({ secret });
    using late = await lineClient(broker.pipe);
    const first = await challenge(late);
    const second = await challenge(late);
    expect(second).not.toBe(first);
    expect(await late.ask(hello(right(broker.pipe, first)))).toMatchObject({ error: "auth_failed" });
    await late.closed;

    using client = await lineClient(broker.pipe);
    await challenge(client);
    const newest = await challenge(client);
    expect(await client.ask(hello(right(broker.pipe, newest)))).toMatchObject({ ok: true });
  });

  test("refuse a proof overheard on another connection", async () => {
    await using broker = await testBroker({ secret });
    using victim = await lineClient(broker.pipe);
    using thief = await lineClient(broker.pipe);
    const overheard = hello(right(broker.pipe, await challenge(victim)));
    await challenge(thief);
    expect(await thief.ask(overheard)).toMatchObject({ error: "auth_failed" });
    await thief.closed;
    expect(await victim.ask(overheard)).toMatchObject({ ok: true });
    expect(await victim.ask(overheard)).toMatchObject({ ok: false, error: "bad_command" });
  });

  test("let a sealed hello in, which goes on sealing", async () => {
    await using broker = await testBroker({ secret });
    using client = await lineClient(broker.pipe);
    client.write(sealed({ action: "hello", protocol: 1 }, secret));
    const reply = await client.next();
    expect(reply).toMatchObject({ ok: true });
    expect(reply).not.toHaveProperty("auth");
    client.write(sealedPing);
    expect(await client.next()).toMatchObject({ ok: true });
    expect(await client.ask(ping)).toMatchObject({ error: "auth_failed" });
  });

  test("need nothing where there is no secret, and promise no proof there", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    await challenge(client);
    const reply = await client.ask(hello(zeroHmac));
    expect(reply).toMatchObject({ ok: true });
    // A client that knows a secret must find out that this broker does not.
    expect(reply).not.toHaveProperty("auth");
  });
});

describe("Admission.enter()", () => {
  test("shows its gate the newest nonce, once", () => {
    const nonces: (string | undefined)[] = [];
    const admission = new Admission({ admits: () => false, enter: (_shown, nonce) => void nonces.push(nonce) });
    const enter = (): string | undefined => admission.enter({});
    enter();
    admission.challenge("first");
    admission.challenge("second");
    enter();
    enter();
    expect(nonces).toEqual([undefined, "second", undefined]);
  });

  test("lets its peer in for good only when its gate does", () => {
    let isRight = false;
    const admission = new Admission({
      admits: () => false,
      enter: () => {
        if (!isRight) throw new Error("wrong");
        return undefined;
      },
    });
    expect(() => admission.enter({})).toThrow("wrong");
    expect(admission.admits(Buffer.of())).toBe(false);
    isRight = true;
    admission.enter({});
    expect(admission.admits(Buffer.of())).toBe(true);
  });
});

describe("in MessagePack, where there is a secret", () => {
  const large = { action: "set", key: "k", value: "x".repeat(20_000), ttl: 1000 };

  test("a frame over 16 KiB is refused before hello, by its length alone", async () => {
    await using broker = await testBroker({ secret });
    using client = await msgpackClient(broker.pipe);
    client.write(prefixed(encode(large)).subarray(0, 4));
    expect(await client.next()).toMatchObject({ ok: false, error: "too_large" });
    await expect(client.next()).rejects.toThrow("closed");
  });

  test("and taken after it", async () => {
    await using broker = await testBroker({ secret });
    using client = await msgpackClient(broker.pipe);
    const { nonce } = await client.ask({ action: "challenge" });
    const parts = { secret, side: "client", endpoint: broker.pipe, serverNonce: String(nonce), clientNonce } as const;
    expect(await client.ask(hello(proofOf(parts)))).toMatchObject({ ok: true });
    expect(await client.ask(large)).toMatchObject({ ok: true });
  });

  test("without a secret it is taken at once", async () => {
    await using broker = await testBroker();
    using client = await msgpackClient(broker.pipe);
    expect(await client.ask(large)).toMatchObject({ ok: true });
  });
});
