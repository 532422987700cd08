/** What a contestant is: something that can be started, dialled and asked to store, read, lock and share jobs, each in its own way. */

/** One client's connection to a running contestant. Absent methods are what it cannot do. */
export interface Session {
  /** Stores 100 bytes under a key, or for an echo sends as many bytes and has them back. */
  set?(key: string, value: string): Promise<unknown>;
  get?(key: string): Promise<unknown>;
  /** Takes and gives back one uncontended lock. */
  lockAndUnlock?(name: string): Promise<unknown>;
  /** Waits for a lock that others want too; what it resolves to gives it back. */
  lock?(name: string): Promise<() => unknown>;
  /** Adds all of these jobs to one queue. */
  pushAll?(jobs: readonly unknown[]): Promise<unknown>;
  /** Takes and acks jobs of it, beside others, until there are none; how many it had. */
  drain?(): Promise<number>;
  close(): void | Promise<void>;
}

export interface Running {
  /** What `open` dials, in another process too. */
  readonly address: string;
  /** The process that serves, for its CPU time and memory; undefined when the contestant has none. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

export interface Contestant {
  readonly name: string;
  /** Why it cannot take part here; undefined when it can. */
  missing(): string | undefined;
  start(directory: string): Promise<Running>;
  open(address: string): Promise<Session>;
}
