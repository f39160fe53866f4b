import type { InitInput } from "./abort_reason.js";

export { Batch, Disposition, Engine, Form, Source } from "./abort_reason.js";

/**
 * Loads the WebAssembly module. Call and await it before anything else. In Node there is nothing to wait for.
 * `module`: where it is, or the module itself, if it doesn't lie beside the package's files.
 */
export function init(module?: InitInput | Promise<InitInput>): Promise<void>;
