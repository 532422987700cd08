import { describe, expect, test } from "bun:test";
import { jsonWebFraming } from "../../src/client/transports/web-framing.ts";
import { type WebSocketLike, WebSocketTransport } from "../../src/client/transports/websocket-transport.ts";
import { msgpackWebFraming } from "../../src/msgpack/web-framing.ts";
import type { WebFraming } from "../../src/protocol/codec.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import { ManualClientClock } from "../support/manual-client-clock.ts";
import { refusal } from "../support/refusal.ts";

/** A WebSocket in the test's hands. */
class FakeWebSocket implements WebSocketLike {
  binaryType = "";
  bufferedAmount = 0;
  isClosed = false;
  readonly sent: unknown[] = [];
  onopen: (() => unknown) | null = null;
  onmessage: ((event: { data: string }) => unknown) | null = null;
  onerror: (() => unknown) | null = null;
  onclose: ((event: { code: number; reason: string }) => unknown) | null = null;

  send(data: unknown): void {
    this.sent.push(data);
  }

  close(): void {
    this.isClosed = true;
  }
}

/** An open transport, what it was told and how it ended. */
function opened(silenceMsMax = 35_000) {
  const socket = new FakeWebSocket();
  const clock = new ManualClientClock();
  const endings: [string | undefined, boolean][] = [];
  const dialled: unknown[] = [];
  const WebSocket = function (this: unknown, ...given: unknown[]) {
    dialled.push(given);
    return socket;
    // A class may return another object than its own.
  } as unknown as new () => WebSocketLike;
  const parts = { url: "ws://h/ws", WebSocket, framing: jsonWebFraming, clock, silenceMsMax: () => silenceMsMax };
  const transport = new WebSocketTransport(parts);
  const heard: unknown[] = [];
  transport.open({
    onOpen: () => heard.push("open"),
    onData: (read) => read((message) => heard.push(message) > 0),
    onClose: (error, isFinal) => endings.push([error?.message, isFinal === true && error instanceof EphemeralError]),
  });
  socket.onopen?.();
  return { socket, clock, endings, dialled, transport, heard };
}

describe("WebSocketTransport", () => {
  test("dials with its subprotocol, and hands on what comes as messages", () => {
    const { socket, dialled, heard, transport } = opened();
    socket.onmessage?.({ data: '{"a":1}\n{"b":2}' });
    transport.send('{"c":3}\n{"d":4}\n');
    transport.pong();
    socket.bufferedAmount = 7;
    expect([dialled, heard]).toEqual([[["ws://h/ws", ["ephemeral.v1.json"]]], ["open", { a: 1 }, { b: 2 }]]);
    expect([socket.sent, transport.unsentBytes]).toEqual([['{"c":3}\n{"d":4}', '{"action":"pong"}'], 7]);
  });

  test("takes silence for death, by the clock and not by how many timers went off", () => {
    const { socket, clock, endings } = opened();
    clock.advance(34_999);
    socket.onmessage?.({ data: "{}" });
    clock.advance(34_999);
    expect(endings).toEqual([]);
    clock.advance(1);
    expect([endings, socket.isClosed]).toEqual([[["the broker has been silent for 35000 ms", false]], true]);
    socket.onclose?.({ code: 1006, reason: "" });
    clock.advance(100_000);
    expect([endings.length, clock.alarmsCount]).toEqual([1, 0]);
  });

  test("does not know of silence before the broker has told how often it asks", () => {
    const { clock, endings } = opened(Number.POSITIVE_INFINITY);
    clock.advance(1_000_000);
    expect(endings).toEqual([]);
  });

  test.each<[number, string, [string, boolean]]>([
    [1006, "", ["the WebSocket was closed: 1006", false]],
    [1001, "going away", ["the WebSocket was closed: going away", false]],
    [3001, "shutdown", ["The broker closed the connection: shutdown (3001)", false]],
    [3499, "later", ["The broker closed the connection: later (3499)", false]],
    [3500, "no", ["The broker closed the connection: no (3500)", true]],
    [3503, "kicked", ["The broker closed the connection: kicked (3503)", true]],
  ])("closed with %d: comes back or stays away by the code", (code, reason, ending) => {
    const { socket, endings, clock } = opened();
    socket.onclose?.({ code, reason });
    expect([endings, clock.alarmsCount]).toEqual([[ending], 0]);
  });

  test("says nothing any more after close()", () => {
    const { socket, endings, transport, heard, clock } = opened();
    transport.close();
    socket.onmessage?.({ data: "{}" });
    socket.onclose?.({ code: 1000, reason: "" });
    expect([endings, heard, socket.isClosed, clock.alarmsCount]).toEqual([[], ["open"], true, 0]);
  });
});

