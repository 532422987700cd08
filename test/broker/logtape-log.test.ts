/** The log as lines: both formats, levels, files and who may read them, and a reader who stops reading. */
import { describe, expect, test } from "bun:test";
import { chmodSync, constants, openSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LogWriter } from "../../src/broker/log/log-writer.ts";
import { openLog } from "../../src/broker/log/logtape-log.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { until } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";

const fields = { session: "s1", id: 3, label: 'a "b"\n\u001b[2J\u009bc', key: undefined, authenticates: true };

describe("openLog()", () => {
  test("writes JSON, one object a line, fields beside time, level and event", async () => {
    using directory = temporaryDirectory();
    const file = join(directory.path, "log");
    const log = openLog({ level: "debug", format: "json", file });
    expect(log.isDebugging).toBe(true);
    log.debug("connection opened", fields);
    log.error("internal error", { stack: "at a\nat b" });
    await log.flush();
    const lines = readFileSync(file, "utf8").split("\n");
    expect(lines.pop()).toBe("");
    const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const { key, ...present } = fields;
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { "@timestamp": at, level: "DEBUG", message: "connection opened", logger: "ephemeral", ...present },
      { "@timestamp": at, level: "ERROR", message: "internal error", logger: "ephemeral", stack: "at a\nat b" },
    ]);
    expect(Object.keys(JSON.parse(String(lines[0])))).not.toContain("key");
  });

  test("writes text, one line an event whatever is in it, nothing a terminal would obey", async () => {
    using directory = temporaryDirectory();
    const file = join(directory.path, "log");
    const log = openLog({ level: "debug", format: "text", file });
    log.info("session begun", fields);
    await log.flush();
    const text = readFileSync(file, "utf8");
    expect(text).toMatch(
      /^time=\S+Z level=info logger=ephemeral msg="session begun" session=s1 id=3 label="a \\"b\\"\\n/,
    );
    expect(text.trimEnd().split("\n")).toHaveLength(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
    expect(text.trimEnd()).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
    expect(text).not.toContain("undefined");
  });

  test.each([
    ["debug", ["debug", "info", "warning", "error"]],
    ["info", ["info", "warning", "error"]],
    ["warning", ["warning", "error"]],
    ["error", ["error"]],
  ] as const)("at %s tells %j", async (level, wanted) => {
    using directory = temporaryDirectory();
    const file = join(directory.path, "log");
    const log = openLog({ level, format: "json", file });
    log.debug("command done", { us: 1 });
    log.info("heartbeat", {});
    log.warning("connection refused", {});
    log.error("internal error", {});
    await log.flush();
    const levels = readFileSync(file, "utf8").trim().split("\n");
    expect(levels.map((line) => JSON.parse(line).level)).toEqual(
      wanted.map((name) => (name === "warning" ? "WARN" : name.toUpperCase())),
    );
    expect(log.isDebugging).toBe(level === "debug");
  });

  test("makes a file for its owner alone, whatever the umask, and appends to one that is there", async () => {
    using directory = temporaryDirectory();
    const [fresh, old] = [join(directory.path, "fresh"), join(directory.path, "old")];
    writeFileSync(old, "before\n");
    chmodSync(old, 0o640);
    const umaskBefore = process.umask(0);
    try {
      for (const file of [fresh, old]) {
        const log = openLog({ level: "info", format: "text", file });
        log.info("heartbeat", {});
        await log.flush();
      }
    } finally {
      process.umask(umaskBefore);
    }
    expect(statSync(fresh).mode & 0o777).toBe(0o600);
    expect(statSync(old).mode & 0o777).toBe(0o640);
    expect(readFileSync(old, "utf8")).toMatch(/^before\ntime=.* msg=heartbeat\n$/);
  });

  test("refuses a file it cannot write", () => {
    using directory = temporaryDirectory();
    const file = join(directory.path, "missing", "log");
    const { code, message } = refusal(() => openLog({ level: "info", format: "text", file }));
    expect([code, message]).toEqual(["bad_command", `Cannot log to ${file}: wanted a file to append to, got ENOENT`]);
  });
});

describe("LogWriter", () => {
  /** A pipe whose reader reads when the test does. */
  function pipeIn(directory: string): { readonly descriptor: number; readonly read: () => string } {
    const path = join(directory, "pipe");
    Bun.spawnSync(["mkfifo", path]);
    const descriptor = openSync(path, constants.O_RDWR);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const bytes = Buffer.alloc(1 << 20);
    const read = (): string => {
      try {
        return bytes.toString("utf8", 0, readSync(reader, bytes));
      } catch {
        return "";
      }
    };
    return { descriptor, read };
  }

  test("neither waits for a reader who does not read nor keeps more than its bound, and then tells how many it lost", async () => {
    using directory = temporaryDirectory();
    const { descriptor, read } = pipeIn(directory.path);
    const lost: number[] = [];
    const writer = new LogWriter({ descriptor, pendingBytesMax: 300_000, lost: (lines) => lost.push(lines) });
    const line = `${"x".repeat(999)}\n`;
    // The first 90,000 bytes fill the pipe; then 100 lines fit, at three bytes a character.
    for (let count = 0; count < 200; count++) writer.write(count === 0 ? line.repeat(90) : line);
    const flushed = writer.flush();
    let text = "";
    await until(() => {
      text += read();
      return lost.length > 0 && text.length === 190_000;
    });
    await flushed;
    expect([text === line.repeat(190), lost]).toEqual([true, [99]]);
    writer.write("after\n");
    await writer.flush();
    expect(read()).toBe("after\n");
  });

  test("gives up what cannot be written and goes on", async () => {
    using directory = temporaryDirectory();
    const lost: number[] = [];
    const full = new LogWriter({
      descriptor: openSync("/dev/full", "a"),
      pendingBytesMax: 1000,
      lost: (lines) => lost.push(lines),
    });
    full.write("a\n");
    full.write("b\n");
    await full.flush();
    expect(lost).toEqual([]);
    const file = join(directory.path, "log");
    const writer = new LogWriter({ descriptor: openSync(file, "a"), pendingBytesMax: 10, lost: (n) => lost.push(n) });
    for (const line of ["a\n", "b\n", "c\n", "d\n"]) writer.write(line);
    await writer.flush();
    expect([readFileSync(file, "utf8"), lost]).toEqual(["a\nb\n", [2]]);
  });
});
