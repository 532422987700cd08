/**
 * One channel as one reader follows it: what of all that comes is handed on, so that nothing comes twice, nothing out of its
 * order, and nothing is missing without a word. Says what has to be asked for; asks nobody itself, and knows no time.
 */
import type { ChannelGapPush, Message, Position } from "../../protocol/channels.ts";
import type { Reply } from "../../protocol/commands.ts";

/** Messages of a channel, and how far it has come. */
export interface Page extends Position {
  readonly messages: readonly Message[];
  readonly more?: true | undefined;
  readonly recovered?: boolean | undefined;
}

/** What the broker answers, as it arrives: only there the messages are kept encoded. */
export function pageOf(reply: Reply<"subscribe" | "history">): Page {
  return reply as Page;
}

/** What the reader is told. */
export type Told =
  | { readonly event: "message"; readonly message: Message }
  /** The connection is back, and all that was missed has been told, so many messages. */
  | { readonly event: "recovered"; readonly count: number }
  /** Messages are missing here, these or nobody knows which, and will not come. */
  | { readonly event: "lost"; readonly from: number | undefined; readonly to: number | undefined }
  /** The broker dropped messages of these offsets, as we were too slow; some of them may follow. With `to` below `from` it
   *  was a `join` or a `leave`. */
  | { readonly event: "gap"; readonly from: number; readonly to: number };

/** What the reader needs to go on: to subscribe again, a page of history behind its position, or nothing. */
export type Wish = "subscribe" | "page" | undefined;

/** A message, or undefined where one is not for us. */
interface Step {
  readonly offset: number;
  readonly message: Message | undefined;
}

/** Live messages kept while older ones are read. Those past it are read from the history, too. */
const heldMax = 256;

export class Continuity {
  readonly #tell: (told: Told) => void;
  readonly #isGroup: boolean;
  /** `opening`: until the reply to `subscribe`, which has all that is pushed before it. `paging`: what was missed is being read. */
  #state: "opening" | "paging" | "live" = "opening";
  /** Of what has come; undefined before the first reply. */
  #epoch: string | undefined;
  #offset = 0;
  /** Offsets up to here may be missing: it was told so. */
  #looseTo = 0;
  /** The highest offset that was heard of. */
  #newest = 0;
  #held: Step[] = [];
  /** Messages since the connection was lost; undefined while there is nothing to recover. */
  #recovered: number | undefined;

  /** Begins behind `position` where there is one. Of a `group` others get messages, too: there is no order to be kept. */
  constructor(
    tell: (told: Told) => void,
    start: { readonly position?: Position | undefined; readonly isGroup?: boolean },
  ) {
    this.#tell = tell;
    this.#isGroup = start.isGroup === true;
    if (start.position === undefined) return;
    this.#goTo(start.position);
    this.#recovered = 0;
  }

  /** How far it has come; undefined before the first reply. */
  get position(): Position | undefined {
    return this.#epoch === undefined ? undefined : { epoch: this.#epoch, offset: this.#offset };
  }

  /** What `subscribe` is to recover. */
  get recover(): Position | undefined {
    return this.#isGroup ? undefined : this.position;
  }

  /** The subscription is to be asked for again: it is gone, or it is to be another. */
  reopen(): void {
    this.#state = "opening";
    this.#newest = 0;
    this.#held = [];
    this.#offset = this.#reached;
  }

