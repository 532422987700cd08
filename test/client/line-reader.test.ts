import { describe, expect, test } from "bun:test";
import { LineReader, pipeReader } from "../../src/client/transports/line-reader.ts";
import { msgpack } from "../../src/msgpack/client-codec.ts";
import type { MessageReader } from "../../src/protocol/codec.ts";
import { refusal } from "../support/refusal.ts";

const utf8 = new TextEncoder();

function readBy(reader: MessageReader, ...chunks: readonly (string | Uint8Array)[]): unknown[] {
  const messages: unknown[] = [];
  for (const chunk of chunks) {
    reader.read(typeof chunk === "string" ? utf8.encode(chunk) : chunk, (message) => messages.push(message) > 0);
  }
  return messages;
}

describe("LineReader.read()", () => {
  test("yields the same messages for every split of two lines of é€😀", () => {
    const bytes = utf8.encode('{"a":"é€😀"}\n\n{"b":2}\n');
    for (let cut = 0; cut <= bytes.length; cut++) {
      const messages = readBy(new LineReader(100), bytes.subarray(0, cut), bytes.subarray(cut));
      expect(messages).toEqual([{ a: "é€😀" }, { b: 2 }]);
    }
  });

  // The first empty line that ended in CRLF cut the connection.
  test("takes no notice of a CR before a line's end, also where nothing else is before it", () => {
    expect(readBy(new LineReader(100), '\r\n{"a":1}\r\n\n\r', "\n", '{"b":2}\r\n')).toEqual([{ a: 1 }, { b: 2 }]);
  });

  test("keeps a line without its end back", () => {
    const reader = new LineReader(100);
    expect(readBy(reader, '{"a":1}')).toEqual([]);
    expect(readBy(reader, "\n")).toEqual([{ a: 1 }]);
  });

  test.each([
    ["bytes that are no UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d, 0x0a), "invalid_json", "4 bytes are no UTF-8"],
    ["half a character before a line feed", Uint8Array.of(0xe2, 0x82, 0x0a), "invalid_json", "3 bytes are no UTF-8"],
    ["what is no JSON", "HTTP/1.1 400\r\n", "invalid_json", "13 characters are no JSON"],
    ["a line past the bound", "x".repeat(101), "too_large", "it has over 100 bytes, the limit"],
  ])("refuses %s", (_what, chunk, code, reason) => {
    const error = refusal(() => readBy(new LineReader(100), chunk));
    expect(error).toMatchObject({ code, message: `Cannot read frame: ${reason}` });
  });

  test("reads no further once it is told to stop", () => {
    const heard: unknown[] = [];
    new LineReader(100).read(utf8.encode('{"n":1}\n{"n":2}\n'), (message) => heard.push(message) < 1);
    expect(heard).toEqual([{ n: 1 }]);
  });
});

test.each([
  ["JSON lines unless told", {}, '{"a":1}\n'],
  ["what the codec reads", { codec: msgpack }, Uint8Array.of(0, 0, 0, 4, 0x81, 0xa1, 0x61, 1)],
])("pipeReader() reads %s", (_what, options, chunk) => {
  expect(readBy(pipeReader(options), chunk)).toEqual([{ a: 1 }]);
});
