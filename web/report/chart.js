// Aborts over time, a bar for each stretch of it, by whose fault they were.
import { BarController, BarElement, CategoryScale, Chart, Legend, LinearScale, Tooltip } from "chart.js";
import { visible, words } from "./text.js";

Chart.register(BarController, BarElement, CategoryScale, Legend, LinearScale, Tooltip);

const MOST_BARS = 96;
// In seconds: from one to a month.
const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000];

/** Draws into a canvas; gives the table of its figures, and the chart. */
export function timeChart(canvas, rows, classes, colours) {
  const { labels, series } = stretches(rows, classes);
  const text = () => getComputedStyle(canvas).color;
  const grid = () => getComputedStyle(canvas).borderTopColor;
  const scale = { stacked: true, ticks: { color: text, maxRotation: 0, autoSkipPadding: 16 }, grid: { color: grid } };
  const chart = new Chart(canvas, {
    type: "bar",
    data: {
      labels,
      datasets: series.map(([name, data]) => ({
        label: visible(words(name)),
        data,
        backgroundColor: () => getComputedStyle(canvas).getPropertyValue(colours(name)),
        stack: "all",
        categoryPercentage: 1,
        barPercentage: 0.9,
      })),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: { x: { ...scale, grid: { display: false } }, y: { ...scale, beginAtZero: true, ticks: { ...scale.ticks, precision: 0 } } },
      plugins: {
        legend: { position: "bottom", labels: { color: text, boxWidth: 12, boxHeight: 12 } },
        tooltip: { filter: (item) => item.raw > 0 },
      },
    },
  });
  return { chart, labels, series };
}

// Counts by class for as many stretches as have room, the shortest that allow it.
function stretches(rows, classes) {
  const dated = rows.filter((row) => !Number.isNaN(moment(row)));
  if (dated.length === 0) return { labels: [], series: [] };
  let [first, last] = [Infinity, -Infinity];
  for (const row of dated) {
    first = Math.min(first, moment(row));
    last = Math.max(last, moment(row));
  }
  const step = STEPS.map((seconds) => seconds * 1000).find((step) => (last - first) / step < MOST_BARS) ?? (last - first) / (MOST_BARS - 1);
  const start = Math.floor(first / step) * step;
  const bars = Math.floor((last - start) / step) + 1;
  const counts = new Map(classes.map((name) => [name, new Array(bars).fill(0)]));
  for (const row of dated) counts.get(row.class)[Math.floor((moment(row) - start) / step)] += 1;
  // The civil time of the log, whatever zone the reader is in.
  const from = (bar) => new Date(start + bar * step).toISOString();
  const oneDay = from(0).slice(0, 10) === from(bars - 1).slice(0, 10);
  const label = (bar) => {
    const text = from(bar);
    if (step >= 86_400_000) return text.slice(0, 10);
    if (oneDay) return text.slice(11, step < 60_000 ? 19 : 16);
    return `${text.slice(5, 10)} ${text.slice(11, 16)}`;
  };
  return { labels: Array.from({ length: bars }, (_, bar) => label(bar)), series: [...counts] };
}

const moment = (row) => Date.parse(`${row.time.slice(0, 19)}Z`);
