/** The broker about itself: `ping stats health metrics ps`. The seed's field names are kept. */
import type { Clock } from "../../engine/clock.ts";
import type { Awaitable, Engine, EngineStats } from "../../engine/engine.ts";
import type { Capacity, Health, Reply, SessionInfo, Stats } from "../../protocol/commands.ts";
import type { Hub } from "../channels/hub.ts";
import type { CompressionCounts } from "../compression-counts.ts";
import type { BrokerConfig } from "../config.ts";
import type { Connections } from "../connections/connections.ts";
import type { Dispatcher, Rows } from "../dispatcher.ts";
import { prometheusText } from "../metrics.ts";
import type { DirectPushes } from "../requests/direct-pushes.ts";
import type { Requests } from "../requests/requests.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Watches } from "../watches.ts";

export interface AdminParts {
  readonly engine: Engine;
  readonly config: BrokerConfig;
  readonly clock: Clock;
  readonly sessions: Sessions;
  readonly compression: CompressionCounts;
  readonly watches: Watches;
  readonly requests: Requests;
  readonly pushes: DirectPushes;
  readonly hub: Hub;
  /** What `hello` says of this broker. */
  readonly about: { readonly version: string; readonly epoch: string; readonly startedAtMs: number };
  /** Looked up when asked: the dispatcher is made from these rows. */
  readonly dispatcher: () => Dispatcher;
  /** Looked up when asked, too. */
  readonly connections: () => Connections;
}

/** From this share of `itemsMax` on, health and stats warn. */
const nearCapacityFrom = 0.9;

export function adminRows(parts: AdminParts): Rows<"ping" | "stats" | "health" | "metrics" | "ps"> {
  const row = { access: "admitted", whileDraining: "served" } as const;
  return {
    ping: { ...row, handle: () => ({ pong: parts.clock.nowMs() }) },
    // Answered at once where they can be: a flood of them is then held to its turns as any other.
    stats: { ...row, handle: () => whenRead(parts.engine.stats(), (engine) => ({ stats: stats(parts, engine) })) },
    health: { ...row, handle: () => whenRead(parts.engine.stats(), (engine) => health(parts, engine)) },
    metrics: { ...row, handle: sharedMetrics(parts) },
    ps: { ...row, handle: () => whenRead(shownSessions(parts), (sessions) => ({ sessions })) },
  };
}

function whenRead<Read, Answer>(read: Awaitable<Read>, answer: (read: Read) => Answer): Awaitable<Answer> {
  return read instanceof Promise ? read.then(answer) : answer(read);
}

/** Making the text takes about as long as a hundred commands, so all who ask while it is made get the same. */
function sharedMetrics(parts: AdminParts): () => Promise<Reply<"metrics">> {
  let making: Promise<Reply<"metrics">> | undefined;
  return () => {
    making ??= metrics(parts).finally(() => {
      making = undefined;
    });
    return making;
  };
}

function shownSessions({ sessions, requests }: AdminParts): Awaitable<SessionInfo[]> {
  return sessions.show((session) => requests.responders.methodsOf(session));
}

function stats(parts: AdminParts, engine: EngineStats): Stats {
  const { rss, heapUsed } = process.memoryUsage();
  let commands = 0;
  for (const { total } of parts.dispatcher().counts.values()) commands += total;
  return {
    items: engine.items,
    leases: engine.leases,
    onces: engine.onces,
    waits: engine.waits,
    watches: parts.watches.size,
    channels: engine.channels.channels,
    subscriptions: parts.hub.size,
    connections: parts.connections().size,
    sessions: parts.sessions.size,
    commands,
    capacity: capacity(engine.items, parts.config),
    memory: { rss, heapUsed, approximateStoreBytes: engine.storeBytes },
    uptime: parts.clock.nowMs() - parts.about.startedAtMs,
  };
}

function health(parts: AdminParts, engine: EngineStats): Health {
  const { rss, heapUsed, heapTotal } = process.memoryUsage();
  const nowMs = parts.clock.nowMs();
  const connections = parts.connections();
  const full = capacity(engine.items, parts.config);
  return {
    status: full.atCapacity ? "degraded" : "healthy",
    uptime: nowMs - parts.about.startedAtMs,
    timestamp: nowMs,
    capacity: full,
    memory: { rss, heapUsed, heapTotal },
    connections: { open: connections.size, inFlight: connections.inFlight, draining: parts.dispatcher().isDraining },
  };
}

function capacity(items: number, config: BrokerConfig): Capacity {
  const maxItems = config.limits.itemsMax;
  const utilization = items / maxItems;
  const atCapacity = utilization >= 1;
  const nearCapacity = utilization >= nearCapacityFrom;
  return {
    items,
    maxItems,
    utilization: Math.round(utilization * 100) / 100,
    nearCapacity,
    atCapacity,
    warning: atCapacity ? "at_capacity" : nearCapacity ? "near_capacity" : null,
  };
}

async function metrics(parts: AdminParts): Promise<Reply<"metrics">> {
  const engine = await parts.engine.stats();
  const { counts, refusals, handOvers, isDraining } = parts.dispatcher();
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const text = await prometheusText({
    counts,
    refusals,
    handOvers,
    isDraining,
    engine,
    compression: parts.compression,
    capacity: capacity(engine.items, parts.config),
    connections: parts.connections(),
    sessions: parts.sessions.size,
    watches: parts.watches.size,
    messages: {
      methods: parts.requests.responders.size,
      requests: parts.requests.size,
      requestsLost: parts.requests.lostCount,
      events: parts.pushes.eventsCount,
      subscriptions: parts.hub.size,
      delivered: parts.hub.deliveredCount,
    },
    uptimeMs: parts.clock.nowMs() - parts.about.startedAtMs,
    memory: { rss, heapUsed },
    cpu: { userUs: user, systemUs: system },
  });
  return { metrics: text, format: "prometheus" };
}
