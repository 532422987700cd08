/**
 * A part of the client that is loaded with the first of its calls. Calls come to it in the order they were made in.
 */
export class LatePart<Part> {
  readonly #load: () => Promise<Part>;
  #loading: Promise<Part> | undefined;
  #part: Part | undefined;
  /** Calls that were made before it was there, and are not to be overtaken. */
  #waiting = 0;

  constructor(load: () => Promise<Part>) {
    this.#load = load;
  }

  /** Calls it at once where it is loaded: a turn of the event loop counts where something is to be locked. */
  call<Result>(use: (part: Part) => Promise<Result>): Promise<Result> {
    if (this.#part !== undefined && this.#waiting === 0) {
      try {
        return use(this.#part);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    this.#waiting++;
    this.#loading ??= this.#load();
    return this.#loading.then(
      (part) => {
        this.#part = part;
        this.#waiting--;
        return use(part);
      },
      (error: unknown) => {
        // A page may be without its network now: the next call tries again.
        this.#waiting--;
        this.#loading = undefined;
        throw error;
      },
    );
  }
}
