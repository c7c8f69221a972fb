// Usage as both agents of the pay-per-use monitor saw it, side by side, and single requests.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { bytes, duration, number } from "./format.js";
import { get, query } from "./api.js";
import { exportUsage, reportUsage } from "./exchange.js";
import { at, card, choice, empty, field, live, pageHead, pill, statePill, table, windowButtons } from "./parts.js";
import { suggested } from "./suggest.js";

const spans = { "15m": 900, "1h": 3_600, "24h": 86_400, "7d": 604_800 };

export function usage(ctx) {
  const isStaff = ctx.role !== "consumer";
  const chosen = Object.fromEntries(["service", "consumer", "span"].map((name) => [name, ctx.query.get(name) ?? ""]));
  const after = ctx.query.get("after") ?? "";
  const orders = ["both", "consumers", "instances"].map(() => ({ changed: () => ctx.redraw() }));
  const wanted = () => ({ service: chosen.service, consumer: chosen.consumer,
    from: chosen.span in spans ? new Date(Date.now() - spans[chosen.span] * 1_000).toISOString() : "" });
  live(ctx, async (signal) => {
    const filter = wanted();
    const [report, records] = await Promise.all([
      get(query("/usage", filter), signal), get(query("/usage/records", { ...filter, cursor: after, limit: 100 }),
        signal)]);
    return { report, records: records.items, next: records.nextCursor };
  }, ({ report, records, next }) => [
    pageHead(t("nav.usage"), t("usage.what"), ctx.mayOperate && h("button", { type: "button",
      onclick: () => reportUsage(ctx) }, t("report.title")), h("button", { type: "button",
      onclick: () => exportUsage(wanted()) }, t("export.link"))),
    h("div", { class: "filters" },
      isStaff && suggested(t("filter.service"), { list: "services", path: "/services", value: chosen.service,
        onchange: (service) => ctx.choose({ service, after: "" }) }),
      isStaff && suggested(t("filter.consumer"), { list: "consumers", path: "/consumers", value: chosen.consumer,
        onchange: (consumer) => ctx.choose({ consumer, after: "" }) }),
      field(t("usage.span"), choice(Object.keys(spans), chosen.span, (name) => word("span", name),
        (span) => ctx.choose({ span, after: "" }), t("usage.allTime")))),
    sums(report),
    card(t("usage.both"), sideBySide(report, orders[0], isStaff), { list: "bare" }),
    h("div", { class: "grid" },
      card(t("usage.byConsumer"), byConsumer(report, orders[1]), { width: 12, list: "bare" }),
      card(t("usage.byInstance"), byInstance(report, orders[2]), { width: 12, list: "bare" })),
    report.anomalies.length > 0 && card(t("usage.anomalies"), anomalies(report.anomalies), { list: "bare" }),
    card(t("usage.records"), [requests(records), windowButtons(ctx, after, next)], { list: "bare", key: "records" }),
  ], 6_000);
}

function sums({ monitoringAgent, resourceAgent, sideBySide: both }) {
  const sum = (rows, name) => rows.reduce((result, row) => result + Number(row[name]), 0);
  const odd = both.filter(({ finding }) => finding === "served-without-running" || finding === "inferred").length;
  const tile = (label, value, state) => h("div", { class: `tile ${state || ""}` }, h("div", { class: "label" }, label),
    h("div", { class: "value" }, value));
  return h("div", { class: "tiles" },
    tile(t("usage.requests"), number(sum(monitoringAgent, "requests"))),
    tile(t("usage.bytesIn"), bytes(sum(monitoringAgent, "bytesIn"))),
    tile(t("usage.bytesOut"), bytes(sum(monitoringAgent, "bytesOut"))),
    tile(t("usage.busy"), duration(sum(monitoringAgent, "busyMicroseconds"))),
    tile(t("usage.running"), duration(sum(resourceAgent, "runningMicroseconds"))),
    tile(t("usage.differences"), number(odd), odd > 0 && "warn"));
}

const instanceColumns = (isStaff) => [
  { title: t("instance.name"), value: ({ instance }) => instance, cell: ({ instance }) => instance },
  { title: t("filter.service"), value: ({ service }) => service,
    cell: ({ service }) => (isStaff ? link(`services/${service}`, service) : service) },
];

function sideBySide({ sideBySide: rows }, order, isStaff) {
  return table({ order, rows, key: ({ service, instance }) => `${service}/${instance}`, label: t("usage.both"),
    none: empty(t("usage.none"), t("usage.noneAdvice")), columns: [
      ...instanceColumns(isStaff),
      { title: t("usage.resourceAgent"), class: "number", value: ({ runningMicroseconds }) => runningMicroseconds,
        cell: ({ runningMicroseconds }) => t("usage.ran", { time: duration(runningMicroseconds) }) },
      { title: t("usage.monitoringAgent"), class: "number", value: ({ requests: count }) => count,
        cell: ({ requests: count, busyMicroseconds }) => t("usage.served", {
          count: number(count), time: duration(busyMicroseconds) }) },
      { title: t("usage.busyPart"), class: "number", value: busyPart,
        cell: (row) => (busyPart(row) === undefined ? "–" : `${number(busyPart(row) * 100, 1)} %`) },
      { title: t("usage.finding"), value: ({ finding }) => finding,
        cell: ({ finding }) => h("span", { title: word("findingWhat", finding) }, statePill("finding", finding)) },
    ] });
}

