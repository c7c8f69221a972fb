// One service: its load as it goes on, its limits, its instances, and what happened to it.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { get, query, send, setConstraint } from "./api.js";
import { asDuration, timeChart } from "./chart.js";
import { history, sample, span } from "./history.js";
import { serviceTabs } from "./view-scaling.js";
import { act, ask, card, empty, field, live, pageHead, pill, serviceState, statePill, table, toast,
  when, windowButtons } from "./parts.js";

// Instances on the page at once, by name.
const mostInstances = 100;

export function service(ctx) {
  const [id] = ctx.parts;
  const after = ctx.query.get("after") ?? "";
  const path = encodeURIComponent(id);
  live(ctx, async (signal) => {
    const from = new Date(Date.now() - span).toISOString();
    const [found, events, records, members] = await Promise.all([
      get(`/services/${path}?brief=true`, signal),
      get(query("/events", { service: id, newest: true, limit: 12 }), signal),
      get(query("/usage/records", { service: id, from, limit: 1000 }), signal),
      get(query("/instances", { service: id, cursor: after, limit: mostInstances }), signal),
    ]);
    sample(found);
    return { service: found, events: events.items.reverse(), records: records.items, members: members.items,
      after, next: members.nextCursor };
  }, (data) => draw(ctx, data), 1_500);
}

function draw(ctx, { service: found, events, records, members, after, next }) {
  const seen = history(found.id);
  const [state, text, up] = serviceState(found);
  const { load, constraints } = found;
  return [
    h("div", {}, h("p", { class: "crumb" }, link("services", t("nav.services")), " / ", found.id),
      pageHead(h("span", {}, found.id, " ", pill(text, state)), t("service.what", {
        routes: found.routes.map(({ host, pathPrefix }) => (host ?? "*") + pathPrefix).join(", "),
        algorithm: found.algorithm }))),
    serviceTabs(found.id, "service"),
    load?.consumersWaiting > 0 && waiting(ctx, found),
    h("div", { class: "tiles" },
      figure(t("services.instances"), number(up), `/ ${number(constraints.maximumInstances)}`),
      figure(t("services.inFlight"), number(load?.requestsInFlight ?? 0)),
      figure(t("service.queued"), number(load?.requestsQueued ?? 0)),
      figure(t("services.consumers"), number(load?.activeConsumers ?? 0)),
      figure(t("services.waiting"), number(load?.consumersWaiting ?? 0), "", load?.consumersWaiting > 0 && "warn"),
      figure(t("services.rejected"), number(load?.rejected ?? 0))),
    h("div", { class: "grid" },
      card(t("service.supply"), supply(seen), { width: 6 }),
      card(t("service.load"), demand(seen), { width: 6 }),
      card(t("service.latency"), latency(records), { width: 6 }),
      card(t("service.throughput"), throughput(seen), { width: 6 }),
      card(t("services.instances"), [instances(ctx, found, members), windowButtons(ctx, after, next)],
        { width: 12, list: "bare" }),
      card(t("service.limits"), limits(ctx, found), { width: 6, list: "bare" }),
      card(t("overview.events"), happened(events, found.id), { width: 6, list: events.length > 0,
        actions: link(`events?service=${encodeURIComponent(found.id)}`, t("overview.all")) })),
  ];
}

function figure(label, value, unit, state) {
  return h("div", { class: `tile ${state || ""}` }, h("div", { class: "label" }, label),
    h("div", { class: "value" }, value, unit && h("small", {}, ` ${unit}`)));
}

function waiting(ctx, found) {
  const { maximumInstances } = found.constraints;
  return h("div", { class: "notice warn", role: "status" },
    t("service.waitingNow", { count: number(found.load.consumersWaiting) }), " ",
    ctx.mayOperate && h("button", { class: "small", type: "button", onclick: () => raise(ctx, found.id,
      "maximum-instances", maximumInstances + 1) }, t("limit.raiseTo", { value: maximumInstances + 1 })));
}

async function raise(ctx, service, constraint, value) {
  await act(() => setConstraint(service, constraint, value),
    t("limit.changed", { service, constraint: word("constraint", constraint), value: number(value) }));
  ctx.refresh();
}

