/**
 * Unguessable hex digits, for names, nonces and secrets. Not from `node:crypto`: loading it costs every start 2 ms.
 */

/** `bytes` random bytes as twice as many hex digits. */
export function randomHex(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
