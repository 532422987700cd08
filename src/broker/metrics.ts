/**
 * What the broker counts, as Prometheus text. The numbers are kept where they arise, as plain numbers; they are copied into
 * prom-client's registry when somebody scrapes, and the library is loaded at the first scrape. The seed's names are kept.
 */
import type { Registry } from "prom-client";
import type { EngineStats } from "../engine/engine.ts";
import type { Capacity } from "../protocol/commands.ts";
import type { CommandCount } from "./dispatcher.ts";

export interface MetricsReading {
  readonly counts: ReadonlyMap<string, Readonly<CommandCount>>;
  readonly isDraining: boolean;
  readonly engine: EngineStats;
  readonly capacity: Capacity;
  /** Open connections, and commands not answered yet. */
  readonly open: number;
  readonly inFlight: number;
}

type Sample = readonly [value: number, labels?: Readonly<Record<string, string>>];

/** Prometheus text exposition format, version 0.0.4. */
export async function prometheusText(reading: MetricsReading): Promise<string> {
  const { Counter, Gauge, Registry } = await import("prom-client");
  const registry: Registry = new Registry();
  const write = (
    kind: typeof Counter | typeof Gauge,
    about: readonly [name: string, help: string],
    samples: readonly Sample[],
  ) => {
    const [name, help] = about;
    const labelNames = Object.keys(samples[0]?.[1] ?? {});
    const metric = new kind({ name: `ephemeral_broker_${name}`, help, labelNames, registers: [registry] });
    for (const [value, labels] of samples) metric.inc(labels ?? {}, value);
  };
  const { engine, capacity } = reading;
  const commands = [...reading.counts];
  const total = commands.reduce((sum, [, count]) => sum + count.total, 0);

  write(
    Counter,
    ["operations_total", "Total number of operations by type"],
    commands.flatMap(([action, count]) => [
      [count.total - count.errors, { action, result: "success" }],
      [count.errors, { action, result: "error" }],
    ]),
  );
  write(
    Counter,
    ["expired_total", "Total expired items and leases"],
    [
      [engine.itemsExpired, { type: "items" }],
      [engine.leasesExpired, { type: "leases" }],
    ],
  );
  write(Counter, ["requests_total", "Total requests processed"], [[total]]);
  write(Gauge, ["requests_in_flight", "Current in-flight requests"], [[reading.inFlight]]);
  write(Gauge, ["draining", "Whether broker is draining (1=yes, 0=no)"], [[reading.isDraining ? 1 : 0]]);
  write(Gauge, ["capacity_items", "Current number of items"], [[capacity.items]]);
  write(Gauge, ["capacity_max", "Maximum number of items"], [[capacity.maxItems]]);
  write(Gauge, ["capacity_utilization", "Capacity utilization (0.0-1.0)"], [[capacity.utilization]]);
  write(Gauge, ["connections", "Open connections"], [[reading.open]]);
  write(Gauge, ["leases", "Numbered leases held"], [[engine.leases]]);
  write(Gauge, ["onces", "Values being produced"], [[engine.onces]]);
  write(Gauge, ["waits", "Commands waiting"], [[engine.waits]]);
  write(Gauge, ["store_bytes", "Bytes of keys and values, estimated"], [[engine.storeBytes]]);
  return registry.metrics();
}
