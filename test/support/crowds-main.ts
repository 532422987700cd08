/**
 * The program of a crowd that behaves badly towards the broker whose pipe is its one argument: told `{ crowd, count }` on
 * stdin it does that, drops all its connections and says what it saw. `hold` alone keeps them, until it is killed.
 */
import { encode } from "@msgpack/msgpack";
import { openCrowd, type Peer } from "./crowd.ts";
import { linesOf, type Said } from "./line-process.ts";
import { prefixed } from "./msgpack-client.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const ttl = 60_000;
const pipe = process.argv[2] ?? "";

const floodMs = 500;
const slowReadMs = 500;

const line = (command: object): Uint8Array => Buffer.from(`${JSON.stringify(command)}\n`);

type Crowd = (count: number) => Promise<Said>;

/** Every kind of start a connection can have before it is dropped. */
const beginnings: readonly (string | Uint8Array)[] = [
  "",
  '{"action":"ping"}\n',
  '{"action":"get","key":"nobody sets it","waitMs":-1}\n',
  '{"action":"hello","protocol":1}\n{"action":"lease","key":"l","workerId":"w","scope":"session"}\n',
  '{"action":"pi',
  Uint8Array.of(0, 0, 0, 100, 0x81),
];

/** Each is opened, begins and is dropped, some at a time. */
const drop: Crowd = async (count) => {
  const batch = 100;
  for (let dropped = 0; dropped < count; dropped += batch) {
    using crowd = await openCrowd(pipe, Math.min(batch, count - dropped));
    for (const [index, peer] of crowd.entries()) peer.write(beginnings[index % beginnings.length] ?? "");
  }
  return { opened: count };
};

/** All of them at once, each answered, none with a greeting. */
const anonymous: Crowd = async (count) => {
  using crowd = await openCrowd(pipe, count);
  let answered = 0;
  await Promise.all(crowd.map(async (peer) => ((await peer.ask({ action: "ping" })).ok === true ? answered++ : 0)));
  return { answered };
};

/** All of them at once, each with a session that holds a lease and lingers a little. */
const greeted: Crowd = async (count) => {
  using crowd = await openCrowd(pipe, count);
  let held = 0;
  const hold = async (peer: Peer, index: number): Promise<void> => {
    await peer.ask({ action: "hello", protocol: 1, label: `peer ${index}`, lingerMs: index % 2 === 0 ? 0 : 200 });
    const lease = { action: "lease", key: `seat ${index % 10}`, workerId: `w${index}`, scope: "session" };
    if ((await peer.ask(lease)).ok === true) held++;
  };
  await Promise.all(crowd.map(hold));
  return { held };
};

/** Dials past the bound on connections: some are refused, with the reason. */
const tooMany: Crowd = async (count) => {
  using crowd = await openCrowd(pipe, count);
  for (const peer of crowd) peer.say({ action: "ping" });
  await Promise.all(crowd.map((peer) => peer.until(() => peer.isClosed || peer.lines > 0)));
  const refused = crowd.filter((peer) => peer.lastLine.includes('"too_many_connections"')).length;
  return { refused, served: crowd.filter((peer) => peer.lastLine.includes('"pong"')).length };
};

/** What the floods are of; `wait` waits, so that what has no id piles up behind it. */
const commands: readonly object[] = [
  { action: "ping" },
  { action: "stats" },
  { action: "ps" },
  { action: "list" },
  { action: "set", key: "flood", value: "x".repeat(1000), ttl },
  { action: "get", key: "flood" },
  { action: "health" },
  { action: "metrics" },
  { action: "get", key: "nobody sets it", waitMs: 50 },
];

/** Floods of commands, in JSON and in MessagePack, with ids and without: `count` on each connection, and nobody reads. */
const flood: Crowd = async (count) => {
  using crowd = await openCrowd(pipe, 8);
  for (const [which, peer] of crowd.entries()) {
    const said = commands.map((command, id) => (which % 2 === 0 ? command : { id, ...command }));
    const frames = said.map((each) => (which % 4 < 2 ? line(each) : prefixed(encode(each))));
    peer.pause();
    peer.write(Buffer.concat(Array.from({ length: Math.ceil(count / frames.length) }, () => frames).flat()));
  }
  await Bun.sleep(floodMs);
  return { written: crowd.reduce((sum, peer) => sum + peer.writtenBytes, 0) > 8 * 100 * KiB };
};

/** The same of pings, and all answers are read. */
const pings: Crowd = async (count) => {
  using crowd = await openCrowd(pipe, 8);
  const bytes = Buffer.concat(Array.from({ length: count }, () => line({ action: "ping" })));
  for (const peer of crowd) peer.write(bytes);
  await Promise.all(crowd.map((peer) => peer.until(() => peer.lines >= count)));
  return { answered: crowd.reduce((sum, peer) => sum + peer.lines, 0) };
};

