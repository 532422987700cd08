/**
 * The page of limits: every bound of a broker, what it is set to, what sets it and what becomes of what goes past it.
 */
import { defaultLimits, type Limits } from "../../protocol/limits.ts";
import { type Answer, call, clientFlags } from "../call.ts";
import { type Paint, paintFor, print, printJson, table } from "../output.ts";
import { definePage } from "../page.ts";
import { type Bound, bounds } from "../settings/bounds.ts";
import { type Flags, processEnvironment } from "../settings/settings.ts";
import { readLimits } from "../settings/start-settings.ts";

export const limitsPage = definePage({
  name: "limits",
  group: "Broker",
  summary: "Show every bound: its value, what sets it and what is past it",
  notes: [
    "Of the broker that --pipe, --name or EPHEMERAL_PIPE names; without any, those a broker started here would have. With --json: source, which is broker or settings, and limits: name, value, default, flag, environment, error, closeCode.",
  ],
  examples: [
    { line: "ephemeral limits", does: "why was this refused?" },
    { line: "ephemeral limits --json | jq '.limits[] | select(.value != .default)'", does: "only what was changed" },
  ],
  args: clientFlags,
  async perform(args) {
    if (namesBroker(args)) {
      return call(args, async (ask, greeting) => {
        await ask({ action: "ping" });
        // An older broker may lack a bound: it has none, or the default.
        return answer("broker", { ...defaultLimits, ...greeting()?.limits });
      });
    }
    const limits = { ...defaultLimits, ...readLimits({ flags: {}, environment: processEnvironment }) };
    const { document, text } = answer("settings", limits);
    if (args.json === true) return printJson(document);
    await print(text(await paintFor(1, processEnvironment)));
  },
});

function namesBroker({ pipe, name }: Flags): boolean {
  return pipe !== undefined || name !== undefined || processEnvironment.EPHEMERAL_PIPE !== undefined;
}

function answer(source: "broker" | "settings", limits: Limits): Answer & { readonly text: (paint: Paint) => string } {
  const rows = bounds.map(({ limit, flag, environment, breach }) => ({
    name: limit,
    value: limits[limit],
    default: defaultLimits[limit],
    flag: `--${flag}`,
    environment,
    error: breach.error ?? null,
    closeCode: breach.closeCode ?? null,
  }));
  const header = ["BOUND", "VALUE", "DEFAULT", "FLAG OF START", "VARIABLE", "PAST IT"];
  return {
    document: { source, limits: rows },
    text: (paint) =>
      table(
        bounds.map((bound) => rowOf(bound, limits[bound.limit])),
        { header, paint },
      ),
  };
}

function rowOf({ limit, flag, unit, standard, environment, breach }: Bound, value: number): readonly string[] {
  return [limit, unit.write(value), standard, `--${flag}`, environment.join(", "), wordsOf(breach)];
}

function wordsOf({ error, closeCode, remark }: Bound["breach"]): string {
  const words = [error, closeCode === undefined ? undefined : `closed (${closeCode})`, remark];
  return words.filter((word) => word !== undefined).join(", ");
}
