import { describe, expect, test } from "bun:test";
import { decodeMulti, encode } from "@msgpack/msgpack";
import { closeCodes } from "../../src/protocol/errors.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { clientFrame, greetedClient, opcodes, webSocketClient } from "../support/web-socket.ts";

const ping = { action: "ping" };
const pong = { ok: true, pong: expect.any(Number) };
const hello = { action: "hello", protocol: 1 };
/** Nothing of theirs is awaited, so a short one will do. */
const token = "0123456789abcdef0123456789abcdef";

describe("startBroker()", () => {
  test("opens no web door unless it is told a port", async () => {
    await using broker = await testBroker();
    expect([broker.url, broker.token]).toEqual([undefined, undefined]);
  });

  test("tells where its web door is and makes a token of 256 bits, another one each time", async () => {
    await using one = await testBroker({ port: 0 });
    await using other = await testBroker({ port: 0 });
    expect(one.url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/ws$/);
    expect(one.token).toMatch(/^[0-9a-f]{64}$/);
    expect(other.token).not.toBe(one.token);
  });

  test.each([
    ["a secret", { secret: "correct horse battery staple" }],
    ["insecureNoAuth", { insecureNoAuth: true }],
  ])("makes no token where there is %s", async (_what, options) => {
    await using broker = await testBroker({ port: 0, ...options });
    expect([broker.token, broker.url]).toEqual([undefined, expect.stringContaining("ws:")]);
  });

  test("refuses a port that is taken, and leaves nothing", async () => {
    await using broker = await testBroker({ port: 0 });
    const port = Number(new URL(broker.url ?? "").port);
    await expect(testBroker({ port })).rejects.toMatchObject({
      code: "unavailable",
      message: `Cannot start broker: cannot listen at port ${port} of 127.0.0.1: it is taken`,
      details: { port },
    });
  });

  test.each([
    ["a port that is none", { port: 65_536 }, "a port from 0 to 65535, got 65536"],
    ["half a port", { port: 0.5 }, "a port from 0 to 65535, got 0.5"],
    ["an empty host", { port: 0, host: "" }, 'an address or a name as host, got ""'],
    ["a host with a path", { port: 0, host: "a/b" }, 'an address or a name as host, got "a/b"'],
    ["a short token", { port: 0, token: "x".repeat(31) }, "a token of at least 32 characters, got 31"],
    ["an empty token", { port: 0, token: "" }, "a token of at least 32 characters, got 0"],
    ["a token and a secret", { port: 0, token, secret: "s" }, "one way to let clients in, got a secret and a token"],
    ["a secret and none", { port: 0, secret: "s", insecureNoAuth: true }, "got a secret and no authentication"],
    ["an origin with a path", { port: 0, allowedOrigins: ["https://a.test/"] }, 'got "https://a.test/"'],
    ["every origin", { port: 0, allowedOrigins: ["*"] }, 'got "*"'],
    ["an origin in capitals", { port: 0, allowedOrigins: ["https://A.test"] }, 'got "https://A.test"'],
    ["an origin with its default port", { port: 0, allowedOrigins: ["https://a.test:443"] }, "an origin as browsers"],
    ["the origin null", { port: 0, allowedOrigins: ["null"] }, 'got "null"'],
    ["a host with a path", { port: 0, allowedHosts: ["a.test/x"] }, 'got "a.test/x"'],
    ["a host without a port to listen at", { host: "127.0.0.1" }, "host is for a web door, and no port is given"],
    ["no authentication without a port", { insecureNoAuth: true }, "insecureNoAuth is for a web door"],
  ])("refuses %s", async (_what, options, reason) => {
    await expect(testBroker(options)).rejects.toMatchObject({
      code: "bad_command",
      message: expect.stringContaining(reason),
    });
  });
});

