/**
 * Durations, sizes and counts: what is read, what is refused, and how durations and sizes are shown.
 */
import { describe, expect, test } from "bun:test";
import { countUnit, durationUnit, formatBytes, formatDuration, sizeUnit } from "../../src/cli/units.ts";

describe("durationUnit.read()", () => {
  test.each([
    ["0", 0],
    ["250", 250],
    ["500ms", 500],
    ["10s", 10_000],
    ["1.5s", 1500],
    ["1.1s", 1100],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["30d", 2_592_000_000],
  ])("reads %p as %p ms", (text, ms) => {
    expect(durationUnit.read(text)).toBe(ms);
  });

  test.each([
    "",
    " ",
    "s",
    "-5",
    "-5s",
    "+5s",
    "5 s",
    "5S",
    "5sec",
    "1h30m",
    "1e3",
    "0x10",
    "NaN",
    "Infinity",
    "1.5",
    "0.5ms",
    ".5s",
    "5.s",
    "9007199254740992",
    "104249991374d",
    "forever",
  ])("refuses %p", (text) => {
    expect(durationUnit.read(text)).toBeUndefined();
  });
});

describe("sizeUnit.read()", () => {
  test.each([
    ["4096", 4096],
    ["7B", 7],
    ["10kB", 10_000],
    ["64KiB", 65_536],
    ["1MiB", 1_048_576],
    ["1.5MiB", 1_572_864],
    ["2MB", 2_000_000],
    ["1GiB", 1_073_741_824],
    ["1GB", 1_000_000_000],
  ])("reads %p as %p bytes", (text, bytes) => {
    expect(sizeUnit.read(text)).toBe(bytes);
  });

  test.each(["", "KiB", "10K", "10k", "10KB", "10 KiB", "-1", "1.0001kB", "1e6", "NaN", "9007199254740993"])(
    "refuses %p",
    (text) => {
      expect(sizeUnit.read(text)).toBeUndefined();
    },
  );
});

describe("countUnit.read()", () => {
  test.each([
    ["0", 0],
    ["007", 7],
    ["10000", 10_000],
  ])("reads %p as %p", (text, count) => {
    expect(countUnit.read(text)).toBe(count);
  });

  test.each(["", "-1", "1.0", "1e3", "1_000", "ten", " 1", "9007199254740992"])("refuses %p", (text) => {
    expect(countUnit.read(text)).toBeUndefined();
  });
});

test.each([
  [-3, "0ms"],
  [0, "0ms"],
  [999.9, "999ms"],
  [1000, "1s"],
  [59_999, "59s"],
  [125_000, "2m 5s"],
  [3_600_000, "1h"],
  [3_605_000, "1h"],
  [5_400_000, "1h 30m"],
  [93_600_000, "1d 2h"],
  [2_592_000_000, "30d"],
])("formatDuration(%p) is %p", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1 KiB"],
  [1536, "1.5 KiB"],
  [262_144, "256 KiB"],
  [1_048_576, "1 MiB"],
  [43_200_000, "41.2 MiB"],
])("formatBytes(%p) is %p", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

describe("write()", () => {
  test.each([
    [durationUnit, 2_592_000_000, "30d"],
    [durationUnit, 90_500, "90500ms"],
    [durationUnit, 5_400_000, "90m"],
    [durationUnit, 0, "0"],
    [sizeUnit, 1_048_576, "1MiB"],
    [sizeUnit, 1_048_577, "1048577B"],
    [sizeUnit, 1000, "1000B"],
    [sizeUnit, 3_221_225_472, "3GiB"],
    [countUnit, 1_000_000, "1000000"],
  ])("%#: %o writes %p as %p, which reads back", (unit, amount, text) => {
    expect(unit.write(amount)).toBe(text);
    expect(unit.read(text)).toBe(amount);
  });
});
