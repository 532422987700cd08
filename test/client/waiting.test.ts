/**
 * A client whose connection is gone and whose session waits for the next: who comes meanwhile keeps the process alive, and
 * does not put the next attempt off.
 */
import { expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { ManualClientClock } from "../support/manual-client-clock.ts";
import { helloReply, type ScriptedBroker, scriptedBroker } from "../support/scripted-broker.ts";

/** Its session lingers, and nobody waits for anything. */
async function waitingClient(broker: ScriptedBroker) {
  const clock = new ManualClientClock();
  const client = new Client(broker.pipe, { clock, lingerMs: 60_000, timeoutMs: 30 });
  const ping = client.ping();
  const connection = await broker.accepted();
  connection.answer(await connection.next(), helloReply);
  connection.answer(await connection.next());
  await ping;
  const cut = new Promise((resolve) => client.onState((state) => state === "reconnecting" && resolve(state)));
  connection.cut();
  await cut;
  expect(clock.reconnectsInMs).toEqual([]);
  return { client, clock };
}

// The process ended without a word: of what keeps it alive until it is stopped the hold came first, and armed nothing.
test.each([
  ["a call", (client: Client) => client.get("k")],
  ["a subscription", (client: Client) => client.subscribe("room", () => {})],
  ["a watch", (client: Client) => client.watch("", () => {})],
])("%s that comes meanwhile keeps the process alive", async (_what, say) => {
  await using broker = await scriptedBroker();
  const { client, clock } = await waitingClient(broker);
  const said = say(client).catch((error: unknown) => error);
  expect(await clock.reconnectPlanned()).toBe(50);
  client.close();
  await said;
});

// Each began the wait anew, and so did its end.
test("calls that come and go do not put the next attempt off", async () => {
  await using broker = await scriptedBroker();
  const { client, clock } = await waitingClient(broker);
  const first = client.get("k").catch((error: unknown) => error);
  clock.advance(30);
  expect(await first).toMatchObject({ code: "unavailable" });
  const second = client.get("k").catch((error: unknown) => error);
  expect(clock.reconnectsInMs).toEqual([20]);
  clock.advance(20);
  expect(client.state).toBe("connecting");
  client.close();
  await second;
});
