// How the platform is: its parts, what it serves, what is wrong, and what happened last.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { get, health, query } from "./api.js";
import { meter, timeChart } from "./chart.js";
import { card, empty, live, onlyFirst, pageHead, pill, serviceState, statePill, when } from "./parts.js";

const minutes = 30;
// The worst services and the oldest incidents; all of them have views of their own.
const mostServices = 10;
const mostIncidents = 10;

export function overview(ctx) {
  let before;
  live(ctx, async (signal) => {
    const [parts, sums, services, incidents, events, operations] = await Promise.all([
      health(), get(query("/overview", { minutes }), signal),
      get(query("/services", { brief: true, sort: "condition", limit: mostServices }), signal),
      get(query("/incidents", { limit: mostIncidents }), signal), get("/events?newest=true&limit=8", signal),
      get("/operations?limit=6", signal),
    ]);
    const now = { at: Date.parse(sums.at), admitted: Number(sums.requestsAdmitted) };
    const rate = before && now.at > before.at && now.admitted >= before.admitted
      ? (now.admitted - before.admitted) / ((now.at - before.at) / 1_000) : undefined;
    if (!before || now.at - before.at >= 2_000) before = now;
    return { parts, sums, services, incidents, events: events.items.reverse(), operations: operations.items, rate };
  }, (data) => draw(data), 4_000);
}

function draw(data) {
  const { sums } = data;
  return [
    pageHead(t("nav.overview"), t("overview.what")),
    data.parts && !data.parts.healthy && h("div", { class: "notice bad", role: "alert" },
      h("b", {}, t("overview.unhealthy")),
      h("ul", {}, Object.entries(data.parts.parts).filter(([, state]) => state !== "ok")
        .map(([name, state]) => h("li", {}, h("b", {}, name), ": ", state)))),
    h("div", { class: "tiles" },
      tile("services", t("overview.services"), sums.servicesWell, sums.services, sums.servicesWell < sums.services
        && "warn"),
      tile("services", t("overview.instances"), sums.instancesUp, sums.instances),
      tile("services", t("overview.rate"), data.rate === undefined ? "–" : number(data.rate, 1), undefined, "", "/s"),
      tile("services", t("overview.inFlight"), sums.requestsInFlight),
      tile("notifications", t("overview.waiting"), sums.consumersWaiting, undefined, sums.consumersWaiting > 0
        && "warn"),
      tile("notifications", t("overview.incidents"), sums.incidents, undefined, sums.incidents > 0 && "bad"),
      hostTiles(sums)),
    h("div", { class: "grid" },
      card(t("overview.requests"), traffic(sums), { width: 7 }),
      card(t("overview.incidents"), incidents(data.incidents), { width: 5, list: data.incidents.items.length > 0 }),
      card(t("nav.services"), serviceList(data.services), { width: 7, list: "bare", actions: link("services",
        t("overview.all")) }),
      card(t("overview.health"), parts(data.parts), { width: 5, list: true }),
      card(t("overview.events"), happened(data.events), { width: 7, list: true, actions: link("events",
        t("overview.all")) }),
      card(t("overview.operations"), operations(data.operations), { width: 5, list: data.operations.length > 0,
        actions: link("events?show=operations", t("overview.all")) })),
  ];
}

// Where there are physical servers: how many answer, and how much of the scarcer of processors and memory is taken.
function hostTiles({ physicalServers, physicalServersUp, ...sums }) {
  if (physicalServers === 0) return [];
  const part = (name) => (sums[name] > 0 ? sums[`${name}Used`] / sums[name] : 0);
  const percent = Math.round(100 * Math.max(part("cpuMillicores"), part("memoryBytes")));
  return [
    tile("infrastructure", t("overview.hosts"), physicalServersUp, physicalServers, physicalServersUp
      < physicalServers && "bad"),
    tile("infrastructure", t("overview.capacity"), percent, undefined, percent >= 90 && "warn", "%"),
  ];
}

function tile(path, label, value, limit, state, unit) {
  return h("a", { class: `tile ${state || ""}`, href: `#/${path}` }, h("div", { class: "label" }, label),
    h("div", { class: "value" }, typeof value === "number" ? number(value) : value,
      (limit !== undefined || unit) && h("small", {}, limit !== undefined ? ` / ${number(limit)}` : ` ${unit}`)));
}

function traffic({ minutes: all }) {
  const points = (name) => all.map((one) => [Date.parse(one.at), one[name]]);
  return timeChart({ title: t("overview.perMinute"), from: Date.parse(all[0].at), to: Date.parse(all.at(-1).at),
    format: (value) => number(value), series: [
      { name: t("overview.served"), colour: 1, points: points("served"), isFilled: true },
      { name: t("overview.rejected"), colour: 2, points: points("rejected") },
    ] });
}

function incidents({ items, nextCursor }) {
  if (items.length === 0) return empty(t("overview.noIncident"), t("overview.noIncidentAdvice"));
  return [h("ul", { class: "feedlist" }, items.map((incident) => h("li", { "data-key": incident.id },
    h("span", { class: "when" }, when(incident.openedAt)),
    h("span", { class: "what" }, pill(word("incident", incident.kind), "bad"), " ",
      link(`services/${incident.service}`, incident.service),
      incident.constraint && ` · ${word("constraint", incident.constraint)}`,
      incident.consumers.length > 0 && h("div", { class: "quiet small" },
        t("overview.refused", { consumers: incident.consumers.join(", ") })),
      " ", link(`timelines?incident=${encodeURIComponent(incident.id)}`, t("link.steps")))))),
  onlyFirst(nextCursor, mostIncidents)];
}

function serviceList({ items, nextCursor }) {
  if (items.length === 0) return empty(t("services.none"), t("services.noneAdvice"),
    "cloudwright apply -f cloud.yaml");
  return [h("ul", { class: "feedlist list body" }, items.map((service) => {
    const [state, text, up] = serviceState(service);
    const limit = service.constraints.maximumInstances;
    return h("li", { "data-key": service.id },
      h("span", { class: "what" }, link(`services/${service.id}`, h("b", {}, service.id)), " ", pill(text, state)),
      h("span", { class: "nowrap" }, h("span", { class: "quiet" }, t("overview.ofInstances", { up, limit })),
        meter(up, limit, t("overview.ofInstances", { up, limit }))));
  })), nextCursor && h("p", { class: "more quiet" }, t("overview.worst", { count: number(mostServices) }))];
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
