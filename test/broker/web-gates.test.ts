/** Who is let in by the web door, and who is not: names, origins, tokens, secrets, and how often one may be wrong. */
import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Hosts } from "../../src/broker/web/hosts.ts";
import { closeCodes } from "../../src/protocol/errors.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { proofOf } from "../support/proof.ts";
import { recordedLog } from "../support/recorded-log.ts";
import { until } from "../support/until.ts";
import { greetedClient, webSocketClient } from "../support/web-socket.ts";

const hello = { action: "hello", protocol: 1 };
const httpOf = (url: string | undefined, path: string): string =>
  (url ?? "").replace("ws:", "http:").replace("/ws", path);
const statusOf = (head: string): number => Number(head.split(" ")[1]);

describe("Hosts.include()", () => {
  const loopback = { host: "127.0.0.1", port: 7000, allowedHosts: [] };
  const everywhere = { ...loopback, host: "0.0.0.0" };
  const named = { ...everywhere, allowedHosts: ["hub.test", "front.test:8443"] };
  test.each([
    [loopback, "127.0.0.1:7000", true],
    [loopback, "localhost:7000", true],
    [loopback, "LocalHost:7000", true],
    [loopback, "127.0.0.1", false],
    [loopback, "127.0.0.1:7001", false],
    [loopback, "127.0.0.1:70000", false],
    [loopback, "127.0.0.2:7000", false],
    [loopback, "evil.test:7000", false],
    [loopback, "localhost.evil.test:7000", false],
    [loopback, "evillocalhost:7000", false],
    [loopback, "localhost:7000.evil.test", false],
    [loopback, "localhost:7000@evil.test", false],
    [loopback, "localhost:7000, evil.test", false],
    [loopback, "", false],
    [loopback, null, false],
    [{ ...loopback, host: "::1" }, "[::1]:7000", true],
    [{ ...loopback, host: "::1" }, "::1:7000", false],
    [{ ...loopback, port: 80 }, "localhost", true],
    [{ ...loopback, host: "192.0.2.7" }, "192.0.2.7:7000", true],
    [{ ...loopback, host: "192.0.2.7" }, "localhost:7000", false],
    [everywhere, "192.0.2.7:7000", true],
    [everywhere, "[2001:db8::1]:7000", true],
    [everywhere, "localhost:7000", true],
    [everywhere, "evil.test:7000", false],
    [everywhere, "192.0.2.7.evil.test:7000", false],
    [named, "hub.test", true],
    [named, "hub.test:7000", true],
    [named, "hub.test:7001", false],
    [named, "front.test:8443", true],
    [named, "front.test", false],
    [named, "192.0.2.7:7000", false],
    [named, "127.0.0.1:7000", true],
  ])("of %j, %p: %p", (config, header, isIncluded) => {
    expect(new Hosts(config).include(header)).toBe(isIncluded);
  });
});

