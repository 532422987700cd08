/**
 * The controlling terminal: whether a Ctrl-C typed there reaches our process group, and with it the child, by itself.
 * Linux tells in /proc; elsewhere the C library is asked (macOS: kept small, not tested by us).
 */
import { closeSync, openSync } from "node:fs";
import { openLibc } from "../../broker/pipe/libc.ts";
import { isForegroundByProc } from "./foreground-group.ts";

/** True when our process group is the terminal's foreground group; false in the background and without a terminal. */
export function isInForeground(): boolean {
  return process.platform === "linux" ? isForegroundByProc() : isInForegroundByTerminal();
}

function isInForegroundByTerminal(): boolean {
  let terminal: number;
  try {
    terminal = openSync("/dev/tty", "r");
  } catch {
    return false;
  }
  const { getpgrp, tcgetpgrp } = openLibc({
    getpgrp: { args: [], returns: "i32" },
    tcgetpgrp: { args: ["i32"], returns: "i32" },
  });
  const isOurs = tcgetpgrp(terminal) === getpgrp();
  closeSync(terminal);
  return isOurs;
}
