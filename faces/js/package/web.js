// For browsers and bundlers: `init` loads the module, once, from beside this file or from where you say.
import load from "./abort_reason.js";

export { Batch, Disposition, Form, Source } from "./abort_reason.js";
export { Engine } from "./engine.js";

export async function init(module) {
  await load(module === undefined ? undefined : { module_or_path: module });
}
