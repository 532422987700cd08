/**
 * One script in several processes at once, all clients of one broker. Knows how they end; what they say is their script's.
 */
import type { LibraryBundle, Runtime, ScriptOptions } from "./library-bundle.ts";

export interface Crowd extends AsyncDisposable {
  /** What each says next, in no order. */
  next(): Promise<unknown[]>;
  /** All that each still says, in no order. Fails unless all end well. */
  end(): Promise<unknown[][]>;
}

export interface CrowdOptions extends ScriptOptions {
  readonly library: LibraryBundle;
  readonly runtime: Runtime;
  readonly pipe: string;
  readonly size: number;
}

export async function startCrowd(body: string, options: CrowdOptions): Promise<Crowd> {
  const { library, runtime, pipe, size, ...rest } = options;
  const environment = { EPHEMERAL_PIPE: pipe, ...rest.environment };
  const scripts = await Promise.all(
    Array.from({ length: size }, () => library.run(runtime, body, { ...rest, environment })),
  );
  return {
    next: () => Promise.all(scripts.map((script) => script.next())),
    async end() {
      const ends = await Promise.all(scripts.map((script) => script.end()));
      const bad = ends.find(({ stderr, status }) => status !== 0 || stderr !== "");
      if (bad !== undefined) throw new Error(`a process ended with ${bad.status}: ${bad.stderr}`);
      return ends.map(({ said }) => [...said]);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(scripts.map((script) => script[Symbol.asyncDispose]()));
    },
  };
}
