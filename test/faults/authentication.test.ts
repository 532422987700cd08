import { describe, expect, test } from "bun:test";
import { Client, type ClientOptions } from "../../src/client/client.ts";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { flakySocket } from "../support/flaky-socket.ts";
import { proofOf } from "../support/proof.ts";
import { settled } from "../support/resume-scene.ts";
import { helloReply, type Message, type ScriptedBroker, scriptedBroker } from "../support/scripted-broker.ts";

const secret = "correct horse battery staple";
const clientNonce = "c0ffee";
const serverNonce = "00112233445566778899aabbccddeeff";

const refusal = { ok: false, error: "auth_failed" };
const hello = (proof: string, nonce = clientNonce): object => ({
  action: "hello",
  protocol: 1,
  auth: { nonce, proof },
});

async function nonceOf(client: LineClient): Promise<string> {
  return String((await client.ask({ action: "challenge" })).nonce);
}

/** The right answer of a client that was challenged at `endpoint`. */
const answerTo = (endpoint: string, nonce: string): object =>
  hello(proofOf({ side: "client", secret, endpoint, serverNonce: nonce, clientNonce }));

describe("a broker with a secret", () => {
  test("takes no answer that it has heard before, on the same connection or another", async () => {
    await using broker = await testBroker({ secret });
    using victim = await lineClient(broker.pipe);
    const overheard = answerTo(broker.pipe, await nonceOf(victim));
    expect(await victim.ask(overheard)).toMatchObject({ ok: true });
    using replayer = await lineClient(broker.pipe);
    expect(await nonceOf(replayer)).not.toBe("");
    expect(await replayer.ask(overheard)).toMatchObject(refusal);
    await replayer.closed;
    using late = await lineClient(broker.pipe);
    expect(await late.ask(overheard)).toMatchObject(refusal);
  });

  test("takes an answer to its newest challenge only", async () => {
    await using broker = await testBroker({ secret });
    using client = await lineClient(broker.pipe);
    const first = await nonceOf(client);
    expect(await nonceOf(client)).not.toBe(first);
    expect(await client.ask(answerTo(broker.pipe, first))).toMatchObject(refusal);
    await client.closed;
  });

  test("takes no answer to a challenge given on another connection", async () => {
    await using broker = await testBroker({ secret });
    using challenged = await lineClient(broker.pipe);
    using answering = await lineClient(broker.pipe);
    const nonce = await nonceOf(challenged);
    await nonceOf(answering);
    expect(await answering.ask(answerTo(broker.pipe, nonce))).toMatchObject(refusal);
    expect(await challenged.ask(answerTo(broker.pipe, nonce))).toMatchObject({ ok: true });
  });

  test("takes neither its own proof nor one made with its nonce as the client's", async () => {
    await using broker = await testBroker({ secret });
    using honest = await lineClient(broker.pipe);
    const reply = await honest.ask(answerTo(broker.pipe, await nonceOf(honest)));
    const own = (reply.auth as { proof: string }).proof;
    using reflecting = await lineClient(broker.pipe);
    await nonceOf(reflecting);
    expect(await reflecting.ask(hello(own))).toMatchObject(refusal);
    using mirroring = await lineClient(broker.pipe);
    const nonce = await nonceOf(mirroring);
    const mirrored = proofOf({ side: "server", secret, endpoint: broker.pipe, serverNonce: nonce, clientNonce: nonce });
    expect(await mirroring.ask(hello(mirrored, nonce))).toMatchObject(refusal);
  });

  test("gives a session to nobody who only has the session's secret", async () => {
    await using broker = await testBroker({ secret });
    using owner = await lineClient(broker.pipe);
    const greeted = await owner.ask({ ...answerTo(broker.pipe, await nonceOf(owner)), lingerMs: 20_000 });
    const claim = greeted.session as { id: string; secret: string };
    using thief = await lineClient(broker.pipe);
    expect(await thief.ask({ action: "hello", protocol: 1, session: claim })).toMatchObject(refusal);
    expect(await owner.ask({ action: "ping" })).toMatchObject({ ok: true });
  });

  test.each([
    ["right", { secret }, 1],
    ["wrong", { secret: `${secret} ` }, "auth_failed undefined"],
    // It has said its command behind its greeting, and cannot know that nobody looked at it.
    ["missing", {}, "auth_failed unknown"],
  ] as const)("and a client whose secret is %s", async (_what, options, outcome) => {
    await using broker = await testBroker({ secret });
    using client = new Client(broker.pipe, options);
    expect(await settled(client.set("k", 1).then(() => client.get("k")))).toBe(outcome);
  });

  test("never says its secret, nor does its client, whatever they say to each other", async () => {
    await using broker = await testBroker({ secret });
    await using flaky = await flakySocket(broker.pipe);
    using client = new Client(flaky.pipe, { secret, lingerMs: 1000 });
    await settled(client.set("k", 1));
    using direct = new Client(broker.pipe, { secret });
    await direct.set("k", 1);
    const said = flaky.current.heard + flaky.current.told;
    expect(said).toContain("challenge");
    expect(said).not.toContain(secret);
  });
});

