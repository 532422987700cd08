import { describe, expect, test } from "bun:test";
import type { CommandName } from "../../src/protocol/commands.ts";
import { defaultLimits, labelCharactersMax, reasonCharactersMax } from "../../src/protocol/limits.ts";
import { parseCommand, readCommandId } from "../../src/protocol/parse.ts";
import { refusal } from "../support/refusal.ts";

type Fields = Record<string, unknown>;

const monthMs = 30 * 24 * 60 * 60 * 1000;
const parse = (message: Fields) => parseCommand(message, defaultLimits);
const requestOf = (action: string, fields: Fields): unknown => parse({ action, ...fields }).request;

/** One wrong content for every kind, each with a word in it that must not come back. */
const secretText = "hunter2";
const wrongKeys = [undefined, "", 7, true, ["hunter2"], { hunter2: 1 }, "\ud800hunter2", `hunter2${"x".repeat(506)}`];
const wrongTexts = [undefined, null, 7, true, ["hunter2"], { hunter2: 1 }];
const wrongOptionalTexts = wrongTexts.slice(2);
const wrongIntegers = ["hunter2", "1", 1.5, -1, 2 ** 53, true, ["hunter2"], { hunter2: 1 }];
const wrongRequiredIntegers = [...wrongIntegers, undefined, null];
const wrongWaits = [...wrongIntegers.filter((value) => value !== -1), -2, monthMs + 1];

interface Grammar {
  /** A right command with every field. */
  readonly full: Fields;
  /** A right command with as few fields as can be, and how it is read. */
  readonly least: readonly [said: Fields, read: Fields];
  /** Contents of each field that are refused with `bad_command`. */
  readonly wrong: Readonly<Record<string, readonly unknown[]>>;
}

const nothing: Grammar = { full: {}, least: [{}, {}], wrong: {} };

