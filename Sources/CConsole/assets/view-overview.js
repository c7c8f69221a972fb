// How the platform is: its parts, what it serves, what is wrong, and what happened last.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { get, health, query } from "./api.js";
import { meter, timeChart } from "./chart.js";
import { sampleAll } from "./history.js";
import { card, empty, live, pageHead, pill, serviceState, statePill, when } from "./parts.js";

const span = 30 * 60_000;
const minute = 60_000;

export function overview(ctx) {
  let before;
  live(ctx, async (signal) => {
    const until = Math.ceil(Date.now() / minute) * minute;
    const from = until - span;
    const [parts, services, hosts, incidents, events, operations, usage] = await Promise.all([
      health(), get("/services", signal), get("/physical-servers", signal), get("/incidents", signal),
      get("/events?newest=true&limit=8", signal),
      get("/operations?limit=6", signal),
      get(query("/usage", { from: new Date(from).toISOString(), until: new Date(until).toISOString(),
        periodSeconds: 60 }), signal),
    ]);
    sampleAll(services.items);
    const now = total(services.items);
    const rate = before && now.at > before.at && now.admitted >= before.admitted
      ? (now.admitted - before.admitted) / ((now.at - before.at) / 1_000) : undefined;
    if (!before || now.at - before.at >= 2_000) before = now;
    return { parts, services: services.items, hosts: hosts.items, incidents: incidents.items,
      events: events.items.reverse(),
      operations: operations.items, usage, from, until, rate };
  }, (data) => draw(data), 4_000);
}

function total(services) {
  return { at: Date.now(), admitted: services.reduce((sum, { load }) => sum + Number(load?.admitted ?? 0), 0) };
}

function draw(data) {
  const { services } = data;
  const states = services.map(serviceState);
  const good = states.filter(([state]) => state === "good").length;
  const instances = services.flatMap((service) => service.instances).filter(({ phase }) => phase !== "removed");
  const up = states.reduce((sum, [, , count]) => sum + count, 0);
  const sum = (name) => services.reduce((result, { load }) => result + (load?.[name] ?? 0), 0);
  const waiting = sum("consumersWaiting");
  return [
    pageHead(t("nav.overview"), t("overview.what")),
    data.parts && !data.parts.healthy && h("div", { class: "notice bad", role: "alert" },
      h("b", {}, t("overview.unhealthy")),
      h("ul", {}, Object.entries(data.parts.parts).filter(([, state]) => state !== "ok")
        .map(([name, state]) => h("li", {}, h("b", {}, name), ": ", state)))),
    h("div", { class: "tiles" },
      tile("services", t("overview.services"), good, services.length, good < services.length && "warn"),
      tile("services", t("overview.instances"), up, instances.length),
      tile("services", t("overview.rate"), data.rate === undefined ? "–" : number(data.rate, 1), undefined, "", "/s"),
      tile("services", t("overview.inFlight"), sum("requestsInFlight")),
      tile("notifications", t("overview.waiting"), waiting, undefined, waiting > 0 && "warn"),
      tile("notifications", t("overview.incidents"), data.incidents.length, undefined, data.incidents.length > 0
        && "bad"),
      hostTiles(data.hosts)),
    h("div", { class: "grid" },
      card(t("overview.requests"), traffic(data), { width: 7 }),
      card(t("overview.incidents"), incidents(data.incidents), { width: 5, list: data.incidents.length > 0 }),
      card(t("nav.services"), serviceList(services), { width: 7, list: "bare", actions: link("services",
        t("overview.all")) }),
      card(t("overview.health"), parts(data.parts), { width: 5, list: true }),
      card(t("overview.events"), happened(data.events), { width: 7, list: true, actions: link("events",
        t("overview.all")) }),
      card(t("overview.operations"), operations(data.operations), { width: 5, list: data.operations.length > 0,
        actions: link("events?show=operations", t("overview.all")) })),
  ];
}