describe("the upgrade", () => {
  const origins = { allowedOrigins: ["https://app.test", "http://app.test:3000"] };
  test.each([
    ["no Origin, as of no browser", {}, 101],
    ["our own Origin", { Origin: "http://HOST" }, 101],
    ["an allowed Origin", { Origin: "https://app.test" }, 101],
    ["another one that is allowed", { Origin: "http://app.test:3000" }, 101],
    ["the Origin null", { Origin: "null" }, 403],
    ["an empty Origin", { Origin: "" }, 403],
    ["another scheme", { Origin: "http://app.test" }, 403],
    ["another port", { Origin: "https://app.test:3000" }, 403],
    ["an allowed one as a prefix", { Origin: "https://app.test.evil.test" }, 403],
    ["an allowed one as a suffix", { Origin: "https://evilapp.test" }, 403],
    ["one below an allowed one", { Origin: "https://x.app.test" }, 403],
    ["an allowed one and more", { Origin: "https://app.test https://evil.test" }, 403],
    ["an allowed one in capitals", { Origin: "https://APP.test" }, 403],
    ["an allowed one with a slash", { Origin: "https://app.test/" }, 403],
    ["our own Origin with TLS", { Origin: "https://HOST" }, 403],
    ["a page of another port here", { Origin: "http://127.0.0.1:1" }, 403],
    ["another Host", { Host: "evil.test" }, 403],
    ["another Host that is its Origin, too", { Host: "evil.test", Origin: "http://evil.test" }, 403],
    ["no upgrade", { Upgrade: null }, 400],
  ])("with %s", async (_what, headers: Record<string, string | null>, status) => {
    await using broker = await testBroker({ port: 0, ...origins });
    const { host } = new URL(broker.url ?? "");
    const own = Object.entries(headers).map(([name, value]) => [name, value?.replace("HOST", host) ?? null]);
    using client = await webSocketClient(broker.url, Object.fromEntries(own));
    expect(statusOf(client.head)).toBe(status);
  });

  test.each(["?token=x", "?", "?a", "?access_token=x&b=c"])("with the query %p is refused", async (query) => {
    await using broker = await testBroker({ port: 0 });
    using client = await webSocketClient(`${broker.url}${query}`);
    // A question mark alone is no query, and says nothing.
    expect(statusOf(client.head)).toBe(query === "?" ? 101 : 400);
  });

  test("is refused past connectionsMax, and no connection is lost to it", async () => {
    await using broker = await testBroker({ port: 0, limits: { connectionsMax: 2 } });
    using first = await greetedClient(broker);
    using line = await lineClient(broker.pipe);
    await line.ask({ action: "ping" });
    using refused = await webSocketClient(broker.url);
    expect(statusOf(refused.head)).toBe(503);
    const answer = await fetch(httpOf(broker.url, "/stats"), { headers: { Authorization: `Bearer ${broker.token}` } });
    expect([answer.status, await answer.json()]).toMatchObject([503, { error: "too_many_connections" }]);
    expect(await first.ask({ action: "ping" })).toMatchObject({ ok: true });
  });
});

