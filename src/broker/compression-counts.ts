/** What clients said of the values they compressed before they sent them: plain numbers, read when somebody scrapes. */
export interface CompressionCounts {
  /** Values stored compressed. */
  sets: number;
  beforeBytes: number;
  afterBytes: number;
}

export function countCompressed(
  counts: CompressionCounts,
  {
    beforeSize = 0,
    afterSize = 0,
  }: { readonly beforeSize?: number | undefined; readonly afterSize?: number | undefined },
): void {
  counts.sets++;
  counts.beforeBytes += beforeSize;
  counts.afterBytes += afterSize;
}
