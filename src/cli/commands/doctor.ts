/**
 * The page of doctor: all that can keep brokers and clients from working, looked at in one go.
 */
import { clientFlags } from "../call.ts";
import type { Finding, Level } from "../doctor/finding.ts";
import { exitStatuses } from "../failure.ts";
import { type Paint, paintFor, print, printable, printJson } from "../output.ts";
import { definePage } from "../page.ts";
import { type Flags, processEnvironment } from "../settings/settings.ts";

export const doctorPage = definePage({
  name: "doctor",
  group: "Program",
  summary: "Look for what does not work here, and say what to do",
  notes: [
    "Looks at the broker that --pipe, --name or EPHEMERAL_PIPE names, at the web door that EPHEMERAL_URL names, at the folder brokers are in, at secrets, variables, versions and limits of the system. Changes nothing, and shows no secret.",
    "With --json: healthy, and findings, each with topic, level (ok, warn or fail), text and advice.",
  ],
  examples: [
    { line: "ephemeral doctor", does: "why does it not work here?" },
    { line: "ephemeral start -- ephemeral doctor", does: "and inside a run?" },
    { line: "ephemeral doctor --json | jq '.findings[] | select(.level != \"ok\")'", does: "only what is not well" },
  ],
  environment: [
    ["EPHEMERAL_URL", "The web door to look at, with EPHEMERAL_TOKEN"],
    ["EPHEMERAL_PORT_FILE", "Where a door's port may be told"],
    ["XDG_RUNTIME_DIR", "Where run directories are; else the temporary directory (TMPDIR)"],
  ],
  refusedWhen: "something fails; warnings alone do not",
  args: clientFlags,
  async perform(args) {
    const findings = await examine(args);
    const healthy = findings.every(({ level }) => level !== "fail");
    if (!healthy) process.exitCode = exitStatuses.refused;
    if (args.json === true) return await printJson({ healthy, findings });
    await print(written(findings, await paintFor(1, processEnvironment)));
  },
});

async function examine(flags: Flags): Promise<readonly Finding[]> {
  const [broker, webDoor, secrets, place, variables, programs] = await Promise.all([
    import("../doctor/broker.ts"),
    import("../doctor/web-door.ts"),
    import("../doctor/secrets.ts"),
    import("../doctor/place.ts"),
    import("../doctor/variables.ts"),
    import("../doctor/programs.ts"),
  ]);
  const sources = { flags, environment: processEnvironment };
  // One after the other: the broker's answer is timed.
  return [
    ...(await broker.brokerFindings(sources)),
    ...(await webDoor.webDoorFindings(sources)),
    ...secrets.secretFindings(sources),
    ...place.placeFindings(processEnvironment),
    ...(await variables.variableFindings(processEnvironment)),
    ...(await programs.programFindings(processEnvironment)),
  ];
}

function written(findings: readonly Finding[], paint: Paint): string {
  const looks: Record<Level, (text: string) => string> = { ok: paint.dim, warn: paint.bold, fail: paint.red };
  const lines = findings.flatMap(({ topic, level, text, advice }) => [
    `${looks[level](level.padEnd(4))}  ${topic}: ${printable(text)}\n`,
    ...(advice === undefined ? [] : [`      ${paint.dim(printable(advice))}\n`]),
  ]);
  return lines.join("");
}