test("who dialled before the end and asks after it is not let in, and does not keep the broker", async () => {
  await using broker = await testBroker({ port: 0 });
  const { hostname, port, host } = new URL(broker.url ?? "");
  const socket = connect(Number(port), hostname);
  let heard = "";
  socket.on("data", (chunk) => {
    heard += chunk;
  });
  const ask = (path: string, headers = ""): boolean =>
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${headers}\r\n`);
  ask("/readyz");
  await until(() => heard.endsWith("ready\n"));
  const startedAtMs = performance.now();
  const stopped = broker.stop();
  const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  ask("/ws", `Upgrade: websocket\r\nConnection: Upgrade\r\n${key}`);
  await stopped;
  expect(performance.now() - startedAtMs).toBeLessThan(5000);
  await until(() => socket.destroyed || socket.readableEnded);
  expect(heard).not.toContain("101 Switching");
});

describe("10 failures within a minute", () => {
  test.each(["WebSocket", "HTTP"])("by %s have the address answered 429", async (by) => {
    const log = recordedLog();
    await using broker = await testBroker({ port: 0, log });
    const stats = (token: string): Promise<Response> =>
      fetch(httpOf(broker.url, "/stats"), { headers: { Authorization: `Bearer ${token}` } });
    using before = await greetedClient(broker);
    for (let attempt = 0; attempt < 10; attempt++) {
      if (by === "HTTP") expect((await stats("wrong")).status).toBe(401);
      else {
        using client = await webSocketClient(broker.url);
        expect(await client.ask({ ...hello, token: "wrong" })).toMatchObject({ error: "auth_failed" });
        await client.closed;
      }
    }
    const refused = await stats(broker.token ?? "");
    expect([refused.status, Number(refused.headers.get("Retry-After")) > 50]).toEqual([429, true]);
    expect(await refused.json()).toMatchObject({ ok: false, error: "rate_limited", retryable: true });
    using client = await webSocketClient(broker.url);
    expect(statusOf(client.head)).toBe(429);
    // Who is in already is not sent away, and whether it lives anybody may ask.
    expect(await before.ask({ action: "ping" })).toMatchObject({ ok: true });
    expect((await fetch(httpOf(broker.url, "/healthz"))).status).toBe(200);
  });
});

test("sockets that were opened before the first failure are no more tries than others", async () => {
  await using broker = await testBroker({ port: 0 });
  const clients = await Promise.all(Array.from({ length: 13 }, () => webSocketClient(broker.url)));
  const errors: unknown[] = [];
  for (const client of clients) errors.push((await client.ask({ ...hello, token: "wrong" })).error);
  // Each of them once had its own try: as many guesses a minute as there may be connections.
  expect(errors).toEqual([...Array(10).fill("auth_failed"), ...Array(3).fill("rate_limited")]);
  for (const client of clients) client[Symbol.dispose]();
});

describe("a secret", () => {
  const secret = "correct horse battery staple";
  const clientNonce = "00112233445566778899aabbccddeeff";

  test.each([
    ["over the URL as dialled", (url: string) => url, true],
    ["over the URL of a proxy that speaks TLS for it", (url: string) => url.replace("ws:", "wss:"), true],
    ["over another scheme", (url: string) => url.replace("ws:", "http:"), false],
    ["over the pipe's path", (_url: string, pipe: string) => pipe, false],
    ["over another URL", (url: string) => url.replace("127.0.0.1", "localhost"), false],
  ])("is proved %s", async (_what, endpointOf, isRight) => {
    await using broker = await testBroker({ port: 0, secret });
    using client = await webSocketClient(broker.url);
    const { nonce } = await client.ask({ action: "challenge" });
    const parts = {
      secret,
      endpoint: endpointOf(broker.url ?? "", broker.pipe),
      serverNonce: String(nonce),
      clientNonce,
    };
    const proof = proofOf({ side: "client", ...parts });
    const reply = await client.ask({ ...hello, auth: { nonce: clientNonce, proof } });
    if (isRight) expect(reply).toMatchObject({ ok: true, auth: { proof: proofOf({ side: "server", ...parts }) } });
    else expect([reply.error, (await client.closed).code]).toEqual(["auth_failed", closeCodes.authFailed]);
  });

  test.each([
    ["a seal as on the pipe", (text: string) => text],
    ["the secret as token", () => JSON.stringify({ ...hello, token: secret })],
  ])("is not proved by %s", async (_what, say) => {
    await using broker = await testBroker({ port: 0, secret });
    using client = await webSocketClient(broker.url);
    const { sealed } = await import("../support/proof.ts");
    client.send(say(sealed(hello, secret).trimEnd()));
    expect(await client.next()).toMatchObject({ error: "auth_failed" });
    expect(await client.closed).toMatchObject({ code: closeCodes.authFailed });
  });

  test("is what Authorization has to bear where there is one", async () => {
    await using broker = await testBroker({ port: 0, secret: "one-word" });
    const ask = (word: string): Promise<Response> =>
      fetch(httpOf(broker.url, "/stats"), { headers: { Authorization: word } });
    const statuses = [await ask("Bearer one-word"), await ask("Bearer another"), await ask("Basic one-word")];
    expect(statuses.map(({ status }) => status)).toEqual([200, 401, 401]);
  });
});

describe("a session", () => {
  test("is gone on with by the same door alone", async () => {
    await using broker = await testBroker({ port: 0 });
    const client = await greetedClient(broker);
    const { id, secret } = client.hello.session as { id: string; secret: string };
    await client.ask({ action: "lease", key: "k", workerId: "w", scope: "session", ttl: 60_000 });
    client[Symbol.dispose]();
    using line = await lineClient(broker.pipe);
    const onPipe = await line.ask({ ...hello, session: { id, secret } });
    expect(onPipe).toMatchObject({ ok: true, session: { resumed: false } });
    using again = await greetedClient(broker, { session: { id, secret } });
    expect(again.hello).toMatchObject({ session: { id, resumed: true }, holds: [{ kind: "lease", id: "k" }] });
  });

  test("that is taken over closes its WebSocket with 3503, and lingers as it was told", async () => {
    await using broker = await testBroker({ port: 0 });
    using first = await greetedClient(broker);
    using second = await greetedClient(broker, { session: first.hello.session, lingerMs: 0 });
    expect(await first.next()).toMatchObject({ push: "closing", code: closeCodes.kicked });
    expect(await first.closed).toEqual({ code: closeCodes.kicked, reason: "taken over by another connection" });
    await second.ask({ action: "set", key: "k", value: 1, scope: "session" });
    second[Symbol.dispose]();
    using line = await lineClient(broker.pipe);
    await until(async () => (await line.ask({ action: "get", key: "k" })).error === "not_found");
  });

  test("cannot have a command run at the end of the run, nor linger for more than a minute", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = await greetedClient(broker);
    const onEnd = { action: "onEnd", argv: ["true"], cwd: "/" };
    expect(await client.ask(onEnd)).toMatchObject({ ok: false, error: "forbidden" });
    expect(greetedClient(broker, { lingerMs: 60_001 })).rejects.toThrow("bad_command");
  });
});

describe("plain HTTP", () => {
  const json = { "Content-Type": "application/json" };
  const message = JSON.stringify({ channel: "news", data: { hello: "é" } });
  test.each([
    ["GET", "/healthz", {}, undefined, 200, "ok\n"],
    ["GET", "/readyz", {}, undefined, 200, "ready\n"],
    ["GET", "/healthz", { Host: "evil.test" }, undefined, 200, "ok\n"],
    ["GET", "/metrics", {}, undefined, 200, "ephemeral_broker_operations_total"],
    ["GET", "/stats", {}, undefined, 200, '{"ok":true,"stats":{"items":0'],
    ["GET", "/channels", {}, undefined, 200, '{"ok":true,"channels":[]'],
    ["POST", "/publish", json, message, 200, '"offset":1'],
    ["POST", "/publish", { "Content-Type": "Application/JSON; charset=utf-8" }, message, 200, '"offset":1'],
    ["POST", "/send", json, '{"to":{"session":"s99"},"event":"e","data":1}', 200, '"receivers":0'],
    ["POST", "/publish", json, '{"channel":"news"}', 400, '"error":"bad_command"'],
    ["POST", "/publish", json, "[1]", 400, '"error":"invalid_json"'],
    ["POST", "/publish", json, '{"a":', 400, '"error":"invalid_json"'],
    ["POST", "/publish", json, `${'{"a":'.repeat(70)}1${"}".repeat(70)}`, 400, "nesting is over 64"],
    // Who names another action is answered by the path's.
    ["POST", "/publish", json, '{"action":"ps","id":3,"channel":"c","data":1}', 200, '"offset":1'],
    ["POST", "/publish", json, "x".repeat(1025), 413, '"error":"too_large"'],
    ["POST", "/publish", json, "x".repeat(5000), 413, ""],
    ["POST", "/publish", { "Content-Type": "text/plain" }, message, 400, "wanted Content-Type application/json"],
    ["POST", "/publish", { "Content-Type": "application/json-seq" }, message, 400, "wanted Content-Type"],
    ["POST", "/publish", { ...json, Origin: "https://evil.test" }, message, 403, '"error":"forbidden"'],
    ["GET", "/stats", { Origin: "null" }, undefined, 403, '"error":"forbidden"'],
    ["GET", "/stats", { Host: "evil.test" }, undefined, 403, '"error":"forbidden"'],
    ["GET", "/stats", { Authorization: "" }, undefined, 401, '"error":"auth_failed"'],
    ["GET", "/stats", { Authorization: "Bearer" }, undefined, 401, '"error":"auth_failed"'],
    ["GET", "/stats", { Authorization: "Bearer wrong" }, undefined, 401, '"error":"auth_failed"'],
    ["GET", "/stats", { Authorization: "", Cookie: "token=TOKEN; Authorization=Bearer TOKEN" }, undefined, 401, ""],
    ["GET", "/stats?token=TOKEN", { Authorization: "" }, undefined, 400, "it has a query"],
    ["POST", "/stats", json, "{}", 405, '"error":"bad_command"'],
    ["GET", "/publish", {}, undefined, 405, "wanted POST"],
    ["GET", "/nothing", {}, undefined, 404, '"error":"not_found"'],
    ["GET", "/ws", {}, undefined, 400, "wanted the opening of a WebSocket"],
  ])("%s %s with %j", async (method, path, headers, body, status, text) => {
    const limits = { frameBytesMax: 1024, valueBytesMax: 900 };
    await using broker = await testBroker({ port: 0, limits });
    const fill = (word: string): string => word.replaceAll("TOKEN", broker.token ?? "");
    const sent = Object.entries({ Authorization: "Bearer TOKEN", ...headers }).map(([name, word]) => [
      name,
      fill(word),
    ]);
    const answer = await fetch(httpOf(broker.url, fill(path)), {
      method,
      headers: Object.fromEntries(sent),
      ...(body === undefined ? {} : { body }),
    });
    expect([answer.status, await answer.text()]).toEqual([status, expect.stringContaining(text)]);
    expect(answer.headers.get("Set-Cookie")).toBeNull();
    expect(answer.headers.get("Access-Control-Allow-Origin")).toBeNull();
    using line = await lineClient(broker.pipe);
    expect(await line.ask({ action: "ping" })).toMatchObject({ ok: true });
  });

  test("tells the log no path that is none of ours, however it was refused", async () => {
    const log = recordedLog();
    await using broker = await testBroker({ port: 0, log });
    for (const path of ["/word?x", "/word", "/stats?x"]) {
      await fetch(httpOf(broker.url, path), { headers: { Origin: "http://evil.test" } });
      await fetch(httpOf(broker.url, path));
    }
    expect(new Set(log.of("request answered").map(({ path }) => path))).toEqual(new Set(["/stats"]));
  });

  test("is no failure of the broker when a body is cut off", async () => {
    const log = recordedLog();
    await using broker = await testBroker({ port: 0, log });
    const { hostname, port } = new URL(broker.url ?? "");
    const head = `POST /publish HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${broker.token}\r\n`;
    const socket = connect(Number(port), hostname);
    socket.write(`${head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{`);
    await fetch(httpOf(broker.url, "/healthz"));
    socket.destroy();
    await until(() => log.of("request answered").some(({ path }) => path === "/publish"));
    expect(log.of("internal error")).toEqual([]);
  });

  test("takes no body whose size is not told", async () => {
    await using broker = await testBroker({ port: 0 });
    const body = new ReadableStream({
      start(stream) {
        stream.enqueue(Buffer.from(message));
        stream.close();
      },
    });
    const headers = { ...json, Authorization: `Bearer ${broker.token}` };
    const answer = await fetch(httpOf(broker.url, "/publish"), { method: "POST", headers, body });
    expect([answer.status, await answer.json()]).toMatchObject([
      400,
      { message: "Cannot read body: wanted a Content-Length" },
    ]);
  });

  test("publishes to who listens on the pipe and by WebSocket", async () => {
    await using broker = await testBroker({ port: 0 });
    using line = await lineClient(broker.pipe);
    using client = await greetedClient(broker);
    for (const one of [line, client])
      expect(await one.ask({ action: "subscribe", channel: "news" })).toMatchObject({ ok: true });
    const headers = { ...json, Authorization: `Bearer ${broker.token}` };
    const answer = await fetch(httpOf(broker.url, "/publish"), { method: "POST", headers, body: message });
    expect(await answer.json()).toMatchObject({ ok: true, receivers: 2 });
    for (const one of [line, client]) {
      expect(await one.next()).toMatchObject({ push: "message", channel: "news", offset: 1, data: { hello: "é" } });
    }
  });

  test("is not ready any more once the broker is about to end", async () => {
    await using broker = await testBroker({ port: 0 });
    void broker.drain(60_000);
    const answer = await fetch(httpOf(broker.url, "/readyz"));
    expect([answer.status, await answer.text()]).toEqual([503, "draining\n"]);
  });
});
