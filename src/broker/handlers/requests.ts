/** Direct messages and requests: `send serve request respond`. Who is asked, and when that is over, is `requests.ts`' part. */
import { Encoded } from "../../protocol/commands.ts";
import type { EventPush, RequestCommands } from "../../protocol/requests.ts";
import type { BrokerConfig } from "../config.ts";
import type { Rows } from "../dispatcher.ts";
import type { DirectPushes } from "../requests/direct-pushes.ts";
import type { Requests } from "../requests/requests.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { storable } from "./values.ts";

interface RequestsParts {
  readonly config: BrokerConfig;
  readonly sessions: Sessions;
  readonly pushes: DirectPushes;
  readonly requests: Requests;
}

export function requestRows({ config, sessions, pushes, requests }: RequestsParts): Rows<keyof RequestCommands> {
  const row = { access: "admitted", whileDraining: "served" } as const;
  return {
    send: {
      ...row,
      handle: ({ to, event, data }, { codec, session }) => {
        const kept = new Encoded(storable(data, codec, config.limits));
        const push: EventPush = { push: "event", event, data: kept, from: session.id };
        return { receivers: sessions.find(to).filter((one) => pushes.say(one, push)).length };
      },
    },
    serve: {
      ...row,
      handle: ({ method, stop }, { session }) => {
        if (stop === true) requests.stopped(session, method);
        else {
          requests.responders.start(session, method);
          // Behind the reply, so that a responder is asked nothing before it knows that it serves.
          queueMicrotask(() => requests.served(session, method));
        }
        return {};
      },
    },
    request: {
      ...row,
      handle: ({ method, data, to, waitMs = 0 }, invocation) => {
        const question = { method, data: storable(data, invocation.codec, config.limits), to: to?.session };
        const answered = requests.ask(question, invocation.waiting(waitMs));
        return answered.then((answer) => ({ data: new Encoded(answer) }));
      },
    },
    respond: {
      ...row,
      handle: (answer, { codec, session }) => {
        const { request } = answer;
        if ("failure" in answer) return { responded: requests.fail(request, session, answer.failure) };
        return { responded: requests.answer(request, session, storable(answer.data, codec, config.limits)) };
      },
    },
  };
}
