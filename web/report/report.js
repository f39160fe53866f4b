// The report as a file of its own: the records stand in it, packed.
import { Records } from "./data.js";
import { show } from "./show.js";

const meta = JSON.parse(document.getElementById("meta").textContent);
const blocks = [...document.querySelectorAll("script.block")].map((block) => {
  const text = block.textContent;
  block.remove();
  return text;
});
const main = document.querySelector("main");
const status = document.getElementById("status");
try {
  const records = await new Records(blocks).read((share) => {
    status.textContent = `Unpacking: ${Math.round(100 * share)} %`;
  });
  show(main, records, meta);
} catch (error) {
  status.textContent = `This report can't be shown: ${error.message}. It needs a browser of 2023 or newer.`;
}