  /** The subscription is gone with its connection. */
  cut(): void {
    if (this.#epoch !== undefined) this.#recovered ??= 0;
    this.reopen();
  }

  /** The broker has answered `subscribe`. */
  opened(reply: Page): Wish {
    const known = this.position;
    const { epoch, offset, messages, recovered } = reply;
    if (known === undefined) this.#goTo({ epoch, offset: (messages[0]?.offset ?? offset + 1) - 1 });
    else if (this.#isGroup || recovered !== true) return this.#startAnew(known, reply);
    return this.#take(reply);
  }

  /** The broker has answered `history` since our position. */
  page(reply: Page): Wish {
    if (this.#state !== "paging") return undefined;
    if (reply.epoch === this.#epoch) return this.#take(reply);
    this.reopen();
    return "subscribe";
  }

  message(message: Message): Wish {
    return this.#step({ offset: message.offset, message });
  }

  skip(offset: number): Wish {
    return this.#step({ offset, message: undefined });
  }

  gap({ from, to }: Pick<ChannelGapPush, "from" | "to">): Wish {
    if (this.#state === "live" && to < from) this.#tell({ event: "gap", from, to });
    this.#newest = Math.max(this.#newest, to);
    if (this.#state !== "live" || to <= this.#reached || to < from) return undefined;
    if (from > this.#reached + 1) return this.#missed();
    this.#tell({ event: "gap", from: Math.max(from, this.#reached + 1), to });
    this.#looseTo = to;
    return undefined;
  }

  get #isOpening(): boolean {
    return this.#state === "opening";
  }

  /** Up to here everything was told, or told to be missing. */
  get #reached(): number {
    return Math.max(this.#offset, this.#looseTo);
  }

  /** There is a hole before what came. */
  #missed(): Wish {
    this.#recovered ??= 0;
    this.reopen();
    return "subscribe";
  }

  /** Nothing of what was missed can be had. */
  #startAnew(known: Position, { epoch, offset }: Position): undefined {
    const isCounted = !this.#isGroup && known.epoch === epoch && offset > known.offset;
    const range = isCounted ? { from: known.offset + 1, to: offset } : { from: undefined, to: undefined };
    this.#goTo({ epoch, offset });
    this.#looseTo = 0;
    this.#newest = 0;
    this.#state = "live";
    this.#recovered = undefined;
    this.#tell({ event: "lost", ...range });
  }

  /** Tells what the broker has kept; where that is not all, what is missing of it. */
  #take({ offset, messages, more }: Page): Wish {
    this.#state = "paging";
    const before = this.#offset;
    for (const message of messages) {
      if (message.offset <= this.#offset) continue;
      this.#pass(message.offset - 1);
      this.#accept({ offset: message.offset, message });
      // Whoever was told closed the client.
      if (this.#isOpening) return undefined;
    }
    const hasMoved = this.#offset > before;
    if (more && hasMoved) return "page";
    this.#pass(offset);
    this.#release();
    if (this.#newest > this.#offset && (hasMoved || this.#offset > before)) return "page";
    this.#pass(this.#newest);
    if (this.#isOpening) return undefined;
    this.#state = "live";
    if (this.#recovered !== undefined) this.#tell({ event: "recovered", count: this.#recovered });
    this.#recovered = undefined;
    return undefined;
  }

  /** Goes to `offset`; what lies between is lost. As `#accept`, does nothing once whoever was told closed the client: the next
   *  subscription goes on behind what he was told. */
  #pass(offset: number): void {
    const from = this.#offset + 1;
    if (offset < from || this.#isOpening) return;
    this.#offset = offset;
    this.#tell({ event: "lost", from, to: offset });
  }

  /** Tells what was pushed meanwhile, as far as it follows. */
  #release(): void {
    const held = this.#held;
    this.#held = [];
    for (const step of held) {
      if (step.offset > this.#offset + 1) return;
      if (step.offset > this.#offset) this.#accept(step);
    }
  }

  #step(step: Step): Wish {
    const { offset, message } = step;
    if (this.#isGroup) {
      if (this.#state === "live" && message !== undefined) this.#tell({ event: "message", message });
      return undefined;
    }
    this.#newest = Math.max(this.#newest, offset);
    if (this.#state === "paging") this.#hold(step);
    if (this.#state !== "live" || offset <= this.#offset) return undefined;
    if (offset > this.#reached + 1) return this.#missed();
    this.#accept(step);
    return undefined;
  }

  #hold(step: Step): void {
    const last = this.#held.at(-1);
    const follows = last === undefined || step.offset === last.offset + 1;
    if (follows && this.#held.length < heldMax) this.#held.push(step);
  }

  #accept({ offset, message }: Step): void {
    if (this.#isOpening) return;
    this.#offset = offset;
    if (message === undefined) return;
    if (this.#recovered !== undefined) this.#recovered++;
    this.#tell({ event: "message", message });
  }

  #goTo({ epoch, offset }: Position): void {
    this.#epoch = epoch;
    this.#offset = offset;
  }
}
