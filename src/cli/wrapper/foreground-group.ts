/**
 * Whether our process group is the one that the terminal's keys reach, as the system's own tables tell it. For any runtime:
 * asks no C library.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** As Linux shows it in /proc. */
export function isForegroundByProc(): boolean {
  const stat = readFileSync("/proc/self/stat", "latin1");
  // The name, in parentheses, may hold anything; behind it: state ppid pgrp session tty_nr tpgid.
  const [, , group, , , foregroundGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return group === foregroundGroup;
}

/** As `ps` shows it on every other Unix (not tested by us). */
export function isForegroundByPs(): boolean {
  const { stdout } = spawnSync("ps", ["-o", "pgid=,tpgid=", "-p", `${process.pid}`], { encoding: "utf8" });
  const [group, foregroundGroup] = (stdout ?? "").trim().split(/\s+/);
  return group !== "" && group === foregroundGroup;
}
