// Why a service has as many instances as it has: its policy, its decisions with their reasons, and the load at each.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { get, query, send } from "./api.js";
import { timeChart } from "./chart.js";
import { history, sample } from "./history.js";
import { act, at, card, choice, empty, field, live, pageHead, pill, table, when } from "./parts.js";
import { replayCards, replayState } from "./view-replay.js";

const step = 20;
const dryRun = "scaling.decided.dry-run";

export function serviceTabs(id, chosen) {
  const path = `services/${encodeURIComponent(id)}`;
  const tab = (name, address, title) => h("a", { href: `#/${address}`,
    "aria-current": name === chosen ? "page" : null }, title);
  return h("nav", { class: "tabs", "aria-label": id }, tab("service", path, t("scaling.service")),
    tab("scaling", `${path}/scaling`, t("scaling.title")));
}

export function scaling(ctx) {
  const [id] = ctx.parts;
  let limit = step;
  let declared;
  const replay = replayState();
  const report = { metric: "", value: "" };
  live(ctx, async (signal) => {
    const events = (kind) => get(query("/events", { service: id, kind, newest: true, limit }), signal);
    const [found, decisions, limits, learned] = await Promise.all([
      get(`/services/${encodeURIComponent(id)}?brief=true`, signal),
      events("scaling.decided"), events("constraint.changed"),
      get(query("/events", { service: id, kind: "scaling.policy.chosen", newest: true, limit: 1 }), signal)]);
    // It only changes with the limits or a new configuration: asked for once for each view.
    declared ??= await settings(id, signal);
    sample(found);
    return { found, declared, decisions: decisions.items.reverse(), learned: learned.items[0], limits: limits.items
      .filter(({ details }) => details.constraint === "maximum-instances") };
  }, ({ found, declared: spec, decisions, learned, limits }) => [
    h("div", {}, h("p", { class: "crumb" }, link("services", t("nav.services")), " / ", link(
      `services/${encodeURIComponent(id)}`, id)),
    pageHead(h("span", {}, `${id}: ${t("scaling.title")}`, " ", spec.dryRun && pill(t("scaling.dryRun"), "warn")),
      t("scaling.what"))),
    serviceTabs(id, "scaling"),
    spec.dryRun && h("div", { class: "notice warn" }, t("scaling.dryRunWhat")),
    card(t("scaling.last"), last(decisions[0], learned, found), { key: "last" }),
    card(t("scaling.chart"), chart(found, decisions, limits), { key: "scaling-chart" }),
    card(t("scaling.decisions"), [decisionTable(decisions), decisions.length >= limit && limit < 1_000
      && h("div", { class: "more" }, h("button", { type: "button",
        onclick: () => { limit = Math.min(1_000, limit + step); ctx.refresh(); } }, t("list.more")))],
    { list: "bare", key: "decisions" }),
    replayCards(ctx, id, replay),
    ctx.mayOperate && reported(spec).length > 0 && card(t("scaling.report"), reportForm(id, reported(spec), report),
      { key: "report" }),
    card(t("scaling.policy"), policy(found, spec), { key: "policy" }),
  ], 3_000);
}

// Why there are as many instances as there are: the last decision in words, with the figures that it was taken by.
function last(event, learned, { constraints }) {
  if (!event) return empty(t("scaling.none"), t("scaling.noneAdvice"));
  const { details } = event;
  const fact = (title, value) => value !== undefined && [h("dt", {}, title), h("dd", {}, value)];
  const count = (name) => (details[name] === undefined ? undefined : number(details[name]));
  return [
    h("p", {}, h("b", {}, t("scaling.lastMove", { from: details.from, to: details.to })), " ",
      event.kind === dryRun && pill(t("scaling.dryRun"), "warn"), " ", when(event.at)),
    h("p", {}, t("scaling.because"), " ", h("span", {}, details.reason ?? event.summary)),
    Number(details.to) >= constraints.maximumInstances && h("p", { class: "notice warn" }, t("scaling.atLimit", {
      limit: number(constraints.maximumInstances) })),
    h("dl", { class: "facts" },
      fact(t("scaling.policy"), details.policy && word("policy", details.policy)),
      fact(t("services.inFlight"), count("requestsInFlight")), fact(t("service.queued"), count("requestsQueued")),
      fact(t("services.consumers"), count("activeConsumers")), fact(t("scaling.metrics"), details.metrics),
      fact(t("scaling.sampledAt"), details.sampledAt && at(details.sampledAt)),
      learned && fact(t("scaling.learned"), [h("b", {}, learned.details.policy), ": ",
        learned.details.reason ?? learned.summary])),
  ];
}

