/**
 * Sums of stored numbers: numbers are kept as JSON text, whatever codec they came in. Knows nothing of keys' lives.
 */
import type { EncodedValue } from "../../../protocol/commands.ts";
import { EphemeralError } from "../../../protocol/errors.ts";

/** The number that `value` holds, plus `by`.
 *  @throws {EphemeralError} `not_a_number` when it holds none, or when the sum is beyond ±(2^53−1) */
export function sumOf(key: string, { value, by }: { value: EncodedValue | undefined; by: number }): number {
  const sum = (value === undefined ? 0 : numberIn(key, value)) + by;
  if (Math.abs(sum) <= Number.MAX_SAFE_INTEGER) return sum;
  const wanted = `a sum from -${Number.MAX_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}, where numbers are exact`;
  throw refusal(key, `wanted ${wanted}, got one beyond`);
}

function numberIn(key: string, value: EncodedValue): number {
  // JSON text that begins like a number is one, and nothing else begins so.
  const number = typeof value === "string" && /^[-\d]/.test(value) ? Number(value) : Number.NaN;
  if (Number.isFinite(number)) return number;
  throw refusal(key, "wanted a number under it, something else is stored there");
}

function refusal(key: string, text: string): EphemeralError {
  return new EphemeralError("not_a_number", `Cannot increment key ${JSON.stringify(key)}: ${text}`);
}
