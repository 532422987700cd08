/**
 * What the broker counts, as Prometheus text. The numbers are kept where they arise, as plain numbers; they are copied into
 * prom-client's registry when somebody scrapes, and the library is loaded at the first scrape. The seed's names, types and
 * labels are kept; what is ours stands beside them under the same prefix.
 */
import type { EngineStats } from "../engine/engine.ts";
import type { Capacity } from "../protocol/commands.ts";
import type { CompressionCounts } from "./compression-counts.ts";
import type { Tally } from "./connections/tally.ts";
import type { CommandCount } from "./dispatcher.ts";

export interface MetricsReading {
  readonly counts: ReadonlyMap<string, Readonly<CommandCount>>;
  /** Refusals by code. */
  readonly refusals: ReadonlyMap<string, number>;
  /** Commands that waited and got what they waited for, by action. */
  readonly handOvers: ReadonlyMap<string, number>;
  readonly compression: Readonly<CompressionCounts>;
  readonly isDraining: boolean;
  readonly engine: EngineStats;
  readonly capacity: Capacity;
  readonly connections: {
    readonly size: number;
    /** Commands not answered yet. */
    readonly inFlight: number;
    readonly openedCount: number;
    readonly refusedCount: number;
    readonly tally: Tally;
  };
  readonly sessions: number;
  readonly watches: number;
  readonly messages: {
    /** Methods served, those of each session counted apart. */
    readonly methods: number;
    /** Requests nobody has answered yet, and those whose responder ended before it did. */
    readonly requests: number;
    readonly requestsLost: number;
    /** Direct messages handed to connections. */
    readonly events: number;
    readonly subscriptions: number;
    /** Messages handed to subscribers. */
    readonly delivered: number;
  };
  readonly uptimeMs: number;
  readonly memory: { readonly rss: number; readonly heapUsed: number };
  readonly cpu: { readonly userUs: number; readonly systemUs: number };
}

interface Metric {
  readonly kind: "counter" | "gauge";
  /** Without the prefix. */
  readonly name: string;
  readonly help: string;
  /** One number, or one for each label of one name or set of names. */
  readonly value: number | readonly Sample[];
}

type Sample = readonly [value: number, labels: Readonly<Record<string, string>>];

const prefix = "ephemeral_broker_";

/** Prometheus text exposition format, version 0.0.4. */
export async function prometheusText(reading: MetricsReading): Promise<string> {
  const { Counter, Gauge, Registry } = await import("prom-client");
  const registry = new Registry();
  for (const { kind, name, help, value } of [...seedMetrics(reading), ...ownMetrics(reading)]) {
    const samples: readonly Sample[] = typeof value === "number" ? [[value, {}]] : value;
    const labelNames = Object.keys(samples[0]?.[1] ?? {});
    const about = { name: prefix + name, help, labelNames, registers: [registry] };
    const metric = kind === "counter" ? new Counter(about) : new Gauge(about);
    for (const [amount, labels] of samples) metric.inc(labels, amount);
  }
  return registry.metrics();
}

function seedMetrics(reading: MetricsReading): readonly Metric[] {
  const { engine, capacity, connections, counts } = reading;
  const commands = [...counts];
  const operations = commands.flatMap(([action, { total, errors }]): readonly Sample[] => [
    [total - errors, { action, result: "success" }],
    [errors, { action, result: "error" }],
  ]);
  const expired: readonly Sample[] = [
    [engine.itemsExpired, { type: "items" }],
    [engine.leasesExpired, { type: "leases" }],
  ];
  const total = commands.reduce((sum, [, count]) => sum + count.total, 0);
  return [
    { kind: "counter", name: "operations_total", help: "Total number of operations by type", value: operations },
    ...compressionMetrics(reading),
    { kind: "counter", name: "expired_total", help: "Total expired items and leases", value: expired },
    { kind: "counter", name: "requests_total", help: "Total requests processed", value: total },
    { kind: "gauge", name: "requests_in_flight", help: "Current in-flight requests", value: connections.inFlight },
    { kind: "gauge", name: "draining", help: "Whether broker is draining (1=yes, 0=no)", value: +reading.isDraining },
    { kind: "gauge", name: "capacity_items", help: "Current number of items", value: capacity.items },
    { kind: "gauge", name: "capacity_max", help: "Maximum number of items", value: capacity.maxItems },
    {
      kind: "gauge",
      name: "capacity_utilization",
      help: "Capacity utilization (0.0-1.0)",
      value: capacity.utilization,
    },
  ];
}

