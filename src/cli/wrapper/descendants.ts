/**
 * The processes of a run: the child, whatever descends from it by parent pid and, on Linux, whatever carries our mark in
 * its environment, which also finds what left its parents. Never a process group: ours is the calling script's as well.
 */
import { readdirSync, readFileSync } from "node:fs";

export interface RunOfProcesses {
  readonly child: number;
  /** The entry that the child's environment has from us. */
  readonly mark: string;
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly carriesMark: boolean;
}

/** A process may be forked while another is killed: so many rounds until no new one is found. */
const roundsMax = 16;

/** Kills the child and its descendants with SIGKILL, those included that are born meanwhile. */
export function killRun(run: RunOfProcesses): void {
  const killed = new Set<number>();
  for (let round = 0; round < roundsMax; round++) {
    const found = membersOf(run).filter((pid) => !killed.has(pid));
    if (found.length === 0) return;
    for (const pid of found) {
      killed.add(pid);
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended, or has become another user's: not ours to kill either way.
      }
    }
  }
}

function membersOf({ child, mark }: RunOfProcesses): number[] {
  const all = process.platform === "linux" ? processesByProc(mark) : processesByPs();
  const members = new Set(all.filter((one) => one.pid === child || one.carriesMark).map((one) => one.pid));
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    for (const one of all) if (members.has(one.parent)) members.add(one.pid);
  }
  members.delete(process.pid);
  return [...members];
}

/** Every live process; those that end while we look are passed over. */
function processesByProc(mark: string): Process[] {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    const stat = readProc(`/proc/${name}/stat`);
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (parent === undefined || state === "Z") return [];
    const carriesMark = readProc(`/proc/${name}/environ`).split("\0").includes(mark);
    return [{ pid, parent: Number(parent), carriesMark }];
  });
}

function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Where there is no /proc (macOS; not tested by us) parent pids have to do. */
function processesByPs(): Process[] {
  const listing = Bun.spawnSync(["ps", "-A", "-o", "pid=,ppid="], { stdin: null, stderr: null });
  return listing.stdout
    .toString()
    .split("\n")
    .flatMap((line) => {
      const [pid, parent] = line.trim().split(/\s+/).map(Number);
      return pid === undefined || parent === undefined ? [] : [{ pid, parent, carriesMark: false }];
    });
}
