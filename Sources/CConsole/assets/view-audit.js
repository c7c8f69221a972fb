// Logins as the audit monitor recorded them: who, from where, with what, and how it ended.
import { h } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { get, query } from "./api.js";
import { at, card, choice, empty, field, live, pageHead, statePill, table } from "./parts.js";

const filters = ["principal", "sourceAddress", "service", "outcome", "from", "until"];
const step = 50;

export function audit(ctx) {
  const isStaff = ctx.role !== "consumer";
  const chosen = Object.fromEntries(filters.map((name) => [name, ctx.query.get(name) ?? ""]));
  const order = { changed: () => ctx.redraw() };
  let limit = step;
  live(ctx, async (signal) => {
    const { outcome, ...others } = times(chosen);
    const wantsRanking = isStaff || chosen.service !== "";
    const [events, failed, services] = await Promise.all([
      get(query("/audit/events", { ...others, outcome, newest: true, limit }), signal),
      wantsRanking ? get(query("/audit/failed-logins", { ...others, limit: 20 }), signal) : { items: [] },
      isStaff ? get("/services", signal) : { items: [] },
    ]);
    return { events: events.items.reverse(), failed: failed.items,
      services: ["administration", ...services.items.map(({ id }) => id)] };
  }, ({ events, failed, services }) => [
    pageHead(t("nav.audit"), t("audit.what")),
    isStaff && auditTabs("logins"),
    form(ctx, chosen, services, isStaff),
    failed.length > 0 && card(t("audit.failed"), ranking(ctx, failed, order), { list: "bare", key: "ranking" }),
    card(t("audit.logins"), [found(events), events.length >= limit && limit < 1_000 && h("div", { class: "more" },
      h("button", { type: "button", onclick: () => { limit = Math.min(1_000, limit + step); ctx.refresh(); } },
        t("list.more")))], { list: "bare", key: "logins" }),
  ], 4_000);
}

export function auditTabs(chosen) {
  const tab = (name, path, title) => h("a", { href: `#/${path}`, "aria-current": name === chosen ? "page" : null },
    title);
  return h("nav", { class: "tabs", "aria-label": t("nav.audit") }, tab("logins", "audit", t("audit.tab")),
    tab("integrity", "audit/integrity", t("integrity.title")));
}

// What a date and time field says is of the reader's own time zone.
function times(chosen) {
  const moment = (text) => (text ? new Date(text).toISOString() : "");
  return { ...chosen, from: moment(chosen.from), until: moment(chosen.until) };
}

function form(ctx, chosen, services, isStaff) {
  const text = (name, label) => field(label, h("input", { type: "search", name, value: chosen[name] }));
  const moment = (name, label) => field(label, h("input", { type: "datetime-local", name, value: chosen[name] }));
  return h("form", { class: "filters", role: "search", "aria-label": t("audit.search"),
    onsubmit: (event) => {
      event.preventDefault();
      const values = Object.fromEntries(new FormData(event.target));
      ctx.choose(values);
    } },
  text("principal", t("audit.principal")), text("sourceAddress", t("audit.source")),
  isStaff && field(t("filter.service"), h("select", { name: "service" }, ["", ...services].map((value) => h("option", {
    value, selected: value === chosen.service }, value === "" ? t("filter.all") : word("serviceName", value))))),
  field(t("audit.outcome"), h("select", { name: "outcome" }, ["", "success", "failure",
    "unknown"].map((value) => h("option", {
    value, selected: value === chosen.outcome }, value === "" ? t("filter.all") : word("state", value))))),
  moment("from", t("audit.from")), moment("until", t("audit.until")),
  h("button", { class: "primary", type: "submit" }, t("audit.find")),
  filters.some((name) => chosen[name]) && h("button", { type: "button",
    onclick: () => ctx.choose(Object.fromEntries(filters.map((name) => [name, ""]))) }, t("filter.clear")));
}

function ranking(ctx, rows, order) {
  return table({ order, rows, key: ({ principal, sourceAddress }) => `${principal}/${sourceAddress}`,
    label: t("audit.failed"), columns: [
      { title: t("audit.principal"), value: ({ principal }) => principal, cell: ({ principal,
        sourceAddress }) => h("button", {
        class: "link", type: "button", onclick: () => ctx.choose({ principal, sourceAddress, outcome: "failure" }) },
      principal || t("audit.nobody")) },
      { title: t("audit.source"), value: ({ sourceAddress }) => sourceAddress,
        cell: ({ sourceAddress }) => h("code", {}, sourceAddress) },
      { title: t("audit.failures"), class: "number", value: ({ failures }) => failures,
        cell: ({ failures }) => h("b", {}, number(failures)) },
      { title: t("audit.distinct"), class: "number", value: ({ distinctCredentials }) => distinctCredentials,
        cell: ({ distinctCredentials }) => number(distinctCredentials) },
      { title: t("audit.first"), value: ({ firstAt }) => firstAt, cell: ({ firstAt }) => at(firstAt) },
      { title: t("audit.last"), value: ({ lastAt }) => lastAt, cell: ({ lastAt }) => at(lastAt) },
    ] });
}

function found(rows) {
  return table({ rows, key: ({ requestID }) => requestID, label: t("audit.logins"),
    none: empty(t("audit.none"), t("audit.noneAdvice")), columns: [
      { title: t("table.at"), cell: ({ receivedAt }) => at(receivedAt) },
      { title: t("audit.outcome"), cell: ({ outcome }) => statePill("state", outcome) },
      { title: t("audit.principal"), cell: ({ principal }) => h("b", {}, principal || t("audit.nobody")) },
      { title: t("filter.service"), cell: ({ service }) => word("serviceName", service) },
      { title: t("audit.source"), cell: ({ sourceAddress, userAgent }) => h("code", { title: userAgent },
        sourceAddress) },
      { title: t("audit.credential"), cell: ({ credentialKind, credentialTag }) => h("span",
        { title: credentialTag ?? "" },
        word("credential", credentialKind)) },
      { title: t("audit.reason"), cell: ({ reason, status }) => `${word("reason", reason)} (${status})` },
      { title: t("audit.request"), cell: ({ method, path }) => h("code", {}, `${method} ${path}`) },
    ] });
}
