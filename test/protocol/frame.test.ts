import { describe, expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { DetectingDecoder } from "../../src/protocol/detecting-decoder.ts";
import { LineDecoder } from "../../src/protocol/line-decoder.ts";
import { PrefixedDecoder } from "../../src/protocol/prefixed-decoder.ts";
import { announceSeed, testSeed } from "../support/random.ts";
import { refusal } from "../support/refusal.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (frame: Uint8Array): string => new TextDecoder().decode(frame);

const decoders = { lines: LineDecoder, prefixed: PrefixedDecoder, detect: DetectingDecoder };
type Framing = keyof typeof decoders;

/** Pushes `chunks` one after another and collects the frames as text. */
function framesOf(chunks: readonly Uint8Array[], framing: Framing = "lines", frameBytesMax = 1000): string[] {
  const decoder = new decoders[framing](frameBytesMax);
  const frames: string[] = [];
  for (const chunk of chunks) expect(decoder.push(chunk, (frame) => void frames.push(text(frame)))).toBe(chunk.length);
  return frames;
}

function split(stream: Uint8Array, ...at: readonly number[]): Uint8Array[] {
  const ends = [...at, stream.length];
  return ends.map((end, index) => stream.slice(index === 0 ? 0 : ends[index - 1], end));
}

function prefixed(body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(4 + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, 4);
  return frame;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const lines = bytes('{"a":"é€😀"}\n{"b":1}\r\n\n\r\n{"c":"\\n"}\n{"d"\r:2}\n');
const lineFrames = ['{"a":"é€😀"}', '{"b":1}', '{"c":"\\n"}', '{"d"\r:2}'];
const bodies = ["é€😀", "", "a\nb\r\n", "x".repeat(300)];
const prefixes = join(bodies.map((body) => prefixed(bytes(body))));

describe("FrameDecoder.push()", () => {
  test("yields the same frames for every split of é€😀\\n, CRLF and empty lines at one byte", () => {
    for (let at = 0; at <= lines.length; at++) expect([at, framesOf(split(lines, at))]).toEqual([at, lineFrames]);
  });

  test("yields the same lines for every split at two bytes", () => {
    for (let first = 0; first <= lines.length; first++) {
      for (let second = first; second <= lines.length; second++) {
        expect([first, second, framesOf(split(lines, first, second))]).toEqual([first, second, lineFrames]);
      }
    }
  });

  test("yields the same lines when every byte comes alone", () => {
    expect(framesOf(Array.from(lines, (byte) => Uint8Array.of(byte)))).toEqual(lineFrames);
  });

  test.each(["prefixed", "detect"] as const)(
    "with framing %s yields the same bodies for every split at one byte",
    (framing) => {
      for (let at = 0; at <= prefixes.length; at++) {
        expect([at, framesOf(split(prefixes, at), framing)]).toEqual([at, bodies]);
      }
    },
  );

  test("with prefixed framing yields the same bodies for every split at two bytes of the first three", () => {
    const stream = join(bodies.slice(0, 3).map((body) => prefixed(bytes(body))));
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        expect(framesOf(split(stream, first, second), "prefixed")).toEqual(bodies.slice(0, 3));
      }
    }
  });

  test.each([
    ["a line of the bound", "lines", `${"x".repeat(1000)}\n`, 1000],
    ["a line of the bound and CRLF", "lines", `${"x".repeat(1000)}\r\n`, 1000],
    ["a line of one byte more that is a CR", "lines", `${"x".repeat(999)}\r\r\n`, 1000],
    ["a prefixed body of the bound", "prefixed", prefixed(bytes("x".repeat(1000))), 1000],
  ] as const)("takes %s, whole and byte by byte", (_what, framing, stream, length) => {
    const all = typeof stream === "string" ? bytes(stream) : stream;
    expect(framesOf([all], framing).map((frame) => frame.length)).toEqual([length]);
    expect(
      framesOf(
        Array.from(all, (byte) => Uint8Array.of(byte)),
        framing,
      ).map((frame) => frame.length),
    ).toEqual([length]);
  });

  test.each([
    ["a line of one byte over the bound", "lines", bytes(`${"x".repeat(1001)}\n`)],
    ["a line of one byte over the bound and CRLF", "lines", bytes(`${"x".repeat(1001)}\r\n`)],
    ["two bytes over the bound without an end", "lines", bytes("x".repeat(1002))],
    ["a prefix that says one byte over the bound", "prefixed", Uint8Array.of(0, 0, 0x03, 0xe9)],
    ["a prefix that says 4 GiB", "prefixed", Uint8Array.of(255, 255, 255, 255)],
  ] as const)("refuses %s as too_large, whole and byte by byte", (_what, framing, stream) => {
    const wanted = { code: "too_large", details: { frameBytesMax: 1000 } };
    expect(refusal(() => framesOf([stream], framing))).toMatchObject(wanted);
    expect(
      refusal(() =>
        framesOf(
          Array.from(stream, (byte) => Uint8Array.of(byte)),
          framing,
        ),
      ),
    ).toMatchObject(wanted);
  });

  test("refuses 10 MiB without an end after 1 MiB and keeps none of it", () => {
    const decoder = new LineDecoder(1 * MiB);
    const piece = new Uint8Array(64 * KiB).fill(0x78);
    Bun.gc(true);
    const before = process.memoryUsage().external;
    const refusedAfter: number[] = [];
    for (let pushed = 0; pushed < 10 * MiB; pushed += piece.length) {
      try {
        decoder.push(piece, () => expect.unreachable());
      } catch {
        refusedAfter.push(pushed / piece.length);
      }
    }
    // Each refusal forgets what was kept: seventeen pieces are the first that pass the bound.
    expect(refusedAfter).toEqual([16, 33, 50, 67, 84, 101, 118, 135, 152]);
    Bun.gc(true);
    expect(process.memoryUsage().external - before).toBeLessThan(2 * MiB);
  });

  test("refuses one chunk of 10 MiB without an end without copying it", () => {
    const decoder = new LineDecoder(1 * MiB);
    const chunk = new Uint8Array(10 * MiB).fill(0x78);
    const copied = spyOn(Object.getPrototypeOf(Uint8Array.prototype), "set");
    try {
      expect(refusal(() => decoder.push(chunk, () => expect.unreachable())).code).toBe("too_large");
      expect(copied).not.toHaveBeenCalled();
      // What is within the bound is copied, so that this test can fail.
      decoder.push(chunk.subarray(0, 100), () => expect.unreachable());
      expect(copied).toHaveBeenCalledTimes(2);
    } finally {
      copied.mockRestore();
    }
  });

  test("hands on the frames before one that is too large", () => {
    const decoder = new LineDecoder(4);
    const frames: string[] = [];
    const error = refusal(() => decoder.push(bytes("ab\ncd\nefghij\n"), (frame) => void frames.push(text(frame))));
    expect(error.code).toBe("too_large");
    expect(frames).toEqual(["ab", "cd"]);
  });

  test("holds a frame begun to a bound lowered meanwhile", () => {
    const decoder = new LineDecoder(100);
    decoder.push(bytes("x".repeat(50)), () => expect.unreachable());
    decoder.frameBytesMax = 10;
    expect(refusal(() => decoder.push(bytes("x"), () => expect.unreachable())).code).toBe("too_large");
  });

  test.each([
    ["lines", bytes("one\ntwo\n\nthree\n")],
    ["prefixed", join(["one", "two", "three"].map((body) => prefixed(bytes(body))))],
  ] as const)(
    "with framing %s stops where onFrame returns false and takes the rest when it is pushed again",
    (framing, stream) => {
      const decoder = new decoders[framing](100);
      const frames: string[] = [];
      let rest: Uint8Array = stream;
      let pushes = 0;
      while (rest.length > 0) {
        const takenFrames = frames.length;
        rest = rest.subarray(decoder.push(rest, (frame) => frames.push(text(frame)) === 0));
        expect(frames.length).toBe(takenFrames + 1);
        if (++pushes > 10) break;
      }
      expect(frames).toEqual(["one", "two", "three"]);
    },
  );

  test.each(["lines", "prefixed"] as const)(
    "with framing %s stops after each frame when onFrame says so, however the stream is split",
    (framing) => {
      const wanted = ["é€", "😀", "end"];
      const stream = framing === "lines" ? bytes("é€\n😀\r\nend\n") : join(wanted.map((body) => prefixed(bytes(body))));
      for (let at = 0; at <= stream.length; at++) {
        const decoder = new decoders[framing](100);
        const frames: string[] = [];
        for (const chunk of split(stream, at)) {
          for (let rest: Uint8Array = chunk; rest.length > 0; ) {
            rest = rest.subarray(
              decoder.push(rest, (frame) => {
                frames.push(text(frame));
                return false;
              }),
            );
          }
        }
        expect([at, frames]).toEqual([at, wanted]);
      }
    },
  );

  test.each([
    ["0x00", Uint8Array.of(0, 0, 0, 1, 0x78), "prefixed"],
    ["an LF", bytes("\nx\n"), "lines"],
    ["a letter", bytes("x\n"), "lines"],
    ["0xff", Uint8Array.of(0xff, 0x0a), "lines"],
  ] as const)("with framing detect takes %s for the first byte of its framing", (_what, stream, framing) => {
    const decoder = new DetectingDecoder(100);
    expect(decoder.push(new Uint8Array(0), () => expect.unreachable())).toBe(0);
    expect(decoder.framing).toBe("undecided");
    const frames: number[] = [];
    decoder.push(stream, (frame) => void frames.push(frame.length));
    expect(decoder.framing).toBe(framing);
    expect(frames).toEqual([1]);
  });

  const frame = fc.uint8Array({ maxLength: 60 });
  const cuts = fc.array(fc.nat({ max: 2000 }), { maxLength: 20 });

  /** Cuts `stream` where `places` say, in their order. */
  function cutUp(stream: Uint8Array, places: readonly number[]): Uint8Array[] {
    const sorted = places.map((place) => place % (stream.length + 1)).sort((a, b) => a - b);
    return split(stream, ...sorted);
  }

  test("yields what was framed for random frames and random splits in every framing", () => {
    announceSeed("FrameDecoder.push()");
    const property = fc.property(fc.array(frame, { maxLength: 12 }), cuts, fc.boolean(), (frames, places, crlf) => {
      const prefixedFrames: string[] = [];
      const decoder = new PrefixedDecoder(60);
      for (const chunk of cutUp(join(frames.map(prefixed)), places)) {
        decoder.push(chunk, (body) => void prefixedFrames.push(Buffer.from(body).toString("hex")));
      }
      expect(prefixedFrames).toEqual(frames.map((body) => Buffer.from(body).toString("hex")));

      // A line may hold any byte but LF, is not empty, and a CR at its end belongs to the line's end.
      const asLines = frames.map((body) => [...body].filter((byte) => byte !== 0x0a && byte !== 0x0d));
      const stream = asLines.flatMap((line) => [...line, ...(crlf ? [0x0d] : []), 0x0a]);
      const found: string[] = [];
      const lineDecoder = new LineDecoder(60);
      for (const chunk of cutUp(Uint8Array.from(stream), places)) {
        lineDecoder.push(chunk, (line) => void found.push(Buffer.from(line).toString("hex")));
      }
      const wanted = asLines.filter((line) => line.length > 0).map((line) => Buffer.from(line).toString("hex"));
      expect(found).toEqual(wanted);
    });
    fc.assert(property, { seed: testSeed, numRuns: 500 });
  });
});
