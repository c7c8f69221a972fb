// Logins as the audit monitor recorded them: who, from where, with what, and how it ended.
import { h } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { get, query, send } from "./api.js";
import { exportLogins, moment } from "./exchange.js";
import { ask, at, card, empty, field, live, pageHead, sorting, statePill, table, toast, windowButtons } from "./parts.js";
import { suggested } from "./suggest.js";

const filters = ["principal", "sourceAddress", "service", "outcome", "from", "until"];
const step = 50;

export function audit(ctx) {
  const isStaff = ctx.role !== "consumer";
  const chosen = Object.fromEntries(filters.map((name) => [name, ctx.query.get(name) ?? ""]));
  const sorted = sorting(ctx, "rank");
  const after = ctx.query.get("after") ?? "";
  live(ctx, async (signal) => {
    const { outcome, ...others } = times(chosen);
    const wantsRanking = isStaff || chosen.service !== "";
    const [events, failed] = await Promise.all([
      get(query("/audit/events", { ...others, outcome, newest: true, cursor: after, limit: step }), signal),
      wantsRanking ? get(query("/audit/failed-logins", { ...others, sort: sorted.asked, limit: 20 }),
        signal) : { items: [] },
    ]);
    return { events: events.items.reverse(), next: events.nextCursor, failed: failed.items };
  }, ({ events, next, failed }) => [
    pageHead(t("nav.audit"), t("audit.what"), h("button", { type: "button",
      onclick: () => exportLogins(times(chosen)) }, t("export.link"))),
    isStaff && auditTabs("logins"),
    form(ctx, chosen, isStaff),
    failed.length > 0 && card(t("audit.failed"), ranking(ctx, failed, sorted), { list: "bare", key: "ranking" }),
    card(t("audit.logins"), [found(events), windowButtons(ctx, after, next)], { list: "bare", key: "logins",
      actions: ctx.mayAdminister && chosen.principal && h("button", { class: "small danger", type: "button",
        onclick: () => erase(ctx, chosen.principal) }, t("audit.erase")) }),
  ], 4_000);
}

export function auditTabs(chosen) {
  const tab = (name, path, title) => h("a", { href: `#/${path}`, "aria-current": name === chosen ? "page" : null },
    title);
  return h("nav", { class: "tabs", "aria-label": t("nav.audit") }, tab("logins", "audit", t("audit.tab")),
    tab("integrity", "audit/integrity", t("integrity.title")));
}

const times = (chosen) => ({ ...chosen, from: moment(chosen.from), until: moment(chosen.until) });

function form(ctx, chosen, isStaff) {
  const text = (name, label) => field(label, h("input", { type: "search", name, value: chosen[name] }));
  const timeOf = (name, label) => field(label, h("input", { type: "datetime-local", name, value: chosen[name] }));
  return h("form", { class: "filters", role: "search", "aria-label": t("audit.search"),
    onsubmit: (event) => {
      event.preventDefault();
      const values = Object.fromEntries(new FormData(event.target));
      ctx.choose({ ...values, after: "" });
    } },
  text("principal", t("audit.principal")), text("sourceAddress", t("audit.source")),
  isStaff && suggested(t("filter.service"), { list: "services", path: "/services", name: "service",
    value: chosen.service, more: ["administration"] }),
  field(t("audit.outcome"), h("select", { name: "outcome" }, ["", "success", "failure",
    "unknown"].map((value) => h("option", {
    value, selected: value === chosen.outcome }, value === "" ? t("filter.all") : word("state", value))))),
  timeOf("from", t("audit.from")), timeOf("until", t("audit.until")),
  h("button", { class: "primary", type: "submit" }, t("audit.find")),
  filters.some((name) => chosen[name]) && h("button", { type: "button",
    onclick: () => ctx.choose({ ...Object.fromEntries(filters.map((name) => [name, ""])), after: "" }) }, t("filter.clear")));
}

// What the law may ask for: a person's name and address leave the logins, and the seals stay whole.
function erase(ctx, principal) {
  ask({ title: t("audit.eraseTitle", { principal }), confirm: t("audit.erase"), isDangerous: true, name: principal,
    body: h("p", {}, t("audit.eraseWhat")),
    work: async () => {
      const { erased, kept } = await send("POST", "/audit/erasures", { principal });
      toast(t("audit.erased", { erased: number(erased), kept: number(kept) }));
      ctx.refresh();
    } });
}

function ranking(ctx, rows, sorted) {
  return table({ sorted, rows, key: ({ principal, sourceAddress }) => `${principal}/${sourceAddress}`,
    label: t("audit.failed"), columns: [
      { title: t("audit.principal"), sort: "principal", cell: ({ principal,
        sourceAddress }) => h("button", {
        class: "link", type: "button", onclick: () => ctx.choose({ principal, sourceAddress, outcome: "failure", after: "" }) },
      principal || t("audit.nobody")) },
      { title: t("audit.source"), sort: "sourceAddress",
        cell: ({ sourceAddress }) => h("code", {}, sourceAddress) },
      { title: t("audit.failures"), class: "number", sort: "failures",
        cell: ({ failures }) => h("b", {}, number(failures)) },
      { title: t("audit.distinct"), class: "number", sort: "distinctCredentials",
        cell: ({ distinctCredentials }) => number(distinctCredentials) },
      { title: t("audit.first"), sort: "firstAt", cell: ({ firstAt }) => at(firstAt) },
      { title: t("audit.last"), sort: "lastAt", cell: ({ lastAt }) => at(lastAt) },
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
