/** What Bun.spawn and bun:ffi do with descriptors, locks, signals and endings. Linux. Imports nothing of ours. */

import { dlopen, ptr } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { isAlive, Scratch, until } from "./scratch.ts";

const libc = dlopen("libc.so.6", {
  flock: { args: ["i32", "i32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
}).symbols;
const exclusiveWithoutWaiting = 2 | 4;
const isFree = (lock: number): boolean => libc.flock(lock, exclusiveWithoutWaiting) === 0;

/** Parent, process group and session of a process. */
function familyOf(pid: number): { parent: number; group: number; session: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const [, parent, group, session] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  return { parent: parent ?? 0, group: group ?? 0, session: session ?? 0 };
}

describe("bun:ffi", () => {
  test("calls getsockopt(SO_PEERCRED) on a socket's fd: pid and uid of whoever dialled", async () => {
    using scratch = new Scratch();
    const asked = Promise.withResolvers<readonly number[]>();
    const listener = Bun.listen({
      unix: scratch.at("sock"),
      socket: {
        open(socket) {
          const credentials = new Int32Array(3);
          const length = new Uint32Array([credentials.byteLength]);
          const { fd } = socket as typeof socket & { fd: number };
          asked.resolve([libc.getsockopt(fd, 1, 17, ptr(credentials), ptr(length)), ...credentials]);
        },
        data: () => undefined,
      },
    });
    const child = scratch.start([process.execPath, "-e", 'require("net").connect("sock")']);
    expect(await asked.promise).toEqual([0, child.pid, process.getuid?.() ?? -1, process.getgid?.() ?? -1]);
    child.kill("SIGKILL");
    await child.exited;
    listener.stop(true);
  });

  test("locks a file with flock for one open file only, until that is closed", () => {
    using scratch = new Scratch({ lock: "" });
    const [ours, other] = [openSync(scratch.at("lock"), "r+"), openSync(scratch.at("lock"), "r+")];
    expect([isFree(ours), isFree(other)]).toEqual([true, false]);
    closeSync(ours);
    expect(isFree(other)).toBe(true);
    closeSync(other);
  });

  test("locks with flock until the process is killed, whatever children it leaves running", async () => {
    using scratch = new Scratch({
      lock: "",
      "holder.ts": `
        import { dlopen } from "bun:ffi";
        import { openSync } from "node:fs";
        const { flock } = dlopen("libc.so.6", { flock: { args: ["i32", "i32"], returns: "i32" } }).symbols;
        const held = flock(openSync("lock", "r+"), 2 | 4);
        const child = Bun.spawn(["sleep", "1000"], { detached: true, stdio: ["ignore", "ignore", "ignore"] });
        require("node:fs").writeFileSync("ready.part", String(child.pid));
        require("node:fs").renameSync("ready.part", "ready");
        setInterval(() => held, 1000);`,
    });
    const holder = scratch.start([process.execPath, "holder.ts"]);
    await until(() => existsSync(scratch.at("ready")));
    const orphan = Number(readFileSync(scratch.at("ready"), "utf8"));
    const lock = openSync(scratch.at("lock"), "r+");
    try {
      expect(isFree(lock)).toBe(false);
      holder.kill("SIGKILL");
      await holder.exited;
      expect([isFree(lock), isAlive(orphan)]).toEqual([true, true]);
    } finally {
      process.kill(orphan, "SIGKILL");
      closeSync(lock);
    }
  });
});

describe("Bun.spawn", () => {
  const shell = (script: string) => Bun.spawn(["sh", "-c", script], { stdio: [null, "ignore", "ignore"] });

  test.each([
    ["exit 0", 0, 0, null],
    ["exit 3", 3, 3, null],
    ["exit 143", 143, 143, null],
    ["kill -TERM $$", 143, null, "SIGTERM"],
    ["kill -KILL $$", 137, null, "SIGKILL"],
    ["ulimit -c 0; kill -SEGV $$", 139, null, "SIGSEGV"],
  ])(
    "tells the ending of '%s' as exited %d, exitCode %p and signalCode %p",
    async (script, exited, exitCode, signal) => {
      const child = shell(script);
      expect([await child.exited, child.exitCode, child.signalCode]).toEqual([
        exited,
        exitCode,
        signal as NodeJS.Signals,
      ]);
    },
  );

  test("tells a real-time signal as 128 + its number, and the bare number for a name", async () => {
    const child = shell("kill -40 $$");
    expect([await child.exited, child.exitCode, child.signalCode as unknown]).toEqual([168, null, 40]);
  });

  test("tells that a child has ended although a grandchild holds its output still", async () => {
    const child = Bun.spawn(["sh", "-c", "sleep 1000 & echo $!; exit 3"], { stdin: null, stdout: "pipe" });
    expect(await child.exited).toBe(3);
    const { value } = await child.stdout.getReader().read();
    const grandchild = Number(new TextDecoder().decode(value));
    expect(isAlive(grandchild)).toBe(true);
    process.kill(grandchild, "SIGKILL");
  });

  test.each([
    ["a program that is not there", ["/no/such/program"], {}, "ENOENT"],
    ["a program that is not on PATH", ["no-such-program"], {}, "ENOENT"],
    ["a file on PATH that is not executable", ["data"], { PATH: "." }, "ENOENT"],
    ["a file named by its path that is not executable", ["./data"], {}, "EACCES"],
    ["a script without a first line that names its interpreter", ["./script"], {}, "ENOEXEC"],
    ["a script whose interpreter is not there", ["./orphan"], {}, "ENOENT"],
  ])("throws for %s", async (_what, command, environment, code) => {
    using scratch = new Scratch({ data: "", script: "exit 0\n", orphan: "#!/no/such/interpreter\n" });
    await scratch.run(["chmod", "755", "script", "orphan"]);
    expect(() => scratch.start(command, environment)).toThrow(expect.objectContaining({ code }));
  });

  test("throws ENOENT for a working directory that is not there, as for a program", () => {
    expect(() => Bun.spawn(["true"], { cwd: "/no/such/folder" })).toThrow(expect.objectContaining({ code: "ENOENT" }));
  });

  test("starts a child in our process group and session, and a detached one as leader of its own", async () => {
    const ours = familyOf(process.pid);
    const plain = Bun.spawn(["sleep", "1000"]);
    const detached = Bun.spawn(["sleep", "1000"], { detached: true });
    expect(familyOf(plain.pid)).toEqual({ parent: process.pid, group: ours.group, session: ours.session });
    expect(familyOf(detached.pid)).toEqual({ parent: process.pid, group: detached.pid, session: detached.pid });
    plain.kill();
    detached.kill();
    await Promise.all([plain.exited, detached.exited]);
  });

  test("lets a child have its three streams and no other descriptor of ours, close-on-exec or not", async () => {
    using scratch = new Scratch({ held: "" });
    const file = openSync(scratch.at("held"), "r+");
    const ends = new Int32Array(2);
    expect(libc.pipe2(ptr(ends), 0)).toBe(0);
    const listener = Bun.listen({ unix: scratch.at("sock"), socket: { data: () => undefined } });
    const child = Bun.spawn(["sleep", "1000"], { stdio: ["ignore", "ignore", "ignore"] });
    await until(() => readlinkSync(`/proc/${child.pid}/exe`).includes("sleep"));
    expect(readdirSync(`/proc/${child.pid}/fd`)).toEqual(["0", "1", "2"]);
    child.kill();
    await child.exited;
    listener.stop(true);
    for (const descriptor of [file, ...ends]) closeSync(descriptor);
  });

  test("passes descriptors named by number as the child's streams", async () => {
    const ends = new Int32Array(2);
    expect(libc.pipe2(ptr(ends), 0o2000000)).toBe(0);
    const [readEnd = -1, writeEnd = -1] = ends;
    const child = Bun.spawn(["cat"], { stdio: [readEnd, "pipe", null] });
    closeSync(readEnd);
    writeSync(writeEnd, "through the pipe");
    closeSync(writeEnd);
    expect(await child.stdout.text()).toBe("through the pipe");
  });

  test("gives a child every signal's default back, also those that we were started to ignore", async () => {
    using scratch = new Scratch();
    const told = 'console.log(/SigIgn:\\s*(\\w+)/.exec(require("fs").readFileSync("/proc/self/status", "utf8"))[1]);';
    const script = `${told} console.log(Bun.spawnSync(["grep", "SigIgn", "/proc/self/status"]).stdout.toString())`;
    const through = ["env", "--ignore-signal=HUP", "--ignore-signal=USR1"];
    const { stdout } = await scratch.run([...through, process.execPath, "-e", script]);
    const [ours = "", child = ""] = stdout.split("\n");
    const bit = (signal: number): bigint => 1n << BigInt(signal - 1);
    // HUP and USR1 as told, PIPE and XFSZ by the runtime's own doing.
    expect(BigInt(`0x${ours}`)).toBe(bit(1) | bit(10) | bit(13) | bit(25));
    expect(child).toMatch(/^SigIgn:\s*0000000000000000$/);
  });
});

describe("a process of Bun", () => {
  test("gets EPIPE, not SIGPIPE, for a pipe nobody reads", () => {
    const ends = new Int32Array(2);
    libc.pipe2(ptr(ends), 0o2000000);
    const [readEnd = -1, writeEnd = -1] = ends;
    closeSync(readEnd);
    expect(() => writeSync(writeEnd, "x")).toThrow(expect.objectContaining({ code: "EPIPE" }));
    closeSync(writeEnd);
  });

  test("dies of a signal it raises after giving it its default back, as its parent sees it", async () => {
    using scratch = new Scratch({
      "raise.ts": `
        import { dlopen } from "bun:ffi";
        const { raise, signal } = dlopen("libc.so.6", {
          raise: { args: ["i32"], returns: "i32" }, signal: { args: ["i32", "ptr"], returns: "ptr" } }).symbols;
        process.on("SIGTERM", () => console.log("not to be heard"));
        signal(15, null); raise(15); console.log("not to be reached");`,
    });
    const { stdout, signal } = await scratch.bun(["raise.ts"]);
    expect([stdout, signal]).toEqual(["", "SIGTERM"]);
  });

  test("does not end for SIGINT or SIGTERM once there is a handler, and the default returns with the last one gone", async () => {
    using scratch = new Scratch();
    const script = `const handler = () => { process.off("SIGTERM", handler); console.log("kept"); };
      process.on("SIGTERM", handler); setInterval(() => {}, 1000); console.log("ready")`;
    const child = scratch.start([process.execPath, "-e", script]);
    let said = "";
    const listening = (async () => {
      for await (const bytes of child.stdout) said += new TextDecoder().decode(bytes);
    })();
    await until(() => said === "ready\n");
    child.kill("SIGTERM");
    await until(() => said === "ready\nkept\n");
    child.kill("SIGTERM");
    await child.exited;
    await listening;
    expect(child.signalCode).toBe("SIGTERM");
  });

  test("loads .env and bunfig.toml of its folder, and neither with --no-env-file --config=/dev/null", async () => {
    using scratch = new Scratch({
      ".env": "FROM_FILE=env",
      "bunfig.toml": 'preload = ["./preload.ts"]',
      "preload.ts": 'console.log("preloaded")',
      "tool/main.ts": 'console.log(process.env.FROM_FILE ?? "none")',
    });
    expect((await scratch.bun(["tool/main.ts"])).stdout).toBe("preloaded\nenv\n");
    expect((await scratch.bun(["--no-env-file", "--config=/dev/null", "tool/main.ts"])).stdout).toBe("none\n");
  });

  test("imports text and HTML as text", async () => {
    using scratch = new Scratch({
      "main.ts": `import lua from "./a.lua" with { type: "text" }; import html from "./a.html" with { type: "text" };
        console.log(lua + html);`,
      "a.lua": "return 1",
      "a.html": "<p>hi</p>",
    });
    expect((await scratch.bun(["main.ts"])).stdout).toBe("return 1<p>hi</p>\n");
  });

  test("fires a timer of over 2^31-1 ms at once", async () => {
    const startMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 2 ** 31));
    expect(performance.now() - startMs).toBeLessThan(1000);
  });
});

