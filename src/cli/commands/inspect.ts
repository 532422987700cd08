/**
 * The pages of ps, ping, stats, health and metrics: how the broker is, and who holds what.
 */
import type { Health, SessionInfo, Stats } from "../../protocol/commands.ts";
import { type Answer, call, clientFlags } from "../call.ts";
import { exitStatuses } from "../failure.ts";
import { type Paint, table } from "../output.ts";
import { definePage } from "../page.ts";
import { heldName } from "../turns/held.ts";
import { formatBytes, formatDuration } from "../units.ts";

export const psPage = definePage({
  name: "ps",
  group: "Who has what",
  summary: "Show who is connected, what each holds and what each waits for",
  notes: ["With --json: sessions."],
  examples: [
    { line: "ephemeral ps", does: "a run hangs: who holds what they wait for?" },
    { line: "ephemeral ps --json | jq '.sessions[] | select(.waits != [])'", does: "only those who wait" },
  ],
  args: clientFlags,
  perform: (args) =>
    call(args, async (ask): Promise<Answer> => {
      const { sessions } = await ask({ action: "ps" });
      return { document: { sessions }, text: (paint) => listed(sessions, paint) };
    }),
});

function listed(sessions: readonly SessionInfo[], paint: Paint): string {
  const nowMs = Date.now();
  const since = (ms: number): string => formatDuration(nowMs - ms);
  const rows = sessions.map(({ session, label, pid, connectedAtMs, holds, waits, serves = [] }) => [
    session,
    pid === undefined ? "-" : `${pid}`,
    since(connectedAtMs),
    label ?? "-",
    [
      ...holds.map((hold) => `${heldName(hold)} (${since(hold.sinceAtMs)})`),
      ...serves.map((method) => `serves ${method}`),
    ].join(", ") || "-",
    waits.map(({ action, key, sinceAtMs }) => `${action} ${key} (${since(sinceAtMs)})`).join(", ") || "-",
  ]);
  return table(rows, { header: ["SESSION", "PID", "AGE", "LABEL", "HOLDS", "WAITS FOR"], paint });
}

export const pingPage = definePage({
  name: "ping",
  group: "Broker",
  summary: "Ask whether the broker answers, and how fast",
  notes: ["With --json: roundTripMs."],
  examples: [{ line: "ephemeral ping > /dev/null && echo up", does: "test for a broker in a script" }],
  args: clientFlags,
  perform: (args) =>
    call(args, async (ask): Promise<Answer> => {
      // The first answer also counts connecting and greeting.
      await ask({ action: "ping" });
      const askedAtMs = performance.now();
      await ask({ action: "ping" });
      const roundTripMs = Math.round((performance.now() - askedAtMs) * 1000) / 1000;
      return { document: { roundTripMs }, text: `${roundTripMs.toFixed(2)} ms\n` };
    }),
});

export const statsPage = definePage({
  name: "stats",
  group: "Broker",
  summary: "Show the broker's counts",
  notes: ["With --json: what the broker counts, under the names the protocol has for it."],
  examples: [{ line: "ephemeral stats --json | jq .capacity.utilization", does: "how full it is, from 0 to 1" }],
  args: clientFlags,
  perform: (args) =>
    call(args, async (ask): Promise<Answer> => {
      const { stats } = await ask({ action: "stats" });
      return { document: stats, text: (paint) => table(statsRows(stats), { paint }) };
    }),
});

function statsRows(stats: Stats): string[][] {
  const { capacity, memory } = stats;
  return [
    ["items", `${capacity.items} of ${capacity.maxItems}`],
    ["leases", `${stats.leases}`],
    ["onces", `${stats.onces}`],
    ["waits", `${stats.waits}`],
    ["watches", `${stats.watches}`],
    ["connections", `${stats.connections}`],
    ["sessions", `${stats.sessions}`],
    ["commands", `${stats.commands}`],
    ["store", formatBytes(memory.approximateStoreBytes)],
    ["memory", formatBytes(memory.rss)],
    ["uptime", formatDuration(stats.uptime)],
  ];
}

export const healthPage = definePage({
  name: "health",
  group: "Broker",
  summary: "Show whether the broker is well",
  notes: ["With --json: what the broker says of its health, status first."],
  examples: [{ line: "ephemeral health > /dev/null || ephemeral stats", does: "look closer when it is not" }],
  refusedWhen: "the broker answers, but is degraded; what it says is printed all the same",
  args: clientFlags,
  perform: (args) =>
    call(args, async (ask): Promise<Answer> => {
      const { status, uptime, timestamp, capacity, memory, connections } = await ask({ action: "health" });
      const health = { status, uptime, timestamp, capacity, memory, connections };
      if (status !== "healthy") process.exitCode = exitStatuses.refused;
      return { document: health, text: (paint) => table(healthRows(health), { paint }) };
    }),
});

function healthRows({ status, capacity, connections, memory, uptime }: Health): string[][] {
  return [
    ["status", status],
    ["items", `${capacity.items} of ${capacity.maxItems}`],
    ["connections", `${connections.open}`],
    ["in flight", `${connections.inFlight}`],
    ["draining", connections.draining ? "yes" : "no"],
    ["memory", formatBytes(memory.rss)],
    ["uptime", formatDuration(uptime)],
  ];
}

export const metricsPage = definePage({
  name: "metrics",
  group: "Broker",
  summary: "Print the broker's metrics as Prometheus reads them",
  notes: ["With --json: metrics, the same text."],
  examples: [{ line: "ephemeral metrics | grep ephemeral_", does: "look at them" }],
  args: clientFlags,
  perform: (args) =>
    call(args, async (ask): Promise<Answer> => {
      const { metrics } = await ask({ action: "metrics" });
      return { document: { metrics }, text: metrics };
    }),
});