/** Clients compress, and say in `set` what it came to. */
function compressionMetrics({ compression, counts }: MetricsReading): readonly Metric[] {
  const { sets, beforeBytes, afterBytes } = compression;
  const set = counts.get("set");
  const uncompressed = set === undefined ? 0 : set.total - set.errors - sets;
  const values: readonly Sample[] = [
    [sets, { compressed: "true" }],
    [Math.max(uncompressed, 0), { compressed: "false" }],
  ];
  const bytes: readonly Sample[] = [
    [beforeBytes, { stage: "before" }],
    [afterBytes, { stage: "after" }],
  ];
  const ratio = beforeBytes === 0 ? 0 : afterBytes / beforeBytes;
  return [
    { kind: "counter", name: "compression_total", help: "Total values compressed/uncompressed", value: values },
    { kind: "counter", name: "compression_bytes_total", help: "Total bytes before/after compression", value: bytes },
    { kind: "gauge", name: "compression_ratio", help: "Current compression ratio", value: ratio },
  ];
}

function ownMetrics(reading: MetricsReading): readonly Metric[] {
  const { engine, connections, memory, cpu, messages } = reading;
  const { receivedBytes, sentBytes } = connections.tally;
  const by = (label: string, counts: ReadonlyMap<string, number>): readonly Sample[] =>
    [...counts].map(([name, count]) => [count, { [label]: name }]);
  const cpuSeconds: readonly Sample[] = [
    [cpu.userUs / 1e6, { mode: "user" }],
    [cpu.systemUs / 1e6, { mode: "system" }],
  ];
  const counters: readonly (readonly [name: string, help: string, value: Metric["value"]])[] = [
    ["connections_total", "Connections opened", connections.openedCount],
    ["connections_refused_total", "Connections refused because there were too many", connections.refusedCount],
    ["refused_total", "Commands and frames refused, by error code", by("code", reading.refusals)],
    ["handed_over_total", "Commands that waited and got what they waited for", by("action", reading.handOvers)],
    ["received_bytes_total", "Bytes received", receivedBytes],
    ["sent_bytes_total", "Bytes taken by the kernel to be sent", sentBytes],
    ["jobs_done_total", "Jobs that were acked", engine.sharing.jobsDone],
    ["jobs_given_back_total", "Jobs that were taken and not acked", engine.sharing.jobsGivenBack],
    ["events_total", "Direct messages handed to connections", messages.events],
    ["responses_lost_total", "Requests whose responder ended before it answered", messages.requestsLost],
    ["messages_published_total", "Messages published", engine.channels.published],
    ["messages_delivered_total", "Messages handed to subscribers", messages.delivered],
    ["process_cpu_seconds_total", "Processor time of the broker's process", cpuSeconds],
  ];
  const gauges: readonly (readonly [name: string, help: string, value: number])[] = [
    ["connections", "Open connections", connections.size],
    ["sessions", "Sessions, those that linger too", reading.sessions],
    ["watches", "Key prefixes watched", reading.watches],
    ["methods", "Methods served, those of each session counted apart", messages.methods],
    ["requests_unanswered", "Requests no responder has answered yet", messages.requests],
    ["leases", "Numbered leases held", engine.leases],
    ["onces", "Values being produced", engine.onces],
    ["jobs", "Jobs of queues that are not done", engine.sharing.jobs],
    ["jobs_in_flight", "Jobs somebody has taken", engine.sharing.jobsInFlight],
    ["jobs_dead", "Jobs that failed too often", engine.sharing.jobsDead],
    ["channels", "Channels with subscribers, history or a known offset", engine.channels.channels],
    ["subscriptions", "Subscriptions of all connections", messages.subscriptions],
    ["history_messages", "Messages of channels that can be read again", engine.channels.messages],
    ["history_bytes", "Their bytes", engine.channels.bytes],
    ["waits", "Commands waiting", engine.waits],
    ["store_bytes", "Bytes of keys and values, estimated", engine.storeBytes],
    ["process_resident_bytes", "Memory of the broker's process that is in use", memory.rss],
    ["process_heap_bytes", "Bytes of JavaScript objects in use", memory.heapUsed],
    ["uptime_seconds", "Time since the broker started", reading.uptimeMs / 1000],
  ];
  return [
    // Without a sample there is no label to know, and the library would print a zero without one.
    ...counters
      .filter(([, , value]) => typeof value === "number" || value.length > 0)
      .map(([name, help, value]): Metric => ({ kind: "counter", name, help, value })),
    ...gauges.map(([name, help, value]): Metric => ({ kind: "gauge", name, help, value })),
  ];
}