const grammars: Readonly<Record<CommandName, Grammar>> = {
  set: {
    full: { key: "k", value: { a: [1] }, ttl: 5, scope: "session", if: "absent", version: 3, compressed: true },
    least: [
      { key: "k", value: null },
      { key: "k", value: null, compressed: false },
    ],
    wrong: {
      key: wrongKeys,
      value: [undefined],
      scope: ["hunter2", "ttl", "", 1],
      if: ["hunter2", "", 1, {}],
      version: wrongIntegers,
    },
  },
  get: {
    full: { key: "k", waitMs: -1, refresh: false },
    least: [{ key: "k" }, { key: "k", waitMs: 0 }],
    wrong: { key: wrongKeys, waitMs: wrongWaits, refresh: ["hunter2", "true", 1, 0, {}] },
  },
  touch: {
    full: { key: "k", ttl: 5 },
    least: [{ key: "k" }, { key: "k" }],
    wrong: { key: wrongKeys },
  },
  incr: {
    full: { key: "k", by: -0.5, ttl: 5, ttlIfNew: 7 },
    least: [{ key: "k" }, { key: "k" }],
    wrong: {
      key: wrongKeys,
      by: ["hunter2", "1", 2 ** 53, -(2 ** 53), Number.NaN, 1e300, true, ["hunter2"]],
      ttlIfNew: [...wrongIntegers, 0, monthMs + 1],
    },
  },
  watch: {
    full: { prefix: "p:", overflow: "latest" },
    least: [{}, {}],
    wrong: { prefix: wrongKeys.slice(2), overflow: ["hunter2", "", 1] },
  },
  unwatch: {
    full: { prefix: "p:" },
    least: [{ prefix: "" }, {}],
    wrong: { prefix: wrongKeys.slice(2) },
  },
  del: {
    full: { key: "k", version: 0 },
    least: [{ key: "k" }, { key: "k" }],
    wrong: { key: wrongKeys, version: wrongIntegers },
  },
  list: {
    full: { prefix: "p:", cursor: "12", limit: 1 },
    least: [{}, {}],
    wrong: { prefix: wrongOptionalTexts, cursor: wrongOptionalTexts, limit: [...wrongIntegers, 0] },
  },
  lease: {
    full: { key: "k", workerId: "w", ttl: 5, size: 3, waitMs: monthMs, scope: "session" },
    least: [
      { key: "k", workerId: "w" },
      { key: "k", workerId: "w", waitMs: 0 },
    ],
    wrong: {
      key: wrongKeys.filter(Boolean),
      workerId: wrongKeys.filter(Boolean),
      size: [...wrongIntegers, 0],
      waitMs: wrongWaits,
      scope: ["hunter2", "", 1],
    },
  },
  release: {
    full: { key: "*", workerId: "w" },
    least: [{ workerId: "w" }, { workerId: "w" }],
    wrong: { key: wrongKeys.slice(1), workerId: wrongKeys.filter(Boolean) },
  },
  once: {
    full: { key: "k", waitMs: 1 },
    least: [{ key: "k" }, { key: "k", waitMs: 0 }],
    wrong: { key: wrongKeys, waitMs: wrongWaits },
  },
  "once.resolve": {
    full: { key: "k", fence: 1_700_000_000_000_000, value: false, ttl: 9 },
    least: [
      { key: "k", fence: 0, value: "" },
      { key: "k", fence: 0, value: "" },
    ],
    wrong: { key: wrongKeys, fence: wrongRequiredIntegers, value: [undefined] },
  },
  "once.reject": {
    full: { key: "k", fence: 1, reason: "no", cacheMs: monthMs, pass: true },
    least: [
      { key: "k", fence: 1, reason: "" },
      { key: "k", fence: 1, reason: "" },
    ],
    wrong: {
      key: wrongKeys,
      fence: wrongRequiredIntegers,
      reason: wrongTexts,
      cacheMs: [...wrongIntegers, monthMs + 1],
      pass: [0, 1, "true", {}, []],
    },
  },
  "pool.define": {
    full: { pool: "p", items: [{ value: { a: 1 }, tags: ["a", "b"] }] },
    least: [
      { pool: "p", items: [{ value: null }, { value: 1, tags: ["b", "a", "b"] }] },
      {
        pool: "p",
        items: [
          { value: null, tags: [] },
          { value: 1, tags: ["a", "b"] },
        ],
      },
    ],
    wrong: { pool: wrongKeys, items: [undefined, null, "hunter2", { hunter2: 1 }, ["hunter2"], Array(10_001).fill(1)] },
  },
  "pool.add": {
    full: { pool: "p", items: [] },
    least: [
      { pool: "p", items: [{ value: 0 }] },
      { pool: "p", items: [{ value: 0, tags: [] }] },
    ],
    wrong: { pool: wrongKeys, items: [undefined, "hunter2", [["hunter2"]]] },
  },
  "pool.remove": {
    full: { pool: "p", slots: [0, 9] },
    least: [{ pool: "p" }, { pool: "p" }],
    wrong: { pool: wrongKeys, slots: ["hunter2", 1, [-1], ["hunter2"], [1.5]] },
  },
  acquire: {
    full: {
      wants: [
        { pool: "p", count: 2, match: ["a", "b"], mode: "shared", size: 3 },
        { pool: "p", count: 1, match: [], mode: "exclusive", size: 1 },
      ],
      ttl: 5,
      waitMs: -1,
      prefer: "last",
      owner: "o",
    },
    least: [
      { wants: [{ pool: "p", match: ["b", "a", "b"] }] },
      { wants: [{ pool: "p", count: 1, match: ["a", "b"], mode: "exclusive" }], waitMs: 0 },
    ],
    wrong: {
      wants: [
        undefined,
        "hunter2",
        [],
        ["hunter2"],
        Array.from({ length: 17 }, (_, index) => ({ pool: `${index}` })),
        [{ pool: "p" }, { pool: "p", match: [], count: 2 }],
        [
          { pool: "p", count: 600 },
          { pool: "q", count: 401 },
        ],
      ],
      waitMs: wrongWaits,
      prefer: ["hunter2", "first", 1],
      owner: wrongKeys.slice(1),
    },
  },
  renew: {
    full: { grant: "g1", ttl: 5 },
    least: [
      { grant: "g1", ttl: monthMs },
      { grant: "g1", ttl: monthMs },
    ],
    wrong: { grant: wrongTexts },
  },
  quarantine: {
    full: { grant: "g1", reason: "locked out" },
    least: [
      { grant: "g1", reason: "" },
      { grant: "g1", reason: "" },
    ],
    wrong: { grant: wrongTexts, reason: wrongTexts },
  },
  why: {
    full: { key: "k" },
    least: [{ pool: "p" }, { pool: "p" }],
    wrong: { key: wrongKeys },
  },
  limit: {
    full: { key: "k", limit: 10_000, windowMs: monthMs, cost: 10_000, waitMs: -1 },
    least: [
      { key: "k", limit: 1, windowMs: 1 },
      { key: "k", limit: 1, windowMs: 1, waitMs: 0 },
    ],
    wrong: {
      key: wrongKeys,
      limit: [...wrongRequiredIntegers, 0, 10_001],
      windowMs: [...wrongRequiredIntegers, 0, monthMs + 1],
      cost: [...wrongIntegers, 0, 10_001],
      waitMs: wrongWaits,
    },
  },
  "limit.penalize": {
    full: { key: "k", forMs: monthMs },
    least: [
      { key: "k", forMs: 1 },
      { key: "k", forMs: 1 },
    ],
    wrong: { key: wrongKeys, forMs: [...wrongRequiredIntegers, 0, monthMs + 1] },
  },
  barrier: {
    full: { key: "k", parties: 10_000, waitMs: -1, join: false },
    least: [
      { key: "k", parties: 1 },
      { key: "k", parties: 1, waitMs: 0 },
    ],
    wrong: {
      key: wrongKeys,
      parties: [...wrongRequiredIntegers, 0, 10_001],
      waitMs: wrongWaits,
      join: ["hunter2", "true", 1, 0, {}],
    },
  },
  "queue.push": {
    full: { queue: "q", items: [{ id: "j", data: { a: [1] }, priority: -1000 }, { data: null }], closes: true },
    least: [
      { queue: "q", items: [] },
      { queue: "q", items: [] },
    ],
    wrong: {
      queue: wrongKeys,
      items: [...wrongTexts, ["hunter2"], [null], [[]]],
      closes: ["hunter2", "true", 1, 0, {}],
    },
  },
  "queue.take": {
    full: { queue: "q", count: 1000, ackMs: monthMs, scope: "ttl", waitMs: -1 },
    least: [{ queue: "q" }, { queue: "q", waitMs: 0 }],
    wrong: {
      queue: wrongKeys,
      count: [...wrongIntegers, 0, 1001],
      ackMs: [...wrongIntegers, 0, monthMs + 1],
      scope: ["hunter2", "", 1],
      waitMs: wrongWaits,
    },
  },
  "queue.ack": {
    full: { queue: "q", job: "j", fence: 1 },
    least: [
      { queue: "q", job: "j", fence: 0 },
      { queue: "q", job: "j", fence: 0 },
    ],
    wrong: { queue: wrongKeys, job: wrongKeys, fence: wrongRequiredIntegers },
  },
  send: {
    full: { to: { session: "s1" }, event: "e", data: { a: [1] } },
    least: [
      { to: { user: "u" }, event: "e", data: null },
      { to: { user: "u" }, event: "e", data: null },
    ],
    wrong: {
      to: [...wrongTexts.slice(0, -1), "hunter2", { user: "hunter2", session: "hunter2" }],
      event: wrongKeys,
      data: [undefined],
    },
  },
  serve: {
    full: { method: "m", stop: true },
    least: [{ method: "m" }, { method: "m" }],
    wrong: { method: wrongKeys, stop: ["hunter2", "true", 1, 0, {}] },
  },
  request: {
    full: { method: "m", data: { a: [1] }, to: { session: "s1" }, waitMs: -1 },
    least: [
      { method: "m", data: null },
      { method: "m", data: null, waitMs: 0 },
    ],
    wrong: { method: wrongKeys, data: [undefined], to: [...wrongTexts.slice(2, -1), "hunter2"], waitMs: wrongWaits },
  },
  respond: {
    full: { request: 1, data: { a: [1] } },
    least: [
      { request: 0, failure: "" },
      { request: 0, failure: "" },
    ],
    // Beside data there is no failure, whatever it says.
    wrong: { request: wrongRequiredIntegers, data: [undefined], failure: [...wrongOptionalTexts, "hunter2"] },
  },
  kick: { full: { session: "s1" }, least: [{ session: "s1" }, { session: "s1" }], wrong: { session: wrongKeys } },
  "queue.nack": {
    full: { queue: "q", job: "j", fence: 1, delayMs: monthMs, reason: "no", pass: true },
    least: [
      { queue: "q", job: "j", fence: 0 },
      { queue: "q", job: "j", fence: 0 },
    ],
    wrong: {
      queue: wrongKeys,
      job: wrongKeys,
      fence: wrongRequiredIntegers,
      delayMs: [...wrongIntegers, monthMs + 1],
      reason: wrongOptionalTexts,
      pass: ["hunter2", "true", 1, 0, {}],
    },
  },
  "queue.renew": {
    full: { queue: "q", job: "j", fence: 1, ackMs: monthMs },
    least: [
      { queue: "q", job: "j", fence: 0, ackMs: 1 },
      { queue: "q", job: "j", fence: 0, ackMs: 1 },
    ],
    wrong: {
      queue: wrongKeys,
      job: wrongKeys,
      fence: wrongRequiredIntegers,
      ackMs: [...wrongRequiredIntegers, 0, monthMs + 1],
    },
  },
  "queue.close": { full: { queue: "q" }, least: [{ queue: "q" }, { queue: "q" }], wrong: { queue: wrongKeys } },
  "queue.info": { full: { queue: "q" }, least: [{ queue: "q" }, { queue: "q" }], wrong: { queue: wrongKeys } },
  subscribe: {
    full: { channel: "c", recover: { epoch: "e", offset: 0 }, history: 0, presence: true, overflow: "latest" },
    least: [{ channel: "c" }, { channel: "c" }],
    wrong: {
      channel: wrongKeys,
      recover: [7, "hunter2", ["hunter2"]],
      history: wrongIntegers,
      presence: ["hunter2", "true", 1, 0, {}],
      group: wrongKeys.slice(1),
      overflow: ["hunter2", "", 1],
    },
  },
  unsubscribe: { full: { channel: "c" }, least: [{ channel: "c" }, { channel: "c" }], wrong: { channel: wrongKeys } },
  publish: {
    full: { channel: "c", data: { a: [1] }, serial: 1, key: "k", exceptSelf: true, trace: "t" },
    least: [
      { channel: "c", data: null },
      { channel: "c", data: null },
    ],
    wrong: {
      channel: wrongKeys,
      data: [undefined],
      serial: [...wrongIntegers, 0],
      key: wrongKeys.slice(1),
      exceptSelf: ["hunter2", "true", 1, 0, {}],
      trace: wrongKeys.slice(1),
    },
  },
  history: {
    full: { channel: "c", since: 0, limit: 1 },
    least: [{ channel: "c" }, { channel: "c" }],
    wrong: { channel: wrongKeys, since: wrongIntegers, limit: [...wrongIntegers, 0] },
  },
  presence: { full: { channel: "c" }, least: [{ channel: "c" }, { channel: "c" }], wrong: { channel: wrongKeys } },
  channels: { full: { prefix: "p:" }, least: [{ prefix: "" }, {}], wrong: { prefix: wrongKeys.slice(2) } },
  cancel: {
    full: { target: 0 },
    least: [{ target: 2 ** 53 - 1 }, { target: 2 ** 53 - 1 }],
    wrong: { target: wrongRequiredIntegers },
  },
  hello: {
    full: {
      protocol: 1,
      client: { name: "n", version: "1" },
      label: "worker 1",
      auth: { nonce: "00", proof: "11" },
    },
    least: [{ protocol: 2 }, { protocol: 2 }],
    wrong: {
      protocol: [...wrongRequiredIntegers, 0],
      client: ["hunter2", ["hunter2"], 1],
      label: wrongOptionalTexts,
      auth: ["hunter2", ["hunter2"], 1],
    },
  },
  challenge: nothing,
  ping: nothing,
  stats: nothing,
  health: nothing,
  metrics: nothing,
  ps: nothing,
  bye: nothing,
  join: nothing,
  drain: nothing,
  onEnd: {
    full: { argv: ["a", "", "é\n'$"], cwd: "/a b", env: { A_1: "x=\n", __proto__x: "" }, timeoutMs: monthMs },
    least: [
      { argv: ["a"], cwd: "/" },
      { argv: ["a"], cwd: "/" },
    ],
    wrong: {
      argv: [
        undefined,
        null,
        "hunter2",
        [],
        [""],
        [1],
        ["a\0"],
        ["\ud800"],
        ["a", "x".repeat(65_536)],
        Array(1001).fill("a"),
      ],
      cwd: [undefined, null, "", "hunter2", 1, ["/"], "/\0", "/\ud800"],
      env: [
        "hunter2",
        ["hunter2"],
        1,
        { "hunter-2": "" },
        { "": "" },
        { "1A": "" },
        { A: 1 },
        { A: null },
        { A: "\0" },
      ],
      timeoutMs: [...wrongIntegers, 0, monthMs + 1],
    },
  },
};