// Where there are physical servers: how many answer, and how much of the scarcer of processors and memory is taken.
function hostTiles(hosts) {
  if (hosts.length === 0) return [];
  const up = hosts.filter(({ phase }) => phase === "up").length;
  const part = (used, capacity) => {
    const whole = hosts.reduce((sum, host) => sum + host[capacity], 0);
    return whole > 0 ? hosts.reduce((sum, host) => sum + host[used], 0) / whole : 0;
  };
  const percent = Math.round(100 * Math.max(part("cpuMillicoresUsed", "cpuMillicores"),
    part("memoryBytesUsed", "memoryBytes")));
  return [
    tile("infrastructure", t("overview.hosts"), up, hosts.length, up < hosts.length && "bad"),
    tile("infrastructure", t("overview.capacity"), percent, undefined, percent >= 90 && "warn", "%"),
  ];
}

function tile(path, label, value, limit, state, unit) {
  return h("a", { class: `tile ${state || ""}`, href: `#/${path}` }, h("div", { class: "label" }, label),
    h("div", { class: "value" }, typeof value === "number" ? number(value) : value,
      (limit !== undefined || unit) && h("small", {}, limit !== undefined ? ` / ${number(limit)}` : ` ${unit}`)));
}

function traffic({ usage, from, until }) {
  const served = new Map();
  const rejected = new Map();
  for (let at = from; at < until; at += minute) { served.set(at, 0); rejected.set(at, 0); }
  for (const row of usage.monitoringAgent) {
    const at = Date.parse(row.periodStart);
    if (!served.has(at)) continue;
    served.set(at, served.get(at) + row.requests - row.rejected);
    rejected.set(at, rejected.get(at) + row.rejected);
  }
  const points = (map) => [...map].map(([at, value]) => [at, value]);
  return timeChart({ title: t("overview.perMinute"), from, to: until - minute, format: (value) => number(value),
    series: [
    { name: t("overview.served"), colour: 1, points: points(served), isFilled: true },
    { name: t("overview.rejected"), colour: 2, points: points(rejected) },
  ] });
}

function incidents(all) {
  if (all.length === 0) return empty(t("overview.noIncident"), t("overview.noIncidentAdvice"));
  return h("ul", { class: "feedlist" }, all.map((incident) => h("li", { "data-key": incident.id },
    h("span", { class: "when" }, when(incident.openedAt)),
    h("span", { class: "what" }, pill(word("incident", incident.kind), "bad"), " ",
      link(`services/${incident.service}`, incident.service),
      incident.constraint && ` · ${word("constraint", incident.constraint)}`,
      incident.consumers.length > 0 && h("div", { class: "quiet small" },
        t("overview.refused", { consumers: incident.consumers.join(", ") })),
      " ", link(`timelines?incident=${encodeURIComponent(incident.id)}`, t("link.steps"))))));
}

function serviceList(services) {
  if (services.length === 0) return empty(t("services.none"), t("services.noneAdvice"),
    "cloudwright apply -f cloud.yaml");
  return h("ul", { class: "feedlist list body" }, services.map((service) => {
    const [state, text, up] = serviceState(service);
    const limit = service.constraints.maximumInstances;
    return h("li", { "data-key": service.id },
      h("span", { class: "what" }, link(`services/${service.id}`, h("b", {}, service.id)), " ", pill(text, state)),
      h("span", { class: "nowrap" }, h("span", { class: "quiet" }, t("overview.ofInstances", { up, limit })),
        meter(up, limit, t("overview.ofInstances", { up, limit }))));
  }));
}

function parts(found) {
  if (!found) return empty(t("frame.away"), t("problem.unreachable"));
  return h("ul", { class: "feedlist" }, Object.entries(found.parts).sort().map(([name, state]) => h("li",
    { "data-key": name },
    h("span", { class: "what" }, name), state === "ok" ? pill(t("overview.ok"), "good") : pill(state, "bad"))));
}

function happened(events) {
  if (events.length === 0) return empty(t("events.none"));
  return h("ul", { class: "feedlist" }, events.map((event) => h("li", { "data-key": event.position },
    h("span", { class: "when" }, when(event.at)),
    h("span", { class: "what" }, event.summary,
      event.service && [" ", link(`services/${event.service}`, event.service)]))));
}

function operations(all) {
  if (all.length === 0) return empty(t("operations.none"), t("operations.noneAdvice"));
  return h("ul", { class: "feedlist" }, all.map((operation) => h("li", { "data-key": operation.id },
    h("span", { class: "when" }, when(operation.startedAt)),
    h("span", { class: "what" }, word("operation", operation.kind), " ", operation.instance, " ",
      h("span", { class: "quiet" }, operation.actor)),
    statePill("state", operation.state))));
}