const chart = (seen, title, series) => {
  const to = Date.now();
  return timeChart({ title, from: to - span, to, series: series.map(([name, colour, of, more]) => ({
    name, colour, points: seen.map((point) => [point.at, of(point)]), ...more })) });
};

const supply = (seen) => chart(seen, t("service.supplyWhat"), [
  [t("service.limit"), 2, ({ limit }) => limit, { isStepped: true, isDashed: true }],
  [t("service.upInstances"), 3, ({ up }) => up, { isStepped: true }],
  [t("services.consumers"), 1, ({ consumers }) => consumers, { isFilled: true }],
]);

const demand = (seen) => chart(seen, t("service.loadWhat"), [
  [t("services.inFlight"), 1, ({ inFlight }) => inFlight, { isFilled: true }],
  [t("service.queued"), 4, ({ queued }) => queued],
  [t("services.waiting"), 2, ({ waiting: count }) => count, { isStepped: true }],
]);

const throughput = (seen) => chart(seen, t("service.throughputWhat"), [
  [t("service.perSecond"), 3, ({ rate }) => rate, { isFilled: true }],
]);

// From single requests as the monitoring agent stored them: median and slowest twentieth of each ten seconds.
function latency(records) {
  const to = Date.now();
  const step = 10_000;
  const slots = new Map();
  for (const { outcome, receivedAt, completedAt } of records) {
    if (outcome !== "completed") continue;
    const end = Date.parse(completedAt);
    const slot = Math.floor(end / step) * step + step / 2;
    const list = slots.get(slot) ?? [];
    list.push((end - Date.parse(receivedAt)) * 1_000);
    slots.set(slot, list);
  }
  const points = (part) => [...slots].sort(([a], [b]) => a - b).map(([at, list]) => {
    list.sort((a, b) => a - b);
    return [at, list[Math.min(list.length - 1, Math.floor(list.length * part))]];
  });
  return timeChart({ title: t("service.latencyWhat"), from: to - span, to, format: asDuration, series: [
    { name: t("service.median"), colour: 1, points: points(0.5), isDotted: true },
    { name: t("service.p95"), colour: 4, points: points(0.95), isDotted: true },
  ] });
}

function instances(ctx, found, members) {
  const columns = [
    { title: t("instance.name"), cell: ({ id }) => h("b", {}, id) },
    { title: t("instance.phase"), cell: ({ phase }) => statePill("phase", phase) },
    { title: t("instance.operational"), cell: ({ operational }) => statePill("state", operational) },
    { title: t("instance.administrative"), cell: ({ administrative }) => statePill("state", administrative) },
    found.failoverGroup && { title: t("instance.role"), cell: ({ role }) => word("failoverRole", role) },
    { title: t("services.inFlight"), class: "number",
      cell: ({ id }) => number(found.load?.requestsInFlightByInstance?.[id] ?? 0) },
    { title: t("instance.endpoint"), cell: ({ endpoint }) => h("code", {}, endpoint ?? "–") },
    { title: t("instance.since"), cell: ({ upSince }) => (upSince ? when(upSince) : "–") },
    ctx.mayOperate && { title: "", cell: (instance) => actions(ctx, instance, found) },
  ].filter(Boolean);
  return table({ columns, rows: members.filter(({ phase }) => phase !== "removed"), key: ({ id }) => id,
    label: t("services.instances"), none: empty(t("instance.none"), t("instance.noneAdvice")) });
}

function actions(ctx, instance, found) {
  const command = (verb, isDangerous) => h("button", { class: `small${isDangerous ? " danger" : ""}`, type: "button",
    "aria-label": `${t(`instance.${verb}`)} ${instance.id}`,
    onclick: () => (isDangerous ? confirm(ctx, instance, verb) : run(ctx, instance.id, verb)) }, t(`instance.${verb}`));
  return h("div", { class: "actions" },
    instance.administrative === "enabled"
      ? command("drain", true) : command("enable"),
    instance.administrative !== "maintenance" && command("maintenance", true),
    found.source === "process" && command("restart", true));
}

