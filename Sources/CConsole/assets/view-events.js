// What happened on the platform, as it happens, and what was asked for.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { duration } from "./format.js";
import { get, query } from "./api.js";
import { at, card, choice, empty, field, live, pageHead, statePill, table, windowButtons } from "./parts.js";
import { suggested } from "./suggest.js";

const step = 50;
const kinds = ["instance.", "service.", "constraint.", "scaling.", "failover.", "virtual-server.",
  "physical-server.", "relocation.", "breaker.", "configuration.", "credential.", "administrator.", "platform.",
  "limit.", "bill.", "audit.", "rebalancing."];

export function events(ctx) {
  const shows = ctx.query.get("show") === "operations" ? "operations" : "events";
  const tab = (name, title) => h("a", { href: `#/events${name === "operations" ? "?show=operations" : ""}`,
    "aria-current": name === shows ? "page" : null }, title);
  const head = () => [pageHead(t("nav.events"), t("events.what")),
    h("nav", { class: "tabs", "aria-label": t("nav.events") }, tab("events", t("events.log")),
      tab("operations", t("overview.operations")))];
  if (shows === "operations") operations(ctx, head); else log(ctx, head);
}

function log(ctx, head) {
  const chosen = Object.fromEntries(["kind", "service", "instance", "incident"].map((name) => [name,
    ctx.query.get(name) ?? ""]));
  const after = ctx.query.get("after") ?? "";
  live(ctx, async (signal) => {
    const found = await get(query("/events", { ...chosen, newest: true, cursor: after, limit: step }), signal);
    return { found: found.items.reverse(), next: found.nextCursor };
  }, ({ found, next }) => [
    head(),
    h("div", { class: "filters" },
      field(t("events.kind"), choice(kinds, chosen.kind, (name) => word("eventKind", name.replace(".", "")),
        (kind) => ctx.choose({ kind, after: "" }), t("filter.all"))),
      suggested(t("filter.service"), { list: "services", path: "/services", value: chosen.service,
        onchange: (service) => ctx.choose({ service, after: "" }) }),
      field(t("instance.name"), h("input", { type: "search", value: chosen.instance,
        onchange: (event) => ctx.choose({ instance: event.target.value.trim(), after: "" }) })),
      Object.values(chosen).some(Boolean) && h("button", { type: "button",
        onclick: () => ctx.choose({ kind: "", service: "", instance: "", incident: "", after: "" }) }, t("filter.clear"))),
    chosen.incident && h("p", { class: "quiet" }, t("events.ofIncident", { incident: chosen.incident }), " ",
      link(`timelines?incident=${encodeURIComponent(chosen.incident)}`, t("link.steps"))),
    card(t("events.log"), [
      table({ rows: found, key: ({ position }) => position, label: t("events.log"), columns: columns(),
        none: empty(t("events.none"), t("events.noneAdvice")) }),
      windowButtons(ctx, after, next)], { list: "bare" }),
  ], 10_000);
}

const columns = () => [
  { title: t("table.at"), cell: (row) => at(row.at) },
  { title: t("events.summary"), cell: ({ summary, details }) => h("span", {
    title: Object.entries(details).map(([name, value]) => `${name}: ${value}`).join("\n") }, summary) },
  { title: t("events.kind"), cell: ({ kind }) => h("code", {}, kind) },
  { title: t("events.about"), cell: ({ service, instance, consumer }) => [service && link(`services/${service}`,
    service),
    instance && [" ", link(`events?instance=${encodeURIComponent(instance)}`, instance)], consumer && ` ${consumer}`] },
  { title: t("events.actor"), class: "nowrap", cell: ({ actor }) => actor },
  { title: t("events.step"), class: "nowrap", cell: (event) => event.step && link(
    `timelines?mechanism=${event.step.mechanism}&incident=${encodeURIComponent(event.step.incident)}`,
    t("link.step", { number: event.step.number })) },
];

function operations(ctx, head) {
  const after = ctx.query.get("after") ?? "";
  const chosen = Object.fromEntries(["kind", "state"].map((name) => [name, ctx.query.get(name) ?? ""]));
  const path = query("/operations", { ...chosen, cursor: after, limit: step });
  live(ctx, (signal) => get(path, signal), ({ items, nextCursor }) => [
    head(),
    h("div", { class: "filters" },
      field(t("events.kind"), choice(["instance.", "virtual-server.", "physical-server."], chosen.kind,
        (name) => word("eventKind", name.replace(".", "")), (kind) => ctx.choose({ kind, after: "" }),
        t("filter.all"))),
      field(t("services.state"), choice(["running", "succeeded", "failed"], chosen.state,
        (name) => word("state", name), (state) => ctx.choose({ state, after: "" }), t("filter.all")))),
    card(t("overview.operations"), [
      table({ rows: items, key: ({ id }) => id, label: t("overview.operations"),
        none: chosen.kind || chosen.state || after ? empty(t("filter.none"), t("filter.noneAdvice"))
          : empty(t("operations.none"), t("operations.noneAdvice")), columns: [
          { title: t("table.at"), cell: ({ startedAt }) => at(startedAt) },
          { title: t("operations.kind"), cell: ({ kind }) => h("b", {}, word("operation", kind)) },
          { title: t("events.about"), cell: ({ service, instance, host }) => [service && link(`services/${service}`,
            service), " ", instance && link(`events?instance=${encodeURIComponent(instance)}`, instance), host] },
          { title: t("services.state"), cell: ({ state }) => statePill("state", state) },
          { title: t("usage.took"), class: "number", cell: ({ startedAt, endedAt }) => (endedAt
            ? duration((Date.parse(endedAt) - Date.parse(startedAt)) * 1_000) : "–") },
          { title: t("events.actor"), cell: ({ actor }) => actor },
          { title: t("operations.failure"), cell: ({ failure }) => failure ?? "" },
          { title: t("operations.id"), cell: ({ id }) => h("code", {}, id) },
        ] }),
      windowButtons(ctx, after, nextCursor)], { list: "bare" }),
  ], 3_000);
}
