/** The version this program was built as: the one noun of package.json that users see. */
import about from "../../package.json" with { type: "json" };

export const brokerVersion: string = about.version;