/** Readers of a byte every 50 ms, of answers that would fill an outbox. */
const slowReaders: Crowd = async (count) => {
  using crowd = await openCrowd(pipe, count);
  const get = line({ action: "get", key: "large" });
  await crowd[0]?.ask({ action: "set", key: "large", value: "x".repeat(200 * KiB), ttl });
  for (const peer of crowd) peer.write(Buffer.concat(Array.from({ length: 100 }, () => get)));
  const reads = slowReadMs / 50;
  for (let read = 0; read < reads; read++) {
    for (const peer of crowd) peer.pause();
    await Bun.sleep(50);
    for (const peer of crowd) peer.resume();
    await Bun.sleep(0);
  }
  return { open: crowd.filter((peer) => !peer.isClosed).length };
};

/** Peers that close their half in the middle of whatever they began, and keep the other open. */
const halfOpen: Crowd = async (count) => {
  using crowd = await openCrowd(pipe, count);
  for (const [index, peer] of crowd.entries()) {
    peer.write(beginnings[index % beginnings.length] ?? "");
    peer.finish();
  }
  await Promise.all(crowd.map((peer) => peer.closed()));
  return { closed: crowd.filter((peer) => peer.isClosed).length };
};

/** Lines of 2 MiB, with an end and without, a command or none. */
const longLines: Crowd = async (count) => {
  using crowd = await openCrowd(pipe, count);
  const command = line({ action: "set", key: "k", ttl, value: "x".repeat(2 * MiB) });
  for (const [index, peer] of crowd.entries()) peer.write(index % 2 === 0 ? command : command.subarray(0, -1));
  await Promise.all(crowd.map((peer) => peer.closed()));
  return { refused: crowd.filter((peer) => peer.lastLine.includes('"too_large"')).length };
};

/** Frames of so many bytes: arrays in arrays; arrays that say they have 65,535 members; ones that say they have four billion. */
const bombsOf = (bytes: number): readonly Uint8Array[] =>
  ["91", "dcffff90", "ddffffffff"].map((digits) => {
    const head = Buffer.from("81a176", "hex");
    return prefixed(Buffer.concat([head, Buffer.alloc(bytes - head.length, digits, "hex")]));
  });
const bombs = [bombsOf(15 * KiB), bombsOf(1 * MiB)];

/** Each says three bombs of one size and is closed: three frames in a row cannot be read. */
const msgpackBombs: Crowd = async (count) => {
  using crowd = await openCrowd(pipe, count);
  for (const [index, peer] of crowd.entries()) {
    for (const bomb of bombs[index % bombs.length] ?? []) peer.write(bomb);
  }
  await Promise.all(crowd.map((peer) => peer.closed()));
  return { closed: crowd.filter((peer) => peer.receivedBytes > 0).length };
};

/** `count` names, half of leases and half of onces, held by ten sessions; the last is one too many. */
const names: Crowd = async (count) => {
  using crowd = await openCrowd(pipe, 10);
  const ofEach = count / crowd.length;
  const claim = async (peer: Peer, who: number): Promise<number> => {
    const half = ofEach / 2;
    const claims = Array.from({ length: half }, (_, index) => [
      line({ action: "lease", key: `name ${who} ${index}`, workerId: `w${who}`, scope: "session" }),
      line({ action: "once", key: `name ${who} ${index}` }),
    ]);
    peer.write(Buffer.concat(claims.flat()));
    await peer.until(() => peer.lines >= ofEach);
    return peer.refusals;
  };
  const refused = await Promise.all(crowd.map(claim));
  const past = await (crowd[0] as Peer).ask({ action: "lease", key: "one more", workerId: "w", scope: "session" });
  return { refused: refused.reduce((sum, each) => sum + each, 0), past: past.error };
};

/** Peers that watch, hold and wait, and are told of nothing any more once this process is stopped. Kept until it is killed. */
const hold: Crowd = async (count) => {
  const crowd = await openCrowd(pipe, count);
  const overflows = ["close", "gap", "latest"];
  const settle = async (peer: Peer, index: number): Promise<unknown> => {
    await peer.ask({ action: "hello", protocol: 1, label: `stopped ${index}` });
    await peer.ask({ action: "watch", prefix: "watched", overflow: overflows[index % overflows.length] });
    await peer.ask({ action: "lease", key: `seat ${index}`, workerId: "w", scope: "session" });
    for (let id = 1; id <= 10; id++) peer.say({ id, action: "get", key: "never", waitMs: -1 });
    peer.say({ action: "get", key: "never", waitMs: -1 });
    for (let behind = 0; behind < 10; behind++) peer.say({ action: "set", key: "k", value: "x".repeat(1000), ttl });
    return peer.ask({ id: 0, action: "ping" });
  };
  return { held: (await Promise.all(crowd.map(settle))).length };
};

const crowds: Readonly<Record<string, Crowd>> = {
  drop,
  anonymous,
  greeted,
  tooMany,
  flood,
  pings,
  slowReaders,
  halfOpen,
  longLines,
  msgpackBombs,
  names,
  hold,
};

console.log("{}");
for await (const order of linesOf(Bun.stdin.stream())) {
  const { crowd, count } = JSON.parse(order) as { crowd: string; count: number };
  console.log(JSON.stringify(await crowds[crowd]?.(count)));
}
process.exit(0);