describe.each(Object.entries(grammars))("parseCommand() of %s", (action, { full, least, wrong }) => {
  test("reads every field, leaves unknown ones out and keeps the id apart", () => {
    expect(parse({ id: 4, action, ...full, surprise: "x", hmac: "00" })).toEqual({
      action: action as CommandName,
      id: 4,
      request: full,
    } as ReturnType<typeof parse>);
  });

  test("reads the shortest form", () => {
    const [said, read] = least;
    expect(parse({ action, ...said })).toEqual({ action, id: undefined, request: read } as ReturnType<typeof parse>);
  });

  const cases = Object.entries(wrong).flatMap(([field, contents]) =>
    contents.map((content) => [field, content] as const),
  );
  if (cases.length > 0) {
    test.each(cases)("refuses %s of %j, naming the field and never the content", (field, content) => {
      const error = refusal(() => requestOf(action, { ...full, [field]: content }));
      expect(error.code).toBe("bad_command");
      expect(error.details).toEqual({ field });
      expect(error.message).toStartWith(`Cannot read field "${field}": wanted `);
      expect(error.message).not.toContain(secretText);
    });
  }
});

describe("parseCommand()", () => {
  test.each([
    ["hello", "client.name", { client: { version: "1" } }, "name"],
    ["hello", "client.version", { client: { name: "n", version: 1 } }, "version"],
    ["hello", "auth.nonce", { auth: { proof: "hunter2" } }, "nonce"],
    ["hello", "auth.proof", { auth: { nonce: "hunter2", proof: ["hunter2"] } }, "proof"],
    ["subscribe", "recover.epoch", { channel: "c", recover: { epoch: ["hunter2"], offset: 1 } }, "epoch"],
    ["subscribe", "recover.offset", { channel: "c", recover: { epoch: "e", offset: -1 } }, "offset"],
  ])("refuses %s with a wrong %s by its name", (action, _what, fields, field) => {
    const error = refusal(() => requestOf(action, { protocol: 1, ...fields }));
    expect(error).toMatchObject({ code: "bad_command", details: { field } });
    expect(error.message).not.toContain(secretText);
  });

  test.each([
    ["pool", { pool: "" }, "pool"],
    ["count", { pool: "p", count: 0 }, "count"],
    ["count over the bound", { pool: "p", count: 1001 }, "count"],
    ["match", { pool: "p", match: "hunter2" }, "match"],
    ["empty tag", { pool: "p", match: [""] }, "match"],
    ["tag of 129 bytes", { pool: "p", match: ["x".repeat(129)] }, "match"],
    ["match of 17 tags", { pool: "p", match: Array.from({ length: 17 }, (_, index) => `${index}`) }, "match"],
    ["mode", { pool: "p", mode: "hunter2" }, "mode"],
    ["size", { pool: "p", size: 10_001 }, "size"],
  ])("refuses a want with a wrong %s by its field", (_what, want, field) => {
    const error = refusal(() => requestOf("acquire", { wants: [want] }));
    expect(error).toMatchObject({ code: "bad_command", details: { field } });
    expect(error.message).not.toContain(secretText);
  });

  test.each([
    [[{ tags: ["a"] }], "value"],
    [[{ value: 1, tags: [1] }], "tags"],
    [[{ value: 1, tags: Array.from({ length: 17 }, (_, index) => `${index}`) }], "tags"],
  ])("refuses items of %j by their field", (items, field) => {
    expect(refusal(() => requestOf("pool.define", { pool: "p", items }))).toMatchObject({ details: { field } });
  });

  test("takes a tag of 128 bytes and 16 tags, and reads a release of a grant", () => {
    const tags = ["x".repeat(128), ...Array.from({ length: 15 }, (_, index) => `${index}`)].sort();
    expect(requestOf("acquire", { wants: [{ pool: "p", match: tags }] })).toMatchObject({ wants: [{ match: tags }] });
    expect(requestOf("release", { grant: "g1", workerId: "w" })).toEqual({ grant: "g1" });
    expect(refusal(() => requestOf("release", { grant: 1 })).details).toEqual({ field: "grant" });
  });

  test("quarantine takes a grant, or else an item of a pool", () => {
    const item = { pool: "p", slot: 3, reason: "locked out" };
    expect(requestOf("quarantine", item)).toEqual(item);
    expect(requestOf("quarantine", { ...item, grant: "g1" })).toEqual({ grant: "g1", reason: "locked out" });
    for (const wrong of [{ slot: -1 }, { slot: "3" }, { slot: undefined }, { pool: "" }]) {
      expect(refusal(() => requestOf("quarantine", { ...item, ...wrong })).code).toBe("bad_command");
    }
  });

  test("asks for a ttl over 0 where a grant is renewed", () => {
    expect(refusal(() => requestOf("renew", { grant: "g1" })).code).toBe("ttl_required");
    for (const ttl of [0, -1, monthMs + 1]) {
      expect(refusal(() => requestOf("renew", { grant: "g1", ttl })).code).toBe("invalid_ttl");
    }
  });

  test("asks why of a key or of a pool, not of both", () => {
    expect(refusal(() => requestOf("why", { key: "k", pool: "p" })).details).toEqual({ field: "key" });
  });

  test.each([
    ["lease", { workerId: "w" }, "key_and_worker_required"],
    ["lease", { key: "k" }, "key_and_worker_required"],
    ["lease", { key: "", workerId: "w" }, "key_and_worker_required"],
    ["lease", { key: "k", workerId: null }, "key_and_worker_required"],
    ["release", {}, "worker_required"],
    ["release", { key: "k", workerId: "" }, "worker_required"],
  ])("answers %s of %j as the seed did: %s", (action, fields, code) => {
    expect(refusal(() => requestOf(action, fields)).code).toBe(code as "worker_required");
  });

  test.each([
    ["set", { key: "k", value: 1 }],
    ["touch", { key: "k" }],
    ["incr", { key: "k" }],
    ["lease", { key: "k", workerId: "w" }],
    ["once.resolve", { key: "k", value: 1, fence: 1 }],
  ])(
    "takes a ttl of %s from 0 to 30 days in whole milliseconds and refuses all else as invalid_ttl",
    (action, fields) => {
      for (const ttl of [1, 60_000, monthMs]) expect(requestOf(action, { ...fields, ttl })).toMatchObject({ ttl });
      for (const ttl of [undefined, null])
        expect(requestOf(action, { ...fields, ttl })).toMatchObject({ ttl: undefined });
      // What a ttl of 0 means is the command's to say.
      expect(requestOf(action, { ...fields, ttl: 0 })).toMatchObject({ ttl: action === "lease" ? undefined : 0 });
      for (const ttl of [
        -1,
        0.5,
        monthMs + 1,
        2 ** 53,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        "hunter2",
        "60",
        true,
        [60],
        {},
      ]) {
        const error = refusal(() => requestOf(action, { ...fields, ttl }));
        expect([ttl, error.code, error.details]).toEqual([ttl, "invalid_ttl", { field: "ttl" }]);
        expect(error.message).not.toContain(secretText);
      }
    },
  );

  test.each([
    [-5, "-5"],
    [secretText, `a string of ${secretText.length} characters`],
  ])("says of a ttl of %p what it is", (ttl, actual) => {
    const { message } = refusal(() => requestOf("set", { key: "k", value: 1, ttl }));
    expect(message).toBe(`Cannot use ttl: wanted whole milliseconds from 0 to ${monthMs}, got ${actual}`);
  });

  test.each([0, 1, 2 ** 31, 2 ** 53 - 1])("takes %d for an id", (id) => {
    expect(parse({ id, action: "ping" }).id).toBe(id);
    expect(readCommandId({ id })).toBe(id);
  });

  test.each([undefined, null])("takes an id of %p for none", (id) => {
    expect(parse({ id, action: "ping" }).id).toBeUndefined();
    expect(readCommandId({ id })).toBeUndefined();
  });

  test.each([
    [-1],
    [0.5],
    [2 ** 53],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    ["1"],
    ["hunter2"],
    [true],
    [[1]],
    [{ hunter2: 1 }],
  ])("refuses %j as an id", (id) => {
    const error = refusal(() => parse({ id, action: "ping" }));
    expect(error).toMatchObject({ code: "bad_command", details: { field: "id" } });
    expect(error.message).not.toContain(secretText);
    expect(readCommandId({ id })).toBeUndefined();
  });

  test.each([
    ["nope", '"nope"'],
    ["toString", '"toString"'],
    ["__proto__", '"__proto__"'],
    ["constructor", '"constructor"'],
    ["hasOwnProperty", '"hasOwnProperty"'],
    ["PING", '"PING"'],
    ["", '""'],
    ["a\nb", '"a\\nb"'],
    ["x".repeat(41), "of that kind"],
    [1, "of that kind"],
    [null, "of that kind"],
    [undefined, "of that kind"],
    [["ping"], "of that kind"],
  ])("answers action %j with unknown_action", (action, shown) => {
    const error = refusal(() => parse({ action }));
    expect(error.code).toBe("unknown_action");
    expect(error.message).toBe(`Cannot run command: there is no action ${shown}`);
  });

  test("reads nothing through a __proto__ member", () => {
    const message = JSON.parse('{"action":"get","__proto__":{"key":"k"}}');
    expect(refusal(() => parse(message))).toMatchObject({ code: "bad_command", details: { field: "key" } });
  });

  test.each([
    ["one byte a character", "x"],
    ["two bytes a character", "é"],
    ["three bytes a character", "€"],
    ["four bytes a character", "😀"],
  ])("takes keys of 512 bytes and refuses 513, counted in UTF-8: %s", (_what, character) => {
    const size = Buffer.byteLength(character);
    const fits = character.repeat(Math.floor(512 / size)) + "x".repeat(512 % size);
    expect(Buffer.byteLength(fits)).toBe(512);
    for (const field of ["key", "workerId"]) {
      expect(requestOf("release", { workerId: "w", [field]: fits })).toMatchObject({ [field]: fits });
      const error = refusal(() => requestOf("release", { workerId: "w", [field]: `${fits}x` }));
      expect(error).toMatchObject({ code: "bad_command", details: { field } });
    }
  });

  test.each(["\ud800", "a\udc00", "\ud83d", "\ude00\ud83d", `${"x".repeat(200)}\ud800`])(
    "refuses the lone surrogate in key %j",
    (key) => {
      expect(refusal(() => requestOf("get", { key }))).toMatchObject({
        code: "bad_command",
        details: { field: "key" },
      });
    },
  );

  test("takes any other character in a key: NUL, line ends, U+FFFF, blanks, __proto__", () => {
    for (const key of ["\0", "\n", "\uffff", " ", "__proto__", "*", "ключ"]) {
      expect(requestOf("get", { key })).toMatchObject({ key });
    }
  });

  test.each([
    ["an id that is none", { id: "", data: 1 }, "id"],
    ["no data", { id: "j" }, "data"],
    ["a priority over the highest", { data: 1, priority: 1001 }, "priority"],
  ])("refuses a job with %s", (_what, item, field) => {
    const error = refusal(() => requestOf("queue.push", { queue: "q", items: [item] }));
    expect(error).toMatchObject({ code: "bad_command", details: { field } });
  });

  test.each([
    ["a cost over the limit", "limit", { key: "k", limit: 3, windowMs: 1, cost: 4 }, "cost"],
    ["a message to nobody", "send", { to: {}, event: "e", data: 1 }, "session"],
    ["a message to a session without a name", "send", { to: { session: "" }, event: "e", data: 1 }, "session"],
    ["a message to a user that is none", "send", { to: { user: 7 }, event: "e", data: 1 }, "user"],
    ["a request to a session that is none", "request", { method: "m", data: 1, to: { session: 7 } }, "session"],
    ["a failure that is no text", "respond", { request: 1, failure: 7 }, "failure"],
    ["an answer without data", "respond", { request: 1, failure: null }, "data"],
    ["jobs that outlive their session for good", "queue.take", { queue: "q", scope: "ttl" }, "ackMs"],
  ])("refuses %s", (_what, action, fields, field) => {
    expect(refusal(() => requestOf(action, fields))).toMatchObject({ code: "bad_command", details: { field } });
  });

  test("cuts what is for people: a label, a client's name and version, a reason", () => {
    const long = "x".repeat(10_000);
    const client = { name: long, version: long };
    expect(requestOf("hello", { protocol: 1, label: long, client })).toEqual({
      protocol: 1,
      label: long.slice(0, labelCharactersMax),
      client: { name: long.slice(0, labelCharactersMax), version: long.slice(0, labelCharactersMax) },
    });
    expect(requestOf("respond", { request: 1, failure: long })).toEqual({
      request: 1,
      failure: long.slice(0, reasonCharactersMax),
    });
    for (const action of ["once.reject", "queue.nack"]) {
      expect(requestOf(action, { key: "k", queue: "q", job: "j", fence: 1, reason: long })).toMatchObject({
        reason: long.slice(0, reasonCharactersMax),
      });
    }
  });

  test.each([
    ["compressed", "yes"],
    ["compressed", 1],
    ["compressed", null],
  ])("takes %s of %j for false, as the seed did", (field, content) => {
    expect(requestOf("set", { key: "k", value: 1, [field]: content })).toMatchObject({ compressed: false });
  });
});
