/**
 * The handle of a grant as the session knows it. All else of it is the handle's own affair, which is loaded with the first
 * `acquire`.
 */
export interface HeldGrant {
  readonly id: string;
  readonly fence: number;
  /** It is over, though nobody gave it back: the session has ended, or goes on without it. */
  lose(): void;
}

/** Those that callers have. */
export interface Handles {
  /** Of what was acquired and not given back, by id. */
  readonly grants: Map<string, HeldGrant>;
  /** Of jobs that are neither acked nor given back, by fence. */
  readonly jobs: Map<number, HeldGrant>;
}
