/**
 * Who is told what the broker says unasked, and when there is nobody to say it. One a connection.
 */
export interface PushListener {
  push(push: Readonly<Record<string, unknown>>): void;
  /** The connection is gone. What is called from here is sent on the next one, or fails where there is none. */
  cut(): void;
}
