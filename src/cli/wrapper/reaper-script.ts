/**
 * The reaper's program, for any /bin/sh. It reads what it is told line by line until the end of its stdin, answers on stdout
 * when it begins a hook and when it has run all, and has our stderr as descriptor 4 for what hooks say.
 */

/* It leaves its parent at once (the last line), so that killing a run's descendants cannot reach the reaper of a nested run. It
 * knows processes as "pid:birth", because pids are used again; macOS has no /proc, so pids must do there (not tested by us).
 * Zombies count as gone. Children that nobody told it of, it leaves alone. A hook is taken off the list before it is begun, so
 * that nobody begins it a second time, and runs beside a sleep, which is its time: whichever ends first decides. A command that
 * is expected shows its mark an instant after it has let go of our pipe, so it is looked for twice. */
export const reaperScript = `
directory=$1 mark=$2 grace=$3 port_file=$4 port=$5 members=' ' carrier= unseen= hooks=0 nl='
'
processes() { # pid parent state birth
  if [ -r /proc/self/stat ]; then
    for file in /proc/[0-9]*/stat; do
      read -r line < "$file" && { pid=\${line%% *}; set -- \${line##*) }; echo "$pid $2 $1 \${20}"; }
    done
  else ps -A -o pid= -o ppid= -o state=; fi
}
find_members() { # the ones known so far that are still there, what descends from them, what carries our mark
  table=$(processes)
  carriers=" $([ -z "$carrier" ] || grep -lFxzs "$carrier" /proc/[0-9]*/environ | tr -c '0-9' ' ')"
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
watch() { # process $1, and whatever carries $2
  carrier=$2 birth= members=" $1:"
  read -r line < "/proc/$1/stat" && { set -- \${line##*) }; birth=\${20}; }
  members="$members$birth "
}
end_members() { # killed when $1 tenths of a second were not enough
  ticks=$1
  find_members; signal_members TERM; signal_members CONT
  while [ "$members" != ' ' ] && [ "$ticks" -gt -50 ]; do
    [ "$ticks" -gt 0 ] || signal_members KILL
    sleep 0.1 || sleep 1
    ticks=$((ticks - 1)); find_members
  done
}
tell() { printf 'ephemeral: %s\\n' "$1" >&4 || exec 4> /dev/null; }
run_hook() { # seconds, its own mark, for people, for the shell
  tell "At the end of the run: $3"
  sleep "$1" > /dev/null 3>&- 4>&- & timer=$!
  {
    (trap - INT TERM HUP QUIT PIPE; eval "$4")
    status=$?
    kill -KILL "$timer" 2> /dev/null
    exit "$status"
  } < /dev/null >&4 2>&4 3>&- 4>&- & hook=$!
  if wait "$timer"; then
    watch "$hook" "$2"; end_members 20
    tell "Ended after $1 s, which was its time: $3"
  else
    wait "$hook" || tell "Failed with status $?: $3"
  fi
}
run_hooks() { # the last one first
  while [ "$hooks" -gt 0 ]; do
    eval "next=\\$hook_$hooks"
    hooks=$((hooks - 1))
    echo begun
    eval "run_hook $next"
  done
}
reap() {
  trap '' INT TERM HUP QUIT PIPE
  while read -r word rest; do
    case $word in
      expect) carrier=$mark unseen=y ;;
      kill) watch "$rest" "$mark"; unseen= ;;
      forget) members=' ' carrier= unseen= ;;
      hook) hooks=$((hooks + 1)); eval "hook_$hooks=\\$rest" ;;
      end) run_hooks; echo done ;;
      bye) exit ;;
    esac
  done
  end_members "$grace"
  [ -z "$unseen" ] || { sleep 0.1 || sleep 1; end_members "$grace"; }
  run_hooks
  [ -n "$directory" ] || exit
  [ -z "$port_file" ] || { read -r line < "$port_file" && [ "$line" = "$port" ] && rm -f "$port_file"; }
  rm -f "$directory/sock" "$directory/lock"; rmdir "$directory" "\${directory%/*}"
}
exec 5<&0; reap <&5 5<&- &
`;