describe("a man in the middle", () => {
  test("who relays every byte gets nothing done: the proof names the address he was dialled at", async () => {
    await using broker = await testBroker({ secret });
    await using relay = await flakySocket(broker.pipe);
    using client = new Client(relay.pipe, { secret, timeoutMs: 1000 });
    const set = client.set("k", "canary").catch((error: unknown) => error);
    expect(await set).toMatchObject({ code: "auth_failed" });
    expect([relay.count, relay.current.told.includes("canary"), client.state]).toEqual([1, false, "closed"]);
    using direct = new Client(broker.pipe, { secret });
    expect(await settled(direct.get("k"))).toBe("not_found undefined");
  });

  test("who stands where one broker was cannot use its client's proof at another of the same secret", async () => {
    await using there = await testBroker({ secret });
    await using here = await scriptedBroker();
    using client = new Client(here.pipe, { secret, timeoutMs: 1000 });
    const set = client.set("k", "canary").catch((error: unknown) => error);
    const victim = await here.accepted();
    using relayed = await lineClient(there.pipe);
    victim.answer(await victim.next(), { nonce: await nonceOf(relayed) });
    const answer = await victim.next();
    expect(answer.action).toBe("hello");
    const outcome = await relayed.ask(answer);
    expect(outcome).toMatchObject(refusal);
    victim.say(outcome);
    expect(await set).toMatchObject({ code: "auth_failed" });
    expect(victim.waiting).toBe(0);
  });
});

describe("a client with a secret", () => {
  type Lie = (heard: { nonce: string; proof: string; endpoint: string }) => object;

  /** The reply to `hello` of one who does not know the secret, or knows it from elsewhere. */
  async function lieTo(
    broker: ScriptedBroker,
    lie: Lie,
    options: ClientOptions,
  ): Promise<{ error: unknown; said: Message[] }> {
    using client = new Client(broker.pipe, { secret, timeoutMs: 1000, ...options });
    const set = client.set("k", "canary").catch((error: unknown) => error);
    const connection = await broker.accepted();
    const challenge = await connection.next();
    connection.answer(challenge, { nonce: serverNonce });
    const greeting = await connection.next();
    const { nonce, proof } = greeting.auth as { nonce: string; proof: string };
    connection.answer(greeting, { ...helloReply, ...lie({ nonce, proof, endpoint: broker.pipe }) });
    const error = await set;
    await connection.closed;
    expect(connection.waiting).toBe(0);
    return { error, said: [challenge, greeting] };
  }

  const proofBy = (changes: object, { nonce, endpoint }: { nonce: string; endpoint: string }): object => ({
    auth: { proof: proofOf({ side: "server", secret, endpoint, serverNonce, clientNonce: nonce, ...changes }) },
  });

  test.each<[string, Lie]>([
    ["no proof", () => ({})],
    ["no proof but a kind word", () => ({ auth: {} })],
    ["an empty proof", () => ({ auth: { proof: "" } })],
    ["its own proof reflected", ({ proof }) => ({ auth: { proof } })],
    ["its nonce for a proof", ({ nonce }) => ({ auth: { proof: nonce + nonce } })],
    ["a proof of another secret", (heard) => proofBy({ secret: "guess" }, heard)],
    ["a proof for another endpoint", (heard) => proofBy({ endpoint: "/run/other/sock" }, heard)],
    ["a proof for another challenge", (heard) => proofBy({ serverNonce: "0".repeat(32) }, heard)],
    ["a proof to another client", (heard) => proofBy({ clientNonce }, heard)],
    ["a proof as a client", (heard) => proofBy({ side: "client" }, heard)],
    ["half the right proof", (heard) => ({ auth: { proof: JSON.stringify(proofBy({}, heard)).slice(18, 50) } })],
  ])("answered with %s says nothing more and fails for good", async (_what, lie) => {
    await using broker = await scriptedBroker();
    for (const options of [{}, { lingerMs: 1000 }]) {
      const { error, said } = await lieTo(broker, lie, options);
      expect(error).toMatchObject({ code: "auth_failed", retryable: false });
      expect(said.map(({ action }) => action)).toEqual(["challenge", "hello"]);
      expect(JSON.stringify(said)).not.toContain("canary");
      expect(JSON.stringify(said)).not.toContain(secret);
    }
    expect(broker.waiting).toBe(0);
  });

  test("is convinced by the right one, so that the others were refused for what they were", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe, { secret });
    const set = client.set("k", 1);
    const connection = await broker.accepted();
    connection.answer(await connection.next(), { nonce: serverNonce });
    const greeting = await connection.next();
    const { nonce } = greeting.auth as { nonce: string };
    connection.answer(greeting, { ...helloReply, ...proofBy({}, { nonce, endpoint: broker.pipe }) });
    connection.answer(await connection.next(), { version: 7 });
    expect(await set).toBe(7);
  });

  test("does not greet a broker that has no challenge", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe, { secret });
    const set = settled(client.set("k", "canary"));
    const connection = await broker.accepted();
    const challenge = await connection.next();
    connection.refuse(challenge, { error: "unknown_action", message: "no such action" });
    expect(await set).toBe("unknown_action undefined");
    expect([challenge, connection.waiting]).toEqual([{ id: 1, action: "challenge" }, 0]);
  });

  test("takes a new nonce each time, so that an old reply convinces nobody", async () => {
    const nonces = new Set<unknown>();
    for (let count = 0; count < 3; count++) {
      await using fake = await scriptedBroker();
      using client = new Client(fake.pipe, { secret });
      const ping = settled(client.ping());
      const connection = await fake.accepted();
      connection.answer(await connection.next(), { nonce: serverNonce });
      nonces.add(((await connection.next()).auth as { nonce: string }).nonce);
      client.close();
      await ping;
    }
    expect(nonces.size).toBe(3);
  });
});
