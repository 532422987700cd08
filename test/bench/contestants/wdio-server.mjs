// WebdriverIO's shared store; prints its port.
import { launcher } from "@wdio/shared-store-service";

const capabilities = { browserName: "none" };
await new launcher().onPrepare({}, [capabilities]);
console.log(capabilities["wdio:sharedStoreServicePort"]);
