// Charts over time, drawn as SVG that stretches with the page; words and numbers are beside it, where they can be read.
import { h, s } from "./dom.js";
import { t } from "./i18n.js";
import { duration, number, time } from "./format.js";

const width = 600;
const height = 120;

// A round number that is at least the value.
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 3, 4, 5, 6, 8, 10].find((candidate) => candidate * power >= value);
  return step * power;
}

function line(points, x, y, isStepped) {
  let path = "";
  let previous;
  for (const [at, value] of points) {
    if (value === undefined || value === null) { previous = undefined; continue; }
    const [left, top] = [x(at).toFixed(1), y(value).toFixed(1)];
    // A value that stands alone is a dot.
    if (previous === undefined) path += `M${left} ${top}h0.01`;
    else path += isStepped ? `H${left}V${top}` : `L${left} ${top}`;
    previous = value;
  }
  return path;
}

function area(points, x, y) {
  const known = points.filter(([, value]) => value !== undefined && value !== null);
  if (known.length < 2) return "";
  const [first, last] = [known[0][0], known[known.length - 1][0]];
  return `${line(known, x, y, false)}L${x(last).toFixed(1)} ${height}L${x(first).toFixed(1)} ${height}Z`;
}

function lastValue(points) {
  for (let index = points.length - 1; index >= 0; index -= 1) {
    if (points[index][1] !== undefined && points[index][1] !== null) return points[index][1];
  }
  return undefined;
}

// - series: name, colour (1 to 5), points of time in milliseconds and value, whether it is stepped, filled or dotted.
// - from, to: what the chart shows.
export function timeChart({ title, series, from, to, format = (value) => number(value, 1), key }) {
  const values = series.flatMap(({ points }) => points.map(([, value]) => value ?? 0));
  const top = ceiling(Math.max(0, ...values));
  const x = (at) => ((at - from) / (to - from)) * width;
  const y = (value) => height - (value / top) * (height - 4) - 1;
  const isEmpty = series.every(({ points }) => lastValue(points) === undefined);
  const drawn = [
    ...[0.25, 0.5, 0.75].map((part) => s("line", {
      class: "grid", x1: 0, x2: width, y1: y(top * part), y2: y(top * part) })),
    ...series.map(({ points, colour, isFilled }) => isFilled && s("path", {
      class: `area c${colour}`, d: area(points, x, y) })),
    ...series.map(({ points, colour, isDotted }) => isDotted && s("path", {
      class: `line dots c${colour}`, d: points.filter(([, value]) => value !== undefined && value !== null)
        .map(([at, value]) => `M${x(at).toFixed(1)} ${y(value).toFixed(1)}h0.01`).join("") })),
    ...series.map(({ points, colour, isStepped, isDashed }) => s("path", {
      class: `line c${colour}${isDashed ? " dashed" : ""}`, d: line(points, x, y, isStepped) })),
  ];
  const summary = series.map(({ name, points }) => {
    const value = lastValue(points);
    return `${name}: ${value === undefined ? "–" : format(value)}`;
  }).join(", ");
  return h("figure", { class: "chart", "data-key": key },
    h("figcaption", {}, title),
    h("div", { class: "plot" },
      h("div", { class: "scale", "aria-hidden": "true" },
        isEmpty ? "" : [top, top / 2, 0].map((value) => h("span", {}, format(value)))),
      h("div", { class: "canvas" },
        s("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img",
          "aria-label": `${title}. ${summary}` }, drawn),
        isEmpty && h("p", { class: "none" }, t("chart.none")))),
    h("div", { class: "times", "aria-hidden": "true" }, h("span", {}, time(from)), h("span", {}, time(to))),
    h("ul", { class: "legend" }, series.map(({ name, colour, points, isDashed }) => h("li", {},
      h("i", { class: `mark c${colour}${isDashed ? " dashed" : ""}` }), name, " ",
      h("b", {}, lastValue(points) === undefined ? "–" : format(lastValue(points)))))));
}

export const asDuration = (value) => duration(value);

// How much of a limit is used: used, limit, and what it is for screen readers.
export function meter(used, limit, label) {
  const part = limit > 0 ? Math.min(1, used / limit) : 0;
  return h("span", { class: `meter ${part >= 1 ? "full" : "fine"}`, role: "img", "aria-label": label },
    s("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none" },
      s("rect", { class: "track", width: 100, height: 8 }),
      s("rect", { class: "fill", width: part * 100, height: 8 })));
}
