// Lines per second through the package in Node: node bench.mjs MAILLOG MESSAGE_LOG, in a project that has it installed.
import { readFileSync } from "node:fs";
import { Engine, Form, Source } from "abort-reason";

const PIECE = 256 * 1024;
const logs = [
  [Source.Mail, readFileSync(process.argv[2])],
  [Source.MessageLog, readFileSync(process.argv[3])],
];
let best = 0;
for (let round = 0; round < 5; round += 1) {
  const engine = new Engine('{"filter_names":["PureMessage"]}');
  let lines = 0;
  const began = performance.now();
  for (const [source, log] of logs) {
    for (let start = 0; start < log.length; ) {
      const end = log.indexOf(10, Math.min(start + PIECE, log.length - 1)) + 1 || log.length;
      lines += engine.push(source, Form.Line, log.subarray(start, end), 0, 0).length;
      start = end;
    }
  }
  engine.finish();
  while (engine.poll(1000).more);
  best = Math.max(best, lines / (performance.now() - began) * 1000);
  engine.free();
}
console.log(`${Math.round(best)} lines per second`);
