import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { dirname } from "node:path";
import { lineClient, testBroker } from "../support/broker.ts";
import { startWorker } from "../support/worker.ts";

const strangerUid = 54_321;

/** What a process of `uid` gets from the pipe for a ping, before it is closed: "" for nothing, or an error's code. */
function askAs(uid: number, pipe: string): Promise<string> {
  const program = `
    const socket = require("node:net").connect(process.argv[1]);
    const end = (text) => { process.stdout.write(text); process.exit(0); };
    socket.on("connect", () => socket.write('{"action":"ping"}\\n'));
    socket.on("data", (data) => end(String(data)));
    socket.on("error", (error) => end(error.code === "ECONNRESET" || error.code === "EPIPE" ? "" : error.code));
    socket.on("close", () => end(""));
  `;
  const child = spawn("node", ["-e", program, pipe], { uid, gid: uid, cwd: "/", stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (data) => {
    said += data;
  });
  return new Promise((resolve) => child.on("close", () => resolve(said)));
}

describe("listenOnPipe()", () => {
  test("tells whose process is at the other end", async () => {
    await using broker = await testBroker();
    await using worker = startWorker(broker.pipe);
    const { sessions } = (await worker.ask({ action: "ps" })) as { sessions: { pid: number }[] };
    expect(sessions.map((session) => session.pid)).toEqual([worker.pid]);
  });

  test.skipIf(process.getuid?.() !== 0)(
    "keeps other users out twice: by the directory, and by the peer's uid",
    async () => {
      await using broker = await testBroker();
      expect(await askAs(strangerUid, broker.pipe)).toBe("EACCES");
      // With every door of the file system open the kernel still tells who dials.
      const [run, temporary] = [dirname(broker.directory), dirname(dirname(broker.directory))];
      for (const path of [broker.directory, run, temporary]) fs.chmodSync(path, 0o755);
      fs.chmodSync(broker.pipe, 0o777);
      expect(await askAs(strangerUid, broker.pipe)).toBe("");
      expect(await askAs(0, broker.pipe)).toContain('"ok":true');
      using client = await lineClient(broker.pipe);
      const { stats } = (await client.ask({ action: "stats" })) as { stats: object };
      expect(stats).toMatchObject({ connections: 1, sessions: 1 });
    },
  );

  test("serves a connection that comes right after another went, a thousand times", async () => {
    await using broker = await testBroker();
    for (let round = 0; round < 1000; round++) {
      using client = await lineClient(broker.pipe);
      if (round % 10 === 0) expect(await client.ask({ id: round, action: "ping" })).toMatchObject({ id: round });
    }
  });

  test("takes bytes cut anywhere and joined anyhow", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const bytes = Buffer.from(
      '{"id":1,"action":"set","key":"é€😀","value":"é€😀","ttl":60000}\n{"id":2,"action":"get","key":"é€😀"}\r\n',
    );
    for (const byte of bytes) client.write(Uint8Array.of(byte));
    expect(await client.next()).toMatchObject({ id: 1, ok: true });
    expect(await client.next()).toMatchObject({ id: 2, ok: true, value: "é€😀" });
  });
});
