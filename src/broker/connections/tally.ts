/**
 * What one connection, or all that are closed, have done: plain numbers, for metrics and for the log. Knows nothing of how
 * they come about.
 */
export interface Tally {
  /** Commands that could be read. */
  readonly commands: number;
  readonly receivedBytes: number;
  /** Taken by the kernel; what is still held back does not count. */
  readonly sentBytes: number;
}

export const emptyTally: Tally = Object.freeze({ commands: 0, receivedBytes: 0, sentBytes: 0 });

export function addTallies(a: Tally, b: Tally): Tally {
  return {
    commands: a.commands + b.commands,
    receivedBytes: a.receivedBytes + b.receivedBytes,
    sentBytes: a.sentBytes + b.sentBytes,
  };
}
