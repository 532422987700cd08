/**
 * What commands run in that follow one another, one at a time: a mark by which each is known, and a reaper that ends it when we
 * are killed, as whoever gets its work next has that at once. Knows nothing of the work.
 */

import { processEnvironment } from "../settings/settings.ts";
import { type Reaper, startReaper } from "../wrapper/reaper.ts";
import { markOfTurn, type RunMark } from "../wrapper/run-mark.ts";

export interface Lane {
  readonly mark: RunMark;
  /** Undefined where there is none to be had. */
  readonly reaper: Reaper | undefined;
}

export function openLane(pipe: string): Lane {
  const mark = markOfTurn(pipe);
  return { mark, reaper: startReaper({ mark: mark.entry, graceMs: 0, searchPath: processEnvironment.PATH }) };
}
