// A service's own history through every scaling policy: which to choose, what it costs and misses, and a chart of it.
import { h } from "./dom.js";
import { t, word } from "./i18n.js";
import { number, time } from "./format.js";
import { get, query } from "./api.js";
import { timeChart } from "./chart.js";
import { act, card, choice, empty, field, pill, table } from "./parts.js";

const spans = { "1h": 3_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000 };
// Of the policies that were tried; all are in the API's answer.
const mostPolicies = 12;

// What is asked for stays as the page has it, and is asked for only when somebody does: it is dear.
export function replayState() {
  return { span: "24h", perInstance: "", result: undefined, isBusy: false };
}

export function replayCards(ctx, service, state) {
  const run = async () => {
    state.isBusy = true;
    ctx.redraw();
    const from = new Date(Date.now() - spans[state.span] * 1_000).toISOString();
    state.result = await act(() => get(query(`/services/${encodeURIComponent(service)}/scaling/replay`,
      { from, requestsPerInstance: state.perInstance }), ctx.signal)) ?? state.result;
    state.isBusy = false;
    ctx.redraw();
  };
  return card(t("replay.title"), [
    h("div", { class: "body" }, h("p", { class: "quiet" }, t("replay.what")), form(state, run)),
    state.result && answer(state.result)], { list: "bare", key: "replay" });
}

function form(state, run) {
  return h("form", { class: "filters", onsubmit: (event) => { event.preventDefault(); if (!state.isBusy) run(); } },
    field(t("usage.span"), choice(Object.keys(spans), state.span, (name) => word("span", name),
      (span) => { state.span = span; })),
    field(t("replay.perInstance"), h("input", { type: "number", min: 1, max: 1_000_000, value: state.perInstance,
      placeholder: t("replay.asDeclared"), onchange: (event) => { state.perInstance = event.target.value; } })),
    h("button", { class: "primary", type: "submit", disabled: state.isBusy }, t(state.isBusy ? "replay.running"
      : "replay.run")));
}

function answer(found) {
  if (found.unavailable) return empty(t("replay.unavailable"), found.unavailable);
  const { configured, recommended } = found;
  const isSame = configured.name === recommended.name;
  return [
    h("div", { class: "body" },
      h("div", { class: `notice ${isSame || recommended.keepsBudget ? "good" : "warn"}`, role: "status" },
        h("b", {}, t(isSame ? "replay.keep" : "replay.change", { policy: name(recommended) })), " ",
        sentence(recommended), " ", !isSame && t("replay.now", { policy: name(configured) }), " ",
        !isSame && sentence(configured), !recommended.keepsBudget && ` ${t("replay.noneKept")}`),
      h("p", { class: "quiet small" }, t("replay.basis", { requests: number(found.requests), from: time(found.from),
        until: time(found.until), step: number(found.stepSeconds), startup: number(found.startupSeconds),
        budget: number(found.missBudgetPerMille / 10, 1) }), found.isPart && ` ${t("replay.part")}`),
      chart(found)),
    policies(found),
    found.configuration && h("div", { class: "body" }, h("h3", {}, t("replay.configuration")),
      h("p", { class: "quiet" }, t("replay.expected", {
        hours: number(found.recommendedInstanceSecondsPerDay / 3_600, 1) })),
      h("pre", { tabindex: "0", "aria-label": t("replay.configuration") }, found.configuration)),
  ];
}

const name = (policy) => `“${policy.name}”`;
const percent = (perMillion) => `${number(perMillion / 10_000, 2)} %`;

const sentence = (policy) => t("replay.sentence", { cost: number(policy.costThousandths / 1_000, 2),
  missed: percent(policy.missedTimePerMillion), actions: number(policy.scaleOuts + policy.scaleIns) });

function chart({ points, configured, recommended }) {
  const moments = points.map(({ at }) => Date.parse(at));
  const of = (value) => points.map((point, index) => [moments[index], value(point)]);
  return timeChart({ title: t("replay.chart"), from: moments[0], to: Math.max(moments[moments.length - 1],
    moments[0] + 1_000), format: (value) => number(value, 2), series: [
    { name: t("replay.demand"), colour: 1, isFilled: true, points: of(({ demandThousandths }) => demandThousandths / 1_000) },
    { name: t("replay.byRecommended", { policy: recommended.name }), colour: 3, isStepped: true,
      points: of((point) => point.recommended) },
    { name: t("replay.byConfigured", { policy: configured.name }), colour: 2, isStepped: true, isDashed: true,
      points: of((point) => point.configured) },
  ] });
}

function policies({ policies: all, fixed, recommended, configured }) {
  const rows = all.slice(0, mostPolicies);
  if (!rows.some((row) => row.name === recommended.name)) rows.unshift(recommended);
  rows.push(fixed);
  return table({ rows, key: (row) => row.name, label: t("replay.policies"), columns: [
    { title: t("scaling.policy"), cell: (row) => [h("b", {}, row.name === "fixed" ? t("replay.fixed") : row.name), " ",
      row.name === recommended.name && pill(t("replay.recommended"), "good"),
      row.name === configured.name && pill(t("replay.present"), "plain")] },
    { title: t("replay.cost"), class: "number", cell: ({ costThousandths }) => `× ${number(costThousandths / 1_000, 2)}` },
    { title: t("replay.hours"), class: "number", cell: ({ instanceSeconds }) => number(instanceSeconds / 3_600, 2) },
    { title: t("replay.missedTime"), class: "number", cell: ({ missedTimePerMillion, keepsBudget }) => pill(
      percent(missedTimePerMillion), keepsBudget ? "good" : "warn") },
    { title: t("replay.missedWork"), class: "number", cell: ({ missedWorkPerMillion }) => percent(missedWorkPerMillion) },
    { title: t("replay.actions"), class: "number", cell: ({ scaleOuts, scaleIns }) => number(scaleOuts + scaleIns) },
  ] });
}
