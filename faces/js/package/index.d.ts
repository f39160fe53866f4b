import { Engine as Core, type InitInput } from "./abort_reason.js";

export { Batch, Disposition, Form, Source } from "./abort_reason.js";

/** The engine: its verbs, and what they take and give, are those of `Core`. */
export class Engine extends Core {
  /** `config`: an object with the keys of docs/configuration.md, or JSON. Throws an `Error` that names the wrong key. */
  constructor(config?: object | string);
}

/**
 * Loads the WebAssembly module. Call and await it before anything else. In Node there is nothing to wait for.
 * `module`: where it is, or the module itself, if it doesn't lie beside the package's files.
 */
export function init(module?: InitInput | Promise<InitInput>): Promise<void>;