describe("the language", () => {
  test("JSON.parse and Object.fromEntries make __proto__ an own member and change no prototype", () => {
    for (const made of [JSON.parse('{"__proto__":{"a":1}}'), Object.fromEntries([["__proto__", { a: 1 }]])]) {
      expect([Object.hasOwn(made, "__proto__"), made.a, Object.getPrototypeOf(made)]).toEqual([
        true,
        undefined,
        Object.prototype,
      ]);
    }
  });

  test("a fatal TextDecoder throws for what is no UTF-8, begins anew after it, and keeps a mark with ignoreBOM only", () => {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    for (const bad of ["80", "c080", "eda080", "f4908080", "e282"]) {
      expect(() => decoder.decode(Uint8Array.fromHex(bad))).toThrow(TypeError);
      expect(decoder.decode(Uint8Array.fromHex("e282ac"))).toBe("€");
    }
    const marked = Uint8Array.fromHex("efbbbf61");
    expect([decoder.decode(marked), new TextDecoder().decode(marked)]).toEqual(["\ufeffa", "a"]);
  });

  test("JSON.stringify writes half a surrogate pair as an escape, so that JSON text is always UTF-8", () => {
    expect(JSON.stringify("\ud800")).toBe('"\\ud800"');
  });

  test("node:fs writes a file with the mode that umask leaves", () => {
    using scratch = new Scratch();
    const before = process.umask(0o177);
    writeFileSync(scratch.at("file"), "");
    expect(process.umask(before)).toBe(0o177);
    const mode = Bun.spawnSync(["stat", "-c", "%a", scratch.at("file")]).stdout.toString();
    expect(mode).toBe("600\n");
  });
});
