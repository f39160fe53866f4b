// The engine, with what Rust's types would say checked for those who write without types.
import { Engine as Core } from "./abort_reason.js";

export class Engine extends Core {
  constructor(config) {
    super(typeof config === "string" || config === undefined ? config : JSON.stringify(config));
  }

  push(source, form, data, ticket, nowMs) {
    if (!(data instanceof Uint8Array)) throw new TypeError("data: a Uint8Array of lines in UTF-8 is needed");
    if (!Number.isSafeInteger(ticket) || ticket < 0 || !Number.isSafeInteger(ticket + data.length)) {
      throw new RangeError(`ticket: ${ticket}: a whole number from 0 to 2^53 is needed, with room for those that follow`);
    }
    return super.push(source, form, data, ticket, nowMs);
  }
}
