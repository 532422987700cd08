import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { lineClient, testBroker } from "../support/broker.ts";
import { bundleClient, runScript } from "../support/client-bundle.ts";

/** Every command once; says what came as one line of JSON. */
const everyCommand = `
  const client = new Client({ label: "node", secret: SECRET });
  const said = {};
  said.set = typeof (await client.set("k", { text: "é", bytes: new Uint8Array([1, 2]) }, 60000));
  const stored = await client.get("k");
  said.get = [stored.text, stored.bytes instanceof Uint8Array, [...stored.bytes]];
  said.packed = await client.get("packed");
  said.list = Object.keys(await client.list("k"));
  said.lease = await client.lease("accounts", "w1", 60000);
  said.release = await client.release("w1");
  said.once = [await client.once("login", async () => "token"), await client.once("login", () => "never run")];
  said.del = [await client.del("k"), await client.del("k")];
  said.missing = await client.get("k").catch((error) => [error instanceof EphemeralError, error.code]);
  said.ping = (await client.ping()) >= 0;
  said.stats = (await client.stats()).items;
  said.health = (await client.health()).status;
  said.metrics = (await client.metrics()).includes("# TYPE");
  said.ps = (await client.ps()).some((session) => session.label === "node");
  {
    const second = new Client({ secret: SECRET });
    await second.ping();
    await second[Symbol.asyncDispose]();
    said.disposed = second.state;
  }
  said.node = process.versions.node.split(".")[0] >= 20 && process.versions.bun === undefined;
  console.log(JSON.stringify(said));
`;

test.each([
  ["without a secret", undefined],
  ["with a secret", "s3cret"],
])("every command on Node, %s", async (_what, secret) => {
  await using broker = await testBroker(secret === undefined ? {} : { secret });
  using bundle = await bundleClient({ minify: true });
  const value = gzipSync('"from the seed"').toString("base64");
  // Sealed by hand where there is a secret: the seed has its own way of proving that it knows it.
  using line = await lineClient(broker.pipe);
  const set = JSON.stringify({ action: "set", key: "packed", value, ttl: 60_000, compressed: true });
  const hmac = new Bun.CryptoHasher("sha256", secret ?? "").update(set).digest("hex");
  line.write(secret === undefined ? `${set}\n` : `${set.slice(0, -1)},"hmac":"${hmac}"}\n`);
  expect(await line.next()).toMatchObject({ ok: true });

  const script = await bundle.script(everyCommand.replaceAll("SECRET", JSON.stringify(secret ?? null)));
  const { stdout, stderr, code } = await runScript(["node", script], broker.pipe);
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  expect(JSON.parse(stdout)).toEqual({
    set: "number",
    get: ["é", true, [1, 2]],
    packed: "from the seed",
    list: ["k"],
    lease: 0,
    release: true,
    once: ["token", "token"],
    del: [true, false],
    missing: [true, "not_found"],
    ping: true,
    stats: 2,
    health: "healthy",
    metrics: true,
    ps: true,
    disposed: "closed",
    node: true,
  });
});

/** Of which the errors, the codec and the framing of `src/protocol` are 1.9 KB, the mutual proof 0.4. */
const gzippedBytesMax = 10.25 * 1024;

test("the client, minified and gzipped, is at most 10.25 KB and needs nothing but node:", async () => {
  using bundle = await bundleClient({ minify: true });
  const text = await Bun.file(bundle.path).text();
  expect(gzipSync(text, { level: 9 }).length).toBeLessThanOrEqual(gzippedBytesMax);
  const imports = new Bun.Transpiler({ loader: "js" }).scanImports(text).map((imported) => imported.path);
  expect(imports.toSorted()).toEqual(["node:fs", "node:net", "node:zlib", "node:zlib"]);
});
