/**
 * Compressed values, made the caller's again by what is loaded with the first of them.
 */

/** The caller's value of `key`, whose reply was flagged as compressed.
 *  @throws {EphemeralError} `invalid_json` when it inflates to no JSON or to too much */
export async function inflated(key: string, value: unknown): Promise<unknown> {
  const { decompressValue } = await import("./compressed.ts");
  return decompressValue(key, value);
}
