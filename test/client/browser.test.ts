/**
 * The client in a real browser: a page with the bundle that the package has for browsers. Skipped where there is no Chromium,
 * unless everything is required.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { Client } from "../../src/client/client.ts";
import { writeBundles } from "../../src/release/bundles.ts";
import { temporaryDirectory, testBroker } from "../support/broker.ts";
import { isThorough } from "../support/thorough.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const reason = "no Chromium here: apt-get install chromium";

/** What the page does: it listens, and lets the test look at what it was told and cut it off. */
const page = `<!doctype html><script type="module">
  import { Client } from "/client.js";
  const sockets = [];
  class Noted extends WebSocket { constructor(...given) { super(...given); sockets.push(this); } }
  const { url, token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const heard = [];
  const states = [];
  const client = new Client(url, { token, webSocket: Noted, label: "page" });
  client.onState((state) => states.push(state));
  await client.subscribe("room", ({ data }) => heard.push(data), {
    presence: true,
    history: 1,
    onEvent: ({ event, count }) => heard.push(event + (count ?? "")),
  });
  // A page cannot cut a socket without a word, but it can close one that the client still believes in.
  const cut = () => sockets.at(-1).close();
  globalThis.test = { client, heard, states, cut };
</script>`;

describe.skipIf(executablePath === undefined && !isThorough)(`the client in a browser (else: ${reason})`, () => {
  let browser: Browser;
  let client: string;
  beforeAll(async () => {
    if (executablePath === undefined) throw new Error(reason);
    using directory = temporaryDirectory();
    await writeBundles({ source: join(import.meta.dir, "../../src"), outdir: directory.path });
    client = await Bun.file(join(directory.path, "client/browser.js")).text();
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  });
  afterAll(() => browser?.close());

  const heard = (opened: Page): Promise<unknown[]> => opened.evaluate("test.heard");

  test("connects with the run's token, listens, publishes, stores bytes and survives a cut", async () => {
    await using server = servePage(client);
    const origin = `http://127.0.0.1:${server.port}`;
    await using broker = await testBroker({ port: 0, allowedOrigins: [origin] });
    using other = new Client(broker.pipe);
    await other.publish("room", "before");
    const opened = await browser.newPage();
    const problems: string[] = [];
    opened.on("pageerror", (error) => problems.push(error.message));
    await opened.goto(`${origin}/#url=${broker.url}&token=${broker.token}`);
    await until(async () => (await other.presence("room")).some(({ label }) => label === "page"), 15_000);
    await other.publish("room", { n: 1 });
    await opened.evaluate('test.client.publish("room", "from the page")');
    await opened.evaluate('test.client.set("k", { bytes: new Uint8Array([1, 2]) })');
    expect(await other.get("k")).toEqual({ bytes: new Uint8Array([1, 2]) });
    await until(async () => (await heard(opened)).length >= 3);
    await opened.evaluate("test.cut()");
    await other.publish("room", "missed");
    await until(async () => (await heard(opened)).includes("recovered1"), 15_000);
    await other.publish("room", "after");
    await until(async () => (await heard(opened)).includes("after"));
    expect(await heard(opened)).toEqual(["before", { n: 1 }, "from the page", "missed", "recovered1", "after"]);
    expect(await opened.evaluate("test.states")).toEqual([
      ...["connecting", "connected", "reconnecting", "connecting", "connected"],
    ]);
    await opened.evaluate("test.client.close()");
    expect(problems).toEqual([]);
    await opened.close();
  });

  test("refuses a pipe, naming what it wants", async () => {
    await using server = servePage(client);
    const opened = await browser.newPage();
    await opened.goto(`http://127.0.0.1:${server.port}/empty`);
    const refused = await opened.evaluate(
      'import("/client.js").then(({ Client }) => new Client("/run/sock")).catch(({ code, message }) => code + " " + message)',
    );
    expect(refused).toStartWith("bad_command Cannot connect to /run/sock: wanted a URL");
    await opened.close();
  });
});

function servePage(client: string) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch({ url }) {
      const isScript = new URL(url).pathname === "/client.js";
      const type = isScript ? "text/javascript" : "text/html";
      const body = isScript ? client : url.endsWith("/empty") ? "<!doctype html>" : page;
      return new Response(body, { headers: { "content-type": type } });
    },
  });
  return { port: server.port, [Symbol.asyncDispose]: () => server.stop(true) };
}
