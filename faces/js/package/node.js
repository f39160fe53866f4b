// For Node: the module is ready when this one is.
import { readFileSync } from "node:fs";
import { initSync } from "./abort_reason.js";

initSync({ module: readFileSync(new URL("./abort_reason_bg.wasm", import.meta.url)) });

export { Batch, Disposition, Form, Source } from "./abort_reason.js";
export { Engine } from "./engine.js";
export async function init() {}
