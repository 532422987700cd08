/**
 * A promise and its two ends, as `Promise.withResolvers` makes them: Node 20, on which `ephemerald/local` runs the engine,
 * does not have that.
 */
export interface Deferred<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value | PromiseLike<Value>) => void;
  readonly reject: (reason: unknown) => void;
}

export function deferred<Value>(): Deferred<Value> {
  if (Promise.withResolvers !== undefined) return Promise.withResolvers<Value>();
  let ends: Omit<Deferred<Value>, "promise"> = { resolve: () => {}, reject: () => {} };
  const promise = new Promise<Value>((resolve, reject) => {
    ends = { resolve, reject };
  });
  return { promise, ...ends };
}