function readBy(framing: WebFraming, message: string | ArrayBuffer): unknown[] {
  const messages: unknown[] = [];
  framing.read(message, (one) => messages.push(one) > 0);
  return messages;
}

describe("web framing", () => {
  test("of JSON cuts between objects alone, and loses none", () => {
    const objects = [10, 100_000, 60_000, 300_000, 5, 5].map((length) => JSON.stringify("x".repeat(length)));
    const messages = [...jsonWebFraming.messages(`${objects.join("\n")}\n`)] as string[];
    expect(messages.join("\n").split("\n")).toEqual(objects);
    expect(messages.map((message) => message.split("\n").length)).toEqual([2, 1, 1, 2]);
  });

  test.each([
    ["several objects", '{"a":1}\n{"b":2}', [{ a: 1 }, { b: 2 }]],
    ["a last line feed", '{"a":"é€😀"}\n', [{ a: "é€😀" }]],
    ["empty lines", '\n{"a":1}\n\n', [{ a: 1 }]],
    ["nothing", "", []],
  ])("of JSON reads a message of %s", (_what, message, messages) => {
    expect(readBy(jsonWebFraming, message)).toEqual(messages);
  });

  test.each([
    ["text that is none", "HTTP/1.1 400 Bad Request"],
    ["half an object, though its other half may follow", '{"a":1}\n{"b":'],
    ["a binary message", new ArrayBuffer(3)],
  ])("of JSON refuses %s, without its content", (_what, message) => {
    const { code, message: text } = refusal(() => readBy(jsonWebFraming, message));
    expect([code, text.replace(/\d+/, "N")]).toEqual(["invalid_json", "Cannot read frame: N characters are no JSON"]);
  });

  test.each([
    ["JSON", jsonWebFraming, '{"n":1}\n{"n":2}'],
    ["MessagePack", msgpackWebFraming, Uint8Array.of(0x81, 0xa1, 0x6e, 1, 0x81, 0xa1, 0x6e, 2).buffer],
  ])("of %s reads no further once it is told to stop", (_name, framing, message) => {
    const heard: unknown[] = [];
    framing.read(message, (one) => heard.push(one) < 1);
    expect(heard).toEqual([{ n: 1 }]);
  });

  test("of MessagePack takes the lengths off, and reads maps without them", () => {
    const lengths = [1, 200_000, 100_000, 3];
    const frames = Buffer.concat(
      lengths.map((length) => {
        const map = Buffer.concat([Buffer.of(0x81, 0xa1, 0x61, 0xc6, 0, 0, 0, 0), Buffer.alloc(length)]);
        map.writeUInt32BE(length, 4);
        const prefix = Buffer.alloc(4);
        prefix.writeUInt32BE(map.length);
        return Buffer.concat([prefix, map]);
      }),
    );
    const messages = [...msgpackWebFraming.messages(frames)] as Uint8Array<ArrayBuffer>[];
    expect(messages.map(({ length }) => length)).toEqual([9 + 200_008, 100_008 + 11]);
    const back = messages.flatMap(({ buffer }) => readBy(msgpackWebFraming, buffer));
    expect(back).toEqual(lengths.map((length) => ({ a: new Uint8Array(length) })));
    expect(msgpackWebFraming.pong).toEqual(Buffer.from("\x81\xa6action\xa4pong", "latin1"));
  });
});