function confirm(ctx, instance, verb) {
  ask({ title: t(`instance.${verb}Title`, { instance: instance.id }), body: h("p", {}, t(`instance.${verb}What`)),
    confirm: t(`instance.${verb}`), isDangerous: true, name: instance.id,
    work: async () => { await begin(instance.id, verb); ctx.refresh(); } });
}

const begin = async (id, verb) => {
  const operation = await send("POST", `/instances/${encodeURIComponent(id)}/${verb}`);
  toast(h("span", {}, t("operation.begun"), " ", link("events?show=operations", operation.id)));
};

async function run(ctx, id, verb) {
  await act(() => begin(id, verb));
  ctx.refresh();
}

export const limitFields = [
  ["maximum-instances", "maximumInstances"],
  ["concurrent-requests-per-instance", "concurrentRequestsPerInstance"],
  ["active-consumers-per-instance", "activeConsumersPerInstance"],
  ["concurrent-requests-per-consumer", "concurrentRequestsPerConsumer"],
  ["requests-per-second-per-consumer", "requestsPerSecondPerConsumer"],
];

function limits(ctx, found) {
  const rows = limitFields.map(([constraint, name]) => ({ constraint, value: found.constraints[name] }));
  const columns = [
    { title: t("limit.constraint"), cell: ({ constraint }) => word("constraint", constraint) },
    { title: t("limit.value"), class: "number",
      cell: ({ value }) => (value === undefined ? h("span", { class: "quiet" }, t("limit.none")) : h("b", {},
        number(value))) },
    ctx.mayOperate && { title: "", cell: ({ constraint, value }) => h("div", { class: "actions" },
      value !== undefined && h("button", { class: "small", type: "button",
        "aria-label": `${t("limit.raiseTo", { value: value + 1 })}: ${word("constraint", constraint)}`,
        onclick: () => raise(ctx, found.id, constraint, value + 1) }, `→ ${number(value + 1)}`),
      h("button", { class: "small", type: "button", "aria-label": `${t("limit.edit")}: ${word("constraint",
        constraint)}`,
        onclick: () => edit(ctx, found.id, constraint, value) }, t("limit.edit"))) },
  ].filter(Boolean);
  return table({ columns, rows, key: ({ constraint }) => constraint, label: t("service.limits") });
}

function edit(ctx, service, constraint, value) {
  const mayBeNone = constraint !== "maximum-instances";
  const input = h("input", { type: "number", min: 1, step: 1, value: value ?? "", required: !mayBeNone,
    placeholder: mayBeNone ? t("limit.none") : "" });
  ask({ title: word("constraint", constraint), confirm: t("limit.set"),
    body: [h("p", { class: "quiet" }, t("limit.editWhat", { service })), field(t("limit.value"), input)],
    work: async () => {
      const wanted = input.value === "" ? null : Number(input.value);
      const set = async () => { await setConstraint(service, constraint, wanted); ctx.refresh(); };
      const surplus = constraint === "maximum-instances" ? await present(service) - wanted : 0;
      // What runs is stopped by it: like everything that takes something away it asks for the name.
      if (surplus > 0) return () => lower(service, wanted, surplus, set);
      return set();
    } });
}

// Instances that a lower limit would count, as many as there are now.
async function present(service) {
  return (await get(`/services/${encodeURIComponent(service)}?brief=true`)).instancesPresent;
}

function lower(service, value, surplus, work) {
  ask({ title: t("limit.lowerTitle", { service, value: number(value) }), isDangerous: true, name: service,
    confirm: t("limit.set"), body: h("p", {}, t("limit.lowerWhat", { count: number(surplus) })), work });
}

function happened(events, service) {
  if (events.length === 0) return empty(t("events.none"));
  return h("ul", { class: "feedlist" }, events.map((event) => h("li", { "data-key": event.position },
    h("span", { class: "when" }, when(event.at)),
    h("span", { class: "what" }, event.summary, " ",
      event.step && link(
        `timelines?incident=${encodeURIComponent(event.step.incident)}&service=${encodeURIComponent(service)}`,
        t("link.step", { number: event.step.number }))))));
}
