/**
 * Who cleans up after our own SIGKILL: a dozen lines of /bin/sh in a session of their own, reading a pipe only we write
 * to. End of file without `bye` means that we are gone. It is told nothing it has to trust but pids and our directory, and
 * it inherits the claim on that directory: the name is nobody else's before it has removed it.
 */

import { ptr } from "bun:ffi";
import { closeSync, writeSync } from "node:fs";
import { openLibc } from "../broker/libc.ts";
import { EphemeralError } from "../protocol/errors.ts";
import { reasonOf, say } from "./say.ts";

/** O_CLOEXEC on Linux. */
const closeOnExec = 0o2000000;

/* The reaper leaves its parent at once (the last line), so that killing a run's descendants cannot reach the reaper of a
 * nested run. It knows processes as "pid:birth", because pids are used again; macOS has no /proc, so pids must do there
 * (not tested by us). Zombies count as gone. Children that nobody told it of, it leaves alone, and what joined the run. */
const script = `
directory=$1 mark=$2 ticks=$3 members=' ' carrier=
processes() { # pid parent state birth
  if [ -r /proc/self/stat ]; then
    for file in /proc/[0-9]*/stat; do
      read -r line < "$file" && { pid=\${line%% *}; set -- \${line##*) }; echo "$pid $2 $1 \${20}"; }
    done
  else ps -A -o pid= -o ppid= -o state=; fi
}
find_carriers() {
  [ -n "$carrier" ] || return
  files=$(grep -lFxzs "$carrier" /proc/[0-9]*/environ)
  case $carrier in
    EPHEMERAL_PIPE=*) [ -z "$files" ] || grep -Lzs '^EPHEMERAL_JOINER=' $files ;;
    *) echo "$files" ;;
  esac
}
find_members() { # the ones known so far that are still there, what descends from them, what carries our mark
  table=$(processes)
  carriers=" $(find_carriers | tr -c '0-9' ' ')"
  found=' ' before=
  while [ "$found" != "$before" ]; do
    before=$found
    while read -r pid parent state birth; do
      case "$state$found" in Z* | *" $pid:"*) continue ;; esac
      case "$members" in *" $pid:$birth "*) found="$found$pid:$birth "; continue ;; esac
      case "$found$carriers" in *" $parent:"* | *" $pid "*) found="$found$pid:$birth " ;; esac
    done <<END
$table
END
  done
  members=$found
}
signal_members() { for member in $members; do kill "-$1" "\${member%:*}"; done; }
reap() {
  trap '' INT TERM HUP QUIT
  while read -r word pid; do
    case $word in
      kill)
        carrier=$mark birth=
        read -r line < "/proc/$pid/stat" && { set -- \${line##*) }; birth=\${20}; }
        members=" $pid:$birth " ;;
      forget) members=' ' carrier= ;;
      bye) exit ;;
    esac
  done
  find_members; signal_members TERM; signal_members CONT
  while [ "$members" != ' ' ] && [ "$ticks" -gt -50 ]; do
    [ "$ticks" -gt 0 ] || signal_members KILL
    sleep 0.1 || sleep 1
    ticks=$((ticks - 1)); find_members
  done
  [ -n "$directory" ] || exit
  rm -f "$directory/sock" "$directory/lock"; rmdir "$directory" "\${directory%/*}"
}
exec 4<&0; reap <&4 4<&- &
`;

export interface ReaperOptions {
  /** Our broker's run directory, whose socket, lock and then itself are removed, and nothing else; and the descriptor that
   *  holds the claim on it. Undefined when the broker is not ours. */
  readonly own?: { readonly directory: string; readonly claim: number };
  /** The entry that the child's environment has from us. */
  readonly mark: string;
  /** Time between telling the run's processes to end and killing them. */
  readonly graceMs: number;
  /** Where to find sleep, grep, tr, rm and rmdir. */
  readonly searchPath: string | undefined;
}

export class Reaper {
  readonly #pipe: number;

  /** Starts it without waiting for it; it has no hold on our streams, folder or children.
   *  @throws {Error} when there is no /bin/sh to run it */
  constructor({ own, mark, graceMs, searchPath = "/usr/bin:/bin" }: ReaperOptions) {
    const [readEnd, writeEnd] = openPipe();
    try {
      const ticks = String(Math.ceil(graceMs / 100));
      Bun.spawn(["/bin/sh", "-c", script, "ephemeral-reaper", own?.directory ?? "", mark, ticks], {
        stdio: [readEnd, null, null, own?.claim ?? null],
        detached: true,
        cwd: "/",
        env: { PATH: searchPath },
      }).unref();
      this.#pipe = writeEnd;
    } catch (error) {
      closeSync(writeEnd);
      throw error;
    } finally {
      closeSync(readEnd);
    }
  }

  /** From now on process `pid` and its descendants are to end if we are killed. */
  watch(pid: number): void {
    this.#tell(`kill ${pid}`);
  }

  /** The process has ended: its pid may become another's, and what it left running is left alone. */
  forget(): void {
    this.#tell("forget");
  }

  /** Nothing is left to clean up; the reaper ends at once. */
  dismiss(): void {
    this.#tell("bye");
  }

  /** A reaper that was killed hears nothing, and the run goes on without it. */
  #tell(line: string): void {
    try {
      writeSync(this.#pipe, `${line}\n`);
    } catch {
      // EPIPE: it was killed.
    }
  }
}

/** A reaper, or none with one line on stderr where there is no /bin/sh. */
export function startReaper(options: ReaperOptions): Reaper | undefined {
  try {
    return new Reaper(options);
  } catch (error) {
    say(`Nothing will clean up if this process is killed by SIGKILL: cannot run /bin/sh: ${reasonOf(error)}`);
    return undefined;
  }
}

/** Read end and write end of a pipe no child inherits; the write end is closed by the kernel whatever ends us. */
function openPipe(): readonly [number, number] {
  const ends = new Int32Array(2);
  // macOS has no pipe2; there the runtime closes all but the three streams in every child.
  const status =
    process.platform === "linux"
      ? openLibc({ pipe2: { args: ["ptr", "i32"], returns: "i32" } }).pipe2(ptr(ends), closeOnExec)
      : openLibc({ pipe: { args: ["ptr"], returns: "i32" } }).pipe(ptr(ends));
  const [readEnd, writeEnd] = ends;
  if (status !== 0 || readEnd === undefined || writeEnd === undefined) {
    throw new EphemeralError("internal", "Cannot start reaper: no pipe can be opened");
  }
  return [readEnd, writeEnd];
}
