/** Everybody who takes part, ourselves first. */
import type { Contestant } from "./contestant.ts";
import { bullmqOneByOne, bullmqSideBySide } from "./contestants/bullmq.ts";
import { echo } from "./contestants/echo.ts";
import { ephemeral, ephemeralLines } from "./contestants/ephemeral.ts";
import { flock } from "./contestants/flock.ts";
import { liveMutex } from "./contestants/live-mutex.ts";
import { memcached } from "./contestants/memcached.ts";
import { properLockfile } from "./contestants/proper-lockfile.ts";
import { redis } from "./contestants/redis.ts";
import { redlock } from "./contestants/redlock.ts";
import { seed } from "./contestants/seed.ts";
import { wdio } from "./contestants/wdio.ts";

export const contestants: readonly Contestant[] = [
  ephemeral,
  ephemeralLines,
  echo,
  redis,
  memcached,
  seed,
  wdio,
  liveMutex,
  properLockfile,
  flock,
  redlock,
  bullmqOneByOne,
  bullmqSideBySide,
];
