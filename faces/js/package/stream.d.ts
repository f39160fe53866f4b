import { Transform } from "node:stream";

export interface Stats {
  filters: string[];
  [counter: string]: number | string[];
}

export interface AbortReasonOptions {
  /** The configuration: an object with the keys of docs/configuration.md, or JSON. */
  config?: object | string;
  /** Records that may wait on either side of the stream before it asks for patience; 16 if it is not said. */
  highWaterMark?: number;
}

/**
 * Objects of log records in, objects out: aborts carry their reason as `abort`, all others are the very objects that came
 * in, unchanged. A string or a `Uint8Array` is taken for a bare line of a log, with or without its end.
 */
export class AbortReasonStream extends Transform {
  constructor(options?: AbortReasonOptions);
  /** The engine's counters, and the filters that the mail log has named. */
  stats(): Stats;
}
