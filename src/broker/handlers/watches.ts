/** Being told what becomes of keys: `watch unwatch`. A watch ends with its connection. */
import type { Rows } from "../dispatcher.ts";
import type { Watches } from "../watches.ts";

interface WatchesParts {
  readonly watches: Watches;
}

export function watchRows({ watches }: WatchesParts): Rows<"watch" | "unwatch"> {
  return {
    watch: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ prefix = "", overflow = "close" }, { connection }) => {
        watches.watch(connection, { prefix, overflow });
        return {};
      },
    },
    unwatch: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ prefix = "" }, { connection }) => ({ unwatched: watches.unwatch(connection, prefix) }),
    },
  };
}
