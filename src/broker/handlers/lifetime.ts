/** How long the broker lives, and what is done when it ends, as its clients have a say in it: `join drain onEnd`. */
import { EphemeralError } from "../../protocol/errors.ts";
import type { Rows } from "../dispatcher.ts";
import type { EndOfRun } from "../end-of-run.ts";
import type { Lifetime } from "../lifetime.ts";

interface LifetimeParts {
  readonly lifetime: Lifetime;
  readonly endOfRun: EndOfRun | undefined;
}

export function lifetimeRows({ lifetime, endOfRun }: LifetimeParts): Rows<"join" | "drain" | "onEnd"> {
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
    onEnd: {
      access: "admitted",
      whileDraining: "served",
      handle: (command, { session }) => {
        // Whoever can say it runs what he likes as us: only the pipe's peers, which can do so anyway, may.
        if (session.door !== "pipe") throw forbidden("it can be registered over the pipe alone");
        if (endOfRun === undefined) throw forbidden("this broker was started with --no-on-end, or within a program");
        const registered = endOfRun.register(command);
        return registered instanceof Promise ? registered.then(() => ({})) : {};
      },
    },
  };
}

function forbidden(actual: string): EphemeralError {
  return new EphemeralError("forbidden", `Cannot register a command for the end of the run: ${actual}`);
}
