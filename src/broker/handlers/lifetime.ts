/** How long the broker lives, as its clients have a say in it: `join drain`. */
import type { Rows } from "../dispatcher.ts";
import type { Lifetime } from "../lifetime.ts";

interface LifetimeParts {
  readonly lifetime: Lifetime;
}

export function lifetimeRows({ lifetime }: LifetimeParts): Rows<"join" | "drain"> {
  return {
    join: {
      access: "admitted",
      whileDraining: "refused",
      handle: (_request, { session }) => {
        lifetime.join(session);
        return { joiners: lifetime.joiners };
      },
    },
    drain: {
      access: "admitted",
      whileDraining: "served",
      handle: () => {
        lifetime.askToEnd("drain");
        return { joiners: lifetime.joiners };
      },
    },
  };
}
