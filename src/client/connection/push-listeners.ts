/**
 * Who is told what the broker says unasked, and when there is nobody to say it. Each takes what it knows and leaves the rest.
 */
export interface PushListener {
  push(push: Readonly<Record<string, unknown>>): void;
  /** The connection is gone. What is called from here is sent on the next one, or fails where there is none. */
  cut(): void;
}

export class PushListeners {
  readonly #listeners: PushListener[] = [];

  add(listener: PushListener): void {
    this.#listeners.push(listener);
  }

  push(push: Readonly<Record<string, unknown>>): void {
    for (const listener of this.#listeners) listener.push(push);
  }

  cut(): void {
    for (const listener of this.#listeners) listener.cut();
  }
}