describe("a WebSocket", () => {
  test("speaks JSON where no subprotocol is offered: a text frame each turn, an LF between two objects", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = await greetedClient(broker);
    expect(client.head).not.toContain("Sec-WebSocket-Protocol");
    const before = client.texts;
    client.send(`${JSON.stringify({ id: 1, ...ping })}\n${JSON.stringify({ id: 2, ...ping })}`);
    expect([await client.next(), await client.next()]).toEqual([
      { id: 1, ...pong },
      { id: 2, ...pong },
    ]);
    expect(client.texts - before).toBe(1);
  });

  test.each([
    ["", '{"action":"ping"}'],
    ["an LF behind the last", '{"action":"ping"}\n'],
    ["CR and LF, and empty lines", '\n\r\n{"action":"ping"}\r\n\n'],
    ["what is no ASCII", '{"action":"ping","é€😀":"\u2028"}'],
  ])("reads a text frame with %p", async (_what, text) => {
    await using broker = await testBroker({ port: 0 });
    using client = await greetedClient(broker);
    client.send(text);
    expect(await client.next()).toEqual(pong);
  });

  test.each([
    ["", "HTTP/1.1 101", undefined],
    ["ephemeral.v1.json", "HTTP/1.1 101", "ephemeral.v1.json"],
    ["ephemeral.v1.msgpack", "HTTP/1.1 101", "ephemeral.v1.msgpack"],
    ["unknown.v9, ephemeral.v1.msgpack , ephemeral.v1.json", "HTTP/1.1 101", "ephemeral.v1.msgpack"],
    ["ephemeral.v2.json", "HTTP/1.1 400", undefined],
    ["unknown.v9, EPHEMERAL.V1.JSON", "HTTP/1.1 400", undefined],
  ])("offered %p is answered %s", async (offered, status, agreed) => {
    await using broker = await testBroker({ port: 0 });
    using client = await webSocketClient(broker.url, { "Sec-WebSocket-Protocol": offered === "" ? null : offered });
    expect(client.head).toStartWith(status);
    expect(/^Sec-WebSocket-Protocol: (.*)$/m.exec(client.head)?.[1]?.trim()).toBe(agreed);
  });

  test("is never compressed", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = await webSocketClient(broker.url, { "Sec-WebSocket-Extensions": "permessage-deflate" });
    expect(client.head).toStartWith("HTTP/1.1 101");
    expect(client.head).not.toContain("Extensions");
  });

  test("speaks MessagePack in binary frames, one map behind another and no length before them", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = await webSocketClient(broker.url, { "Sec-WebSocket-Protocol": "ephemeral.v1.msgpack" });
    const value = Uint8Array.of(0, 255, 10);
    client.send(encode({ ...hello, token: broker.token }));
    expect((await messagesOf(client))[0]).toMatchObject({ ok: true, protocol: 1 });
    const maps = [
      { id: 1, action: "set", key: "k", value, ttl: 60_000 },
      { id: 2, action: "get", key: "k" },
    ];
    client.send(Buffer.concat(maps.map((map) => encode(map))));
    const replies = await messagesOf(client, 2);
    expect(replies).toMatchObject([
      { id: 1, ok: true },
      { id: 2, ok: true, value: Buffer.from(value) },
    ]);
    using line = await lineClient(broker.pipe);
    expect(await line.ask({ action: "get", key: "k" })).toMatchObject({ value: { $binary: "AP8K" } });
  });

  test("reads a message however it is cut into frames and bytes", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = await greetedClient(broker);
    const text = Buffer.from('{"action":"ping","é":"😀"}\n{"action":"ping"}');
    for (let cut = 1; cut < text.length; cut += 3) {
      const frames = [
        clientFrame(opcodes.text, text.subarray(0, cut), { isLast: false }),
        clientFrame(opcodes.ping, Buffer.from("between")),
        clientFrame(0, text.subarray(cut)),
      ];
      for (const byte of Buffer.concat(frames)) client.write(Buffer.of(byte));
      const answers = [await client.next(), await client.next()].filter((one) => "pong" in one);
      // The runtime answers the ping between, as a message of its own.
      if (answers.length < 2) answers.push(await client.next());
      expect(answers).toEqual([pong, pong]);
    }
  });
});

async function messagesOf(client: { next(): Promise<Record<string, unknown>> }, count = 1): Promise<unknown[]> {
  const messages: unknown[] = [];
  while (messages.length < count) messages.push(...decodeMulti((await client.next()).bytes as Uint8Array));
  return messages;
}

describe("hello", () => {
  test("is answered with what a WebSocket needs, and lingers 5 s unless told", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = await greetedClient(broker);
    const { pingIntervalMs, pongTimeoutMs, helloTimeoutMs } = defaultLimits;
    expect(client.hello).toMatchObject({ ok: true, pingIntervalMs, pongTimeoutMs, limits: { helloTimeoutMs } });
    expect([pingIntervalMs, pongTimeoutMs, helloTimeoutMs]).toEqual([25_000, 8_000, 10_000]);
    using line = await lineClient(broker.pipe);
    const onPipe = await line.ask(hello);
    expect(onPipe).not.toHaveProperty("pingIntervalMs");
  });

  test.each([
    ["another command", ping, "bad_command", closeCodes.badRequest],
    ["an unknown command", { action: "nonsense" }, "bad_command", closeCodes.badRequest],
    ["a pong", { action: "pong" }, "bad_command", closeCodes.badRequest],
    ["hello without a token", hello, "auth_failed", closeCodes.authFailed],
    ["hello with an empty token", { ...hello, token: "" }, "auth_failed", closeCodes.authFailed],
    ["hello with a wrong token", { ...hello, token: "0".repeat(64) }, "auth_failed", closeCodes.authFailed],
  ])("is missed before %s: that is refused and closed", async (_what, command, error, code) => {
    await using broker = await testBroker({ port: 0 });
    using client = await webSocketClient(broker.url);
    expect(await client.ask({ id: 7, ...command })).toMatchObject({ id: 7, ok: false, error });
    expect(await client.closed).toMatchObject({ code });
  });

  test("does nothing that came behind a wrong one", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = await webSocketClient(broker.url);
    const set = { id: 2, action: "set", key: "k", value: 1, ttl: 1000 };
    client.send(`${JSON.stringify({ id: 1, ...hello, token: "wrong" })}\n${JSON.stringify(set)}`);
    expect(await client.closed).toMatchObject({ code: closeCodes.authFailed });
    using line = await lineClient(broker.pipe);
    expect(await line.ask({ action: "get", key: "k" })).toMatchObject({ error: "not_found" });
  });
});
