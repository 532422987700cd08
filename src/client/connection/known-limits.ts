/**
 * The broker's bounds that a client keeps to, so that it is not refused: what they are taken for until the broker tells. The
 * whole table would be ballast here.
 */
import type { Limits } from "../../protocol/limits.ts";
import { KiB, MiB } from "../../protocol/sizes.ts";

export type KnownLimits = Pick<Limits, "frameBytesMax" | "commandsInFlightMax">;

/** A broker's defaults. */
export const assumedLimits: KnownLimits = { frameBytesMax: 1 * MiB, commandsInFlightMax: 1 * KiB };
