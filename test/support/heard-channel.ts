/**
 * Somebody who listens to a channel in a test: all that is told, in its order and in few letters, to be waited for. Knows
 * nothing of clients.
 */
import type { ChannelEvent, ChannelMessage } from "../../src/client/channels/channel-options.ts";
import { until } from "./until.ts";

export class HeardChannel {
  readonly heard: string[] = [];

  readonly handler = ({ data }: ChannelMessage): void => {
    this.heard.push(`${data}`);
  };

  readonly onEvent = (told: ChannelEvent): void => {
    if (told.event === "recovered") this.heard.push(`recovered ${told.count}`);
    else if (told.event === "gap") this.heard.push(`gap ${told.from}-${told.to}`);
    else if (told.event === "unsubscribed") this.heard.push(`unsubscribed ${told.error.code}`);
    else if (told.event === "lost") this.heard.push(`lost ${told.from ?? "?"}-${told.to ?? "?"}`);
    else this.heard.push(`${told.event} ${told.member.label}`);
  };

  /** Resolves once so much was told. */
  async until(count: number): Promise<readonly string[]> {
    await until(() => this.heard.length >= count);
    return this.heard;
  }
}
