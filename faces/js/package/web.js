// For browsers and bundlers: `init` loads the module, once, from beside this file or from where you say.
import load from "./abort_reason.js";

export { Batch, Disposition, Engine, Form, Source } from "./abort_reason.js";

let loaded;
export async function init(module) {
  loaded ??= load(module === undefined ? undefined : { module_or_path: module });
  try {
    await loaded;
  } catch (error) {
    loaded = undefined; // so that it can be tried again
    throw error;
  }
}