// As the configuration has it; what it leaves out has the documented default.
async function settings(id, signal) {
  const { resources } = await get("/configuration", signal);
  return resources.find(({ kind, metadata }) => kind === "CloudService" && metadata.name === id)?.spec.scaling ?? {};
}

// What is known of the past is what was noted when something was decided; then comes what this page has seen itself.
function chart(found, decisions, limits) {
  const seen = history(found.id);
  const done = decisions.filter(({ kind }) => kind !== dryRun).reverse();
  const moment = (event) => Date.parse(event.at);
  const both = (events) => events.flatMap((event) => [[moment(event) - 1, Number(event.details.from)],
    [moment(event), Number(event.details.to)]]);
  const load = decisions.filter(({ details }) => details.requestsInFlight !== undefined).reverse()
    .flatMap((event) => [[moment(event), Number(event.details.requestsInFlight) + Number(event.details.requestsQueued)],
      // Nothing is known of the time until the next one: there is no line.
      [moment(event) + 1, undefined]]);
  const to = Date.now();
  const starts = [...done, ...decisions, ...limits].map(moment).concat(seen.map((point) => point.at));
  const from = Math.min(to - 60_000, ...starts);
  const now = [to, found.constraints.maximumInstances];
  const changes = both(limits);
  return timeChart({ title: t("scaling.chartWhat"), from, to, series: [
    { name: t("service.limit"), colour: 2, isStepped: true, isDashed: true,
      points: [[from, changes[0]?.[1] ?? now[1]], ...changes, now] },
    { name: t("scaling.wanted"), colour: 3, isStepped: true, points: both(done) },
    { name: t("service.upInstances"), colour: 4, isStepped: true, points: seen.map((point) => [point.at, point.up]) },
    { name: t("service.load"), colour: 1, isDotted: true,
      points: [...load, ...seen.map((point) => [point.at, point.inFlight + point.queued])].sort(([a], [b]) => a - b) },
  ] });
}

function decisionTable(rows) {
  const fact = (title, name) => ({ title, class: "number",
    cell: ({ details }) => (details[name] === undefined ? "–" : number(details[name])) });
  return table({ rows, key: ({ position }) => position, label: t("scaling.decisions"),
    none: empty(t("scaling.none"), t("scaling.noneAdvice")), columns: [
      { title: t("table.at"), cell: (event) => at(event.at) },
      { title: t("services.instances"), cell: ({ kind, details }) => h("span", {}, h("b", {},
        `${details.from} → ${details.to}`), " ", kind === dryRun && pill(t("scaling.dryRun"), "warn")) },
      { title: t("audit.reason"), cell: ({ details, summary }) => h("span", { title: summary },
        details.reason ?? summary) },
      { title: t("scaling.policy"), cell: ({ details }) => (details.policy ? word("policy", details.policy) : "–") },
      fact(t("services.inFlight"), "requestsInFlight"), fact(t("service.queued"), "requestsQueued"),
      fact(t("services.consumers"), "activeConsumers"),
    ] });
}

// Metrics that are not measured by the platform itself.
const reported = ({ metrics = [] }) => metrics.filter(({ kind }) => !kind || kind === "custom").map(({ name }) => name);

function reportForm(id, names, state) {
  if (!names.includes(state.metric)) [state.metric] = names;
  const run = () => act(() => send("PUT", `/services/${encodeURIComponent(id)}/metrics/${encodeURIComponent(
    state.metric)}`, { value: Number(state.value) }), t("scaling.reported", { metric: state.metric,
    value: number(Number(state.value)) }));
  return [h("p", { class: "quiet" }, t("scaling.reportWhat")),
    h("form", { class: "filters", onsubmit: (event) => { event.preventDefault(); run(); } },
      field(t("scaling.metric"), choice(names, state.metric, (name) => name, (name) => { state.metric = name; })),
      field(t("scaling.value"), h("input", { type: "number", min: 0, step: 1, required: true, value: state.value,
        oninput: (event) => { state.value = event.target.value; } })),
      h("button", { class: "primary", type: "submit" }, t("scaling.reportSend")))];
}

function policy({ constraints }, spec) {
  const kind = spec.policy?.kind ?? "concurrency";
  return [h("dl", { class: "facts" },
    h("dt", {}, t("scaling.policy")), h("dd", {}, h("b", {}, word("policy", kind))),
    h("dt", {}, t("services.instances")), h("dd", {}, t("scaling.between", {
      least: number(constraints.minimumInstances), most: number(constraints.maximumInstances) }))),
  h("p", { class: "quiet account" }, t(Object.keys(spec).length > 0 ? "scaling.declared" : "scaling.defaults")),
  Object.keys(spec).length > 0 && h("pre", { tabindex: "0", "aria-label": t("scaling.policy") },
    JSON.stringify(spec, null, 2))];
}