const busyPart = ({ busyMicroseconds, runningMicroseconds }) => (
  runningMicroseconds > 0 ? busyMicroseconds / runningMicroseconds : undefined);

function byConsumer({ monitoringAgent }, order) {
  const sums = new Map();
  for (const row of monitoringAgent) {
    const key = `${row.consumer}/${row.service}`;
    const sum = sums.get(key) ?? { key, consumer: row.consumer, service: row.service, requests: 0, rejected: 0,
      bytesIn: 0, bytesOut: 0, busyMicroseconds: 0 };
    for (const name of ["requests", "rejected", "bytesIn", "bytesOut",
      "busyMicroseconds"]) sum[name] += Number(row[name]);
    sums.set(key, sum);
  }
  const amount = (title, name, format) => ({ title, class: "number", value: (row) => row[name],
    cell: (row) => format(row[name]) });
  return table({ order, rows: [...sums.values()], key: ({ key }) => key, label: t("usage.byConsumer"),
    none: empty(t("usage.none"), t("usage.noneAdvice")), columns: [
      { title: t("filter.consumer"), value: ({ consumer }) => consumer, cell: ({ consumer }) => h("b", {}, consumer) },
      { title: t("filter.service"), value: ({ service }) => service, cell: ({ service }) => service },
      amount(t("usage.requests"), "requests", (value) => number(value)),
      amount(t("usage.rejected"), "rejected", (value) => number(value)),
      amount(t("usage.bytesOut"), "bytesOut", bytes), amount(t("usage.busy"), "busyMicroseconds", duration),
    ] });
}

function byInstance({ resourceAgent }, order) {
  return table({ order, rows: resourceAgent, key: ({ service, instance }) => `${service}/${instance}`,
    label: t("usage.byInstance"), none: empty(t("usage.none"), t("usage.noneAdvice")), columns: [
      { title: t("instance.name"), value: ({ instance }) => instance, cell: ({ instance }) => h("b", {}, instance) },
      { title: t("usage.payer"), value: ({ owner }) => owner ?? "", cell: ({ owner }) => owner ?? t("services.own") },
      { title: t("usage.running"), class: "number", value: ({ runningMicroseconds }) => runningMicroseconds,
        cell: ({ runningMicroseconds }) => duration(runningMicroseconds) },
      { title: t("usage.cpu"), class: "number", value: ({ cpuMillicoreSeconds }) => Number(cpuMillicoreSeconds),
        cell: ({ cpuMillicoreSeconds }) => t("usage.coreSeconds", { value: number(Number(cpuMillicoreSeconds) / 1_000,
          1) }) },
      { title: t("usage.source"), value: ({ inferred }) => String(inferred),
        cell: ({ inferred }) => (inferred ? pill(t("usage.inferred"), "warn") : pill(t("usage.seen"), "good")) },
    ] });
}

function anomalies(rows) {
  return table({ rows, key: ({ instance, incarnation, kind, at }) => `${instance}/${incarnation}/${kind}/${at}`,
    label: t("usage.anomalies"), columns: [
      { title: t("instance.name"), cell: ({ instance }) => h("b", {}, instance) },
      { title: t("filter.service"), cell: ({ service }) => service },
      { title: t("usage.anomaly"), cell: ({ kind }) => word("anomaly", kind) },
      { title: t("table.at"), cell: (row) => at(row.at) },
    ] });
}

function requests(rows) {
  return table({ rows, key: ({ requestID }) => requestID, label: t("usage.records"),
    none: empty(t("usage.noRecords"), t("usage.noneAdvice")), columns: [
      { title: t("table.at"), cell: ({ receivedAt }) => at(receivedAt) },
      { title: t("filter.consumer"), cell: ({ consumer }) => consumer },
      { title: t("filter.service"), cell: ({ service }) => service },
      { title: t("instance.name"), cell: ({ instance }) => instance ?? "–" },
      { title: t("usage.outcome"), cell: ({ outcome, status }) => [statePill("outcome", outcome), " ",
        String(status)] },
      { title: t("usage.took"), class: "number",
        cell: ({ receivedAt, completedAt }) => duration((Date.parse(completedAt) - Date.parse(receivedAt)) * 1_000) },
      { title: t("usage.bytesOut"), class: "number", cell: ({ bytesOut }) => bytes(bytesOut) },
      { title: t("usage.requestID"), cell: ({ requestID }) => h("code", { title: requestID }, requestID.slice(-12)) },
    ] });
}
