import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { startBroker } from "../../src/broker/broker.ts";
import { brokerConfig } from "../../src/broker/config.ts";
import { claimRunDirectory, sweepRunDirectories } from "../../src/broker/pipe/run-directory.ts";
import { temporaryDirectory, testBroker } from "../support/broker.ts";
import { refusal } from "../support/refusal.ts";

const program = join(import.meta.dir, "..", "support", "run-directory-main.ts");
const modeOf = (path: string): string => (fs.lstatSync(path).mode & 0o7777).toString(8);

/** A process that claims `name` under `root`, after so many rounds of other names; `said` is its first line. */
function claimant(root: string, name: string, { rounds = 0, holdMs }: { rounds?: number; holdMs?: number } = {}) {
  const child = Bun.spawn(
    [process.execPath, program, root, name, `${rounds}`, ...(holdMs === undefined ? [] : [`${holdMs}`])],
    { stdin: "pipe", stdout: "pipe" },
  );
  const said = (async () => {
    const { value } = await child.stdout.getReader().read();
    return new TextDecoder().decode(value).trim();
  })();
  return {
    said,
    pid: child.pid,
    exited: child.exited,
    release: () => child.stdin.end(),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** All that is in `root`; the last broker takes the root itself along. */
function left(root: string): string[] {
  return fs.existsSync(root) ? fs.readdirSync(root, { recursive: true, encoding: "utf8" }).toSorted() : [];
}

/** A root that is private and empty. */
function privateRoot() {
  const directory = temporaryDirectory();
  const root = join(directory.path, "run");
  fs.mkdirSync(root, { mode: 0o700 });
  return { root, path: directory.path, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

describe("claimRunDirectory()", () => {
  test("makes root and directory 0700 and the lock 0600, and release leaves the root empty", () => {
    using parent = temporaryDirectory();
    const root = join(parent.path, "run");
    const directory = claimRunDirectory(root, "a");
    expect({ path: directory.path, pipe: directory.pipe }).toEqual({
      path: join(root, "a"),
      pipe: join(root, "a", "sock"),
    });
    expect([modeOf(root), modeOf(directory.path), modeOf(join(directory.path, "lock"))]).toEqual(["700", "700", "600"]);
    directory.release();
    directory.release();
    expect(fs.existsSync(root)).toBe(false);
  });

  test("makes them private whatever the umask is", () => {
    using parent = temporaryDirectory();
    const before = process.umask(0);
    try {
      const directory = claimRunDirectory(join(parent.path, "run"), "a");
      expect([modeOf(join(parent.path, "run")), modeOf(directory.path), modeOf(join(directory.path, "lock"))]).toEqual([
        "700",
        "700",
        "600",
      ]);
      directory.release();
    } finally {
      process.umask(before);
    }
  });

  test.each([
    ["a root others may enter", (root: string) => fs.chmodSync(root, 0o755), "its mode is 755, wanted 700"],
    ["a root its group may read", (root: string) => fs.chmodSync(root, 0o740), "its mode is 740, wanted 700"],
    [
      "a root that is a link",
      (root: string) => {
        fs.renameSync(root, `${root}.real`);
        fs.symlinkSync(`${root}.real`, root);
      },
      "it is a symbolic link",
    ],
    [
      "a root that is a file",
      (root: string) => {
        fs.rmdirSync(root);
        fs.writeFileSync(root, "");
      },
      "it is not a directory",
    ],
    ["a file in the way", (root: string) => fs.writeFileSync(join(root, "a"), ""), "it is not a directory"],
    [
      "a link in the way",
      (root: string) => {
        fs.mkdirSync(join(root, "b"), { mode: 0o700 });
        fs.symlinkSync(join(root, "b"), join(root, "a"));
      },
      "it is a symbolic link",
    ],
    [
      "a link to nowhere in the way",
      (root: string) => fs.symlinkSync(join(root, "nowhere"), join(root, "a")),
      "it is a symbolic link",
    ],
    [
      "a directory others may enter",
      (root: string) => fs.mkdirSync(join(root, "a"), { mode: 0o755 }),
      "its mode is 755",
    ],
  ])("refuses %s as forbidden and changes nothing", (_what, prepare, text) => {
    using parent = privateRoot();
    prepare(parent.root);
    const before = fs.readdirSync(parent.path, { recursive: true });
    const error = refusal(() => claimRunDirectory(parent.root, "a"));
    expect(error.code).toBe("forbidden");
    expect(error.message).toContain(text);
    expect(fs.readdirSync(parent.path, { recursive: true })).toEqual(before);
  });

  test.skipIf(process.getuid?.() !== 0)("refuses a directory of another user as forbidden", () => {
    using parent = privateRoot();
    fs.chownSync(parent.root, 12_345, 12_345);
    const error = refusal(() => claimRunDirectory(parent.root, "a"));
    expect(error).toMatchObject({ code: "forbidden" });
    expect(error.message).toContain("it belongs to uid 12345");
  });

  test("refuses a lock that is a link, and does not touch what it points to", () => {
    using parent = privateRoot();
    fs.mkdirSync(join(parent.root, "a"), { mode: 0o700 });
    fs.writeFileSync(join(parent.path, "precious"), "precious");
    fs.symlinkSync(join(parent.path, "precious"), join(parent.root, "a", "lock"));
    expect(refusal(() => claimRunDirectory(parent.root, "a")).code).toBe("forbidden");
    expect(fs.readFileSync(join(parent.path, "precious"), "utf8")).toBe("precious");
  });

  test("says that the parent is missing", () => {
    using parent = temporaryDirectory();
    const error = refusal(() => claimRunDirectory(join(parent.path, "missing", "run"), "a"));
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("ENOENT");
  });

  test("takes a path of 107 bytes and refuses one of 108, counted in bytes, before it makes anything", () => {
    using parent = privateRoot();
    const room = 107 - Buffer.byteLength(join(parent.root, "x", "sock")) + 1;
    const fits = `é${"x".repeat(room - 2)}`;
    expect(Buffer.byteLength(join(parent.root, fits, "sock"))).toBe(107);
    const error = refusal(() => claimRunDirectory(parent.root, `${fits}x`));
    expect(error.code).toBe("bad_command");
    expect(error.message).toContain("the socket's path has 108 bytes, limit is 107");
    expect(error.message).toContain("set XDG_RUNTIME_DIR or TMPDIR to a shorter one");
    expect(left(parent.root)).toEqual([]);
    claimRunDirectory(parent.root, fits).release();
  });

  test("is refused while another process holds the name, and taken over once that one was killed", async () => {
    using parent = privateRoot();
    await using other = claimant(parent.root, "a");
    expect(await other.said).toBe("held");
    const error = refusal(() => claimRunDirectory(parent.root, "a"));
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain(`the name "a" is held by another one, process ${other.pid} (`);
    expect(error.details).toEqual({ name: "a", pid: other.pid, isEnding: false });
    expect(fs.readdirSync(join(parent.root, "a"))).toEqual(["lock"]);

    fs.writeFileSync(join(parent.root, "a", "sock"), "");
    process.kill(other.pid, "SIGKILL");
    await other.exited;
    const directory = claimRunDirectory(parent.root, "a");
    expect(fs.readdirSync(directory.path)).toEqual(["lock"]);
    directory.release();
    expect(left(parent.root)).toEqual([]);
  });

  test("goes to exactly one of 20 processes that claim one name at once, and to another when that one ends", async () => {
    using parent = privateRoot();
    await using stack = new AsyncDisposableStack();
    const claimants = Array.from({ length: 20 }, () => stack.use(claimant(parent.root, "a")));
    const said = await Promise.all(claimants.map((one) => one.said));
    expect(said.toSorted()).toEqual(["held", ...Array(19).fill("unavailable")]);
    const owner = claimants[said.indexOf("held")];
    owner?.release();
    expect(await owner?.exited).toBe(0);
    expect(left(parent.root)).toEqual([]);
    claimRunDirectory(parent.root, "a").release();
  });

  // Failed like this: a sweeper that had just locked the new directory made its maker believe that the name was taken.
  // Failed like this: whoever swept and had just locked a directory being made was taken for its living owner.
  test("waits out somebody who holds the lock for a moment only", async () => {
    using parent = privateRoot();
    await using sweeper = claimant(parent.root, "a", { holdMs: 20 });
    expect(await sweeper.said).toBe("held");
    claimRunDirectory(parent.root, "a").release();
    expect(await sweeper.exited).toBe(0);
  });

  test("succeeds for each of 8 processes that sweep, claim and let go 100 names of their own at once", async () => {
    using parent = privateRoot();
    await using stack = new AsyncDisposableStack();
    const claimants = Array.from({ length: 8 }, (_, index) =>
      stack.use(claimant(parent.root, `own-${index}`, { rounds: 100 })),
    );
    expect(await Promise.all(claimants.map((one) => one.said))).toEqual(Array(8).fill("held"));
    expect(fs.readdirSync(parent.root).toSorted()).toEqual(Array.from({ length: 8 }, (_, index) => `own-${index}`));
  });
});

describe("sweepRunDirectories()", () => {
  test("removes what dead brokers left, counts it, and touches nothing else", async () => {
    using parent = privateRoot();
    await using living = claimant(parent.root, "living");
    expect(await living.said).toBe("held");
    const own = claimRunDirectory(parent.root, "own");
    for (const name of ["dead", "foreign", "unlocked", "empty"]) fs.mkdirSync(join(parent.root, name), { mode: 0o700 });
    fs.writeFileSync(join(parent.root, "dead", "lock"), "");
    fs.writeFileSync(join(parent.root, "dead", "sock"), "");
    fs.writeFileSync(join(parent.root, "foreign", "lock"), "");
    fs.writeFileSync(join(parent.root, "foreign", "diary"), "dear diary");
    fs.writeFileSync(join(parent.root, "unlocked", "sock"), "");
    fs.writeFileSync(join(parent.root, "file"), "");

    expect(sweepRunDirectories(parent.root)).toBe(2);
    expect(left(parent.root)).toEqual(
      [
        "file",
        "foreign",
        "foreign/diary",
        "living",
        "living/lock",
        "own",
        "own/lock",
        "unlocked",
        "unlocked/sock",
      ].toSorted(),
    );
    own.release();
  });

  test("passes over directories whose lock cannot be opened", () => {
    using parent = privateRoot();
    fs.mkdirSync(join(parent.root, "a", "lock"), { recursive: true });
    fs.mkdirSync(join(parent.root, "b"));
    fs.symlinkSync("/dev/null", join(parent.root, "b", "lock"));
    expect(sweepRunDirectories(parent.root)).toBe(0);
    expect(left(parent.root)).toEqual(["a", "a/lock", "b", "b/lock"]);
  });

  test("finds nothing in a root that is not there", () => {
    using parent = temporaryDirectory();
    expect(sweepRunDirectories(join(parent.path, "run"))).toBe(0);
  });

  // Failed like this: the root was swept before anyone looked whose it was, so a link to somebody's folder had the folder's
  // empty directories removed.
  test("does nothing in a root that is not private to us", () => {
    using parent = privateRoot();
    fs.mkdirSync(join(parent.root, "empty"));
    fs.symlinkSync(parent.root, join(parent.path, "link"));
    expect(sweepRunDirectories(join(parent.path, "link"))).toBe(0);
    fs.chmodSync(parent.root, 0o777);
    expect(sweepRunDirectories(parent.root)).toBe(0);
    expect(left(parent.root)).toEqual(["empty"]);
  });
});

describe("startBroker()", () => {
  test("has a socket of 0600 in a directory of 0700, under any umask, and leaves nothing", async () => {
    using parent = temporaryDirectory();
    const before = process.umask(0);
    try {
      const broker = await startBroker(brokerConfig({ runRoot: join(parent.path, "run") }));
      expect(process.umask()).toBe(0);
      expect([modeOf(broker.pipe), modeOf(broker.directory)]).toEqual(["600", "700"]);
      expect(fs.lstatSync(broker.pipe).isSocket()).toBe(true);
      await broker.stop();
    } finally {
      process.umask(before);
    }
    expect(left(parent.path)).toEqual([]);
  });

  test("clears away what a killed broker left", async () => {
    using parent = privateRoot();
    await using dead = claimant(parent.root, "dead");
    expect(await dead.said).toBe("held");
    process.kill(dead.pid, "SIGKILL");
    await dead.exited;
    const broker = await startBroker(brokerConfig({ runRoot: parent.root }));
    expect(fs.readdirSync(parent.root)).toEqual([broker.directory.slice(parent.root.length + 1)]);
    await broker.stop();
  });

  test("gives brokers of one root directories of their own, which do not disturb each other", async () => {
    using parent = privateRoot();
    const config = brokerConfig({ runRoot: parent.root });
    const brokers = await Promise.all([startBroker(config), startBroker(config), startBroker(config)]);
    expect(new Set(brokers.map((broker) => broker.directory)).size).toBe(3);
    await brokers[0]?.stop();
    expect(fs.readdirSync(parent.root).length).toBe(2);
    for (const broker of brokers) await broker.stop();
    expect(left(parent.root)).toEqual([]);
  });

  test("leaves its directory alone when somebody put a file there", async () => {
    await using broker = await testBroker();
    fs.writeFileSync(join(broker.directory, "diary"), "dear diary");
    await broker.stop();
    expect(fs.readdirSync(broker.directory)).toEqual(["diary"]);
  });
});
