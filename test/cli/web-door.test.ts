/** `ephemeral start --port` from the source and from the executable: what its command is told, the port file, and its end. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { closeCodes } from "../../src/protocol/errors.ts";
import { until } from "../support/processes.ts";
import { programs } from "../support/programs.ts";
import { Trial } from "../support/trial.ts";
import { greetedClient, webSocketClient } from "../support/web-socket.ts";

const both = await programs();
const token = "0123456789abcdef0123456789abcdef";
const forever = ["--", "sh", "-c", "echo $EPHEMERAL_URL $EPHEMERAL_TOKEN; exec sleep 1000"];

/** What the command of a trial was told. */
async function toldBy(trial: Trial): Promise<{ readonly url: string; readonly token: string }> {
  await trial.said("\n");
  const [url = "", token = ""] = trial.stdout.trim().split(" ");
  return { url, token };
}

describe.each(both.map((program) => [program.name, program] as const))(
  "ephemeral start --port (%s)",
  (_name, program) => {
    test("tells its command where the door is and what lets it in, and a run within it nothing of that", async () => {
      const nested = `${program.argv.join(" ")} start -- sh -c 'echo [$EPHEMERAL_URL$EPHEMERAL_TOKEN]'`;
      const script = `echo $EPHEMERAL_URL $EPHEMERAL_TOKEN; ${nested}`;
      const environment = { EPHEMERAL_PORT: "0", EPHEMERAL_PORT_FILE: "port" };
      await using trial = new Trial(program, { args: ["start", "--", "sh", "-c", script], environment });
      expect(await trial.ending()).toEqual({ status: 0, killed: false });
      await trial.closedStreams();
      expect(trial.stdout).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/ws [0-9a-f]{64}\n\[\]\n$/);
      expect(trial.stderr).toBe("");
    });

    test("has the port in its file as long as it answers, whole or not at all", async () => {
      const args = ["start", "--port", "0", "--port-file", "sub/../port", ...forever];
      await using trial = new Trial(program, { args });
      const { mkdirSync } = await import("node:fs");
      mkdirSync(join(trial.directory, "sub"));
      const file = join(trial.directory, "port");
      await until(() => existsSync(file));
      const text = readFileSync(file, "utf8");
      expect(text).toMatch(/^\d+\n$/);
      // It is there, so the port answers.
      const broker = { url: `ws://127.0.0.1:${text.trim()}/ws`, token: "" };
      using early = await webSocketClient(broker.url);
      expect(early.head).toContain(" 101 ");
      const told = await toldBy(trial);
      expect(told.url).toBe(broker.url);
      using client = await greetedClient(told);
      expect(await client.ask({ action: "ping" })).toMatchObject({ ok: true });
      expect(readdirSync(trial.directory).filter((name) => name.startsWith("port"))).toEqual(["port"]);
      trial.signal("SIGTERM");
      expect(await client.next()).toMatchObject({ push: "closing", code: closeCodes.shutdown });
      await trial.ending();
      expect(existsSync(file)).toBe(false);
    });

    test("leaves no port file when it is killed, and another's alone", async () => {
      const args = ["start", "--port", "0", "--port-file", "port", ...forever];
      await using killed = new Trial(program, { args });
      await using robbed = new Trial(program, { args });
      for (const trial of [killed, robbed]) {
        // Who answers has told its reaper of the command; the command itself may have spoken before.
        using client = await webSocketClient((await toldBy(trial)).url);
        expect(client.head).toContain(" 101 ");
      }
      writeFileSync(join(robbed.directory, "port"), "1\n");
      for (const trial of [killed, robbed]) {
        trial.signal("SIGKILL");
        await until(() => trial.processes().length === 0 && trial.runDirectories().length === 0);
      }
      expect(existsSync(join(killed.directory, "port"))).toBe(false);
      expect(readFileSync(join(robbed.directory, "port"), "utf8")).toBe("1\n");
    });

    test("closes 50 clients with 3001 and the word that they may come back, and ends within 5 s", async () => {
      await using trial = new Trial(program, { args: ["start", "--port", "0", ...forever] });
      const told = await toldBy(trial);
      const clients = await Promise.all(Array.from({ length: 50 }, () => greetedClient(told)));
      // One reads nothing, and has been told more than its kernel holds.
      const [deaf] = clients;
      await deaf?.ask({ action: "set", key: "large", value: "x".repeat(200_000), ttl: 60_000 });
      deaf?.pause();
      for (let id = 1; id < 15; id++) deaf?.say({ id, action: "get", key: "large" });
      const startedAtMs = performance.now();
      trial.signal("SIGTERM");
      const closing = { push: "closing", code: closeCodes.shutdown, reason: "the broker ends", retryAfterMs: 1000 };
      for (const client of clients.slice(1)) {
        expect(await client.next()).toEqual(closing);
        expect(await client.closed).toEqual({ code: closeCodes.shutdown, reason: "the broker ends" });
      }
      expect(await trial.ending()).toEqual({ status: 143, killed: true });
      expect(performance.now() - startedAtMs).toBeLessThan(5000);
      for (const client of clients) client[Symbol.dispose]();
    });

    test("without a command says where it is in a second line, and never what lets clients in", async () => {
      const options = {
        args: ["start", "--port", "0", "--log-level", "debug"],
        environment: { EPHEMERAL_TOKEN: token },
      };
      await using trial = new Trial(program, options);
      await trial.said("/ws\n");
      const [pipe = "", url = ""] = trial.stdout.trim().split("\n");
      expect([pipe.endsWith("/sock"), /^ws:\/\/127\.0\.0\.1:\d+\/ws$/.test(url)]).toEqual([true, true]);
      using client = await greetedClient({ url, token });
      using wrong = await webSocketClient(url);
      await wrong.ask({ action: "hello", protocol: 1, token: "canary-wrong-token" });
      await fetch(`${url.replace("ws:", "http:").replace("/ws", "")}/stats?token=canary-query`);
      const path = `${url.replace("ws:", "http:").replace("/ws", "")}/canary-path`;
      await fetch(path, { headers: { Authorization: "Bearer canary-bearer", Cookie: "canary-cookie=1" } });
      expect(await client.ask({ action: "ping" })).toMatchObject({ ok: true });
      trial.signal("SIGTERM");
      await trial.ending();
      await trial.closedStreams();
      expect(trial.stderr).toContain("request answered");
      expect(trial.stderr).toContain("authentication failed");
      expect(trial.stdout + trial.stderr).not.toMatch(/canary|0123456789abcdef/);
    });

    test.each([
      [["--port", "0"], {}, 64, "nobody would know what lets them in"],
      [["--port", "0"], { EPHEMERAL_TOKEN: "short" }, 64, "wanted a token of at least 32 characters, got 5"],
      [["--port", "0"], { EPHEMERAL_TOKEN: "" }, 64, "wanted a token of at least 32 characters, got 0"],
      [["--port", "65536"], { EPHEMERAL_TOKEN: token }, 64, "wanted a port from 0 to 65535, got 65536"],
      [["--port", "http"], {}, 64, 'Cannot read --port: wanted a whole number such as 100, got "http"'],
      [["--host", "127.0.0.1"], {}, 64, "Cannot use --host: it is for a web door, and no port is given"],
      [["--insecure-no-auth"], {}, 64, "Cannot use --insecure-no-auth"],
      [["--port", "0", "--join", "--name", "ci"], {}, 64, "Cannot use --port with --join"],
      [["--port", "0", "--insecure-no-auth"], { EPHEMERAL_SECRET: "s" }, 64, "got a secret and no authentication"],
      [["--port", "0", "--allow-origin", "*", "--insecure-no-auth"], {}, 64, 'got "*"'],
      [
        ["--port", "0", "--insecure-no-auth", "--port-file", "no/such/port"],
        {},
        69,
        "\n--port-file wants a path in a folder that is",
      ],
      [["--port", "0", "--insecure-no-auth", "--host", "192.0.2.1"], {}, 69, "\nGive another --port or --host; port 0"],
    ])("refuses %j in %j", async (flags, environment: Record<string, string>, status, reason) => {
      await using trial = new Trial(program, { args: ["start", ...flags], environment });
      expect(await trial.ending()).toEqual({ status, killed: false });
      await trial.closedStreams();
      expect([trial.stdout, trial.stderr]).toEqual(["", expect.stringContaining(reason)]);
      expect(trial.runDirectories()).toEqual([]);
      await until(() => trial.processes().length === 0);
    });
  },
);

test("the port file replaces what a link of its name points to nothing of", async () => {
  const [program] = both;
  if (program === undefined) throw new Error("there is a program");
  await using trial = new Trial(program, { args: ["start", "--port", "0", "--port-file", "port", ...forever] });
  await toldBy(trial);
  writeFileSync(join(trial.directory, "mine"), "precious");
  symlinkSync("mine", join(trial.directory, "link"));
  await using other = new Trial(program, {
    args: ["start", "--port", "0", "--port-file", "link", ...forever],
    beside: trial,
  });
  await toldBy(other);
  expect(readFileSync(join(trial.directory, "mine"), "utf8")).toBe("precious");
});
