// All cloud services.
import { h, link } from "./dom.js";
import { t } from "./i18n.js";
import { number } from "./format.js";
import { get, query } from "./api.js";
import { meter } from "./chart.js";
import { card, empty, field, live, pageHead, pill, serviceState, sorting, table, windowButtons } from "./parts.js";

// Searched and cut by the platform: the page holds a window, however many services there are.
const windowSize = 100;

export function services(ctx) {
  const sorted = sorting(ctx, "name");
  const sought = ctx.query.get("search") ?? "";
  const after = ctx.query.get("after") ?? "";
  const search = h("input", { type: "search", placeholder: t("services.search"), value: sought,
    onchange: (event) => ctx.choose({ search: event.target.value.trim(), after: "" }) });
  const path = query("/services", { brief: true, search: sought, sort: sorted.asked, cursor: after,
    limit: windowSize });
  live(ctx, (signal) => get(path, signal), (found) => [
    pageHead(t("nav.services"), t("services.what"), field(t("filter.search"), search)),
    card(t("services.all"), [table({
      columns: columns(), rows: found.items, key: ({ id }) => id, sorted, label: t("nav.services"),
      none: sought === "" && after === ""
        ? empty(t("services.none"), t("services.noneAdvice"), "cloudwright apply -f cloud.yaml")
        : empty(t("filter.none"), t("filter.noneAdvice")) }), windowButtons(ctx, after, found.nextCursor)],
    { list: "bare" }),
  ], 2_000);
}

const load = (service, name) => service.load?.[name] ?? 0;

const columns = () => [
  { title: t("services.name"), sort: "name", cell: ({ id }) => link(`services/${id}`, h("b", {}, id)) },
  { title: t("services.state"), sort: "condition",
    cell: (service) => { const [state, text] = serviceState(service); return pill(text, state); } },
  { title: t("services.owner"), sort: "owner",
    cell: ({ owner }) => owner ?? h("span", { class: "quiet" }, t("services.own")) },
  { title: t("services.instances"), sort: "instancesUp",
    cell: (service) => {
      const up = serviceState(service)[2];
      const limit = service.constraints.maximumInstances;
      return h("span", { class: "nowrap" }, `${up} / ${limit}`, meter(up, limit, t("overview.ofInstances", { up,
        limit })));
    } },
  { title: t("services.inFlight"), class: "number", sort: "requestsInFlight",
    cell: (service) => number(load(service, "requestsInFlight")) },
  { title: t("services.consumers"), class: "number", sort: "activeConsumers",
    cell: (service) => number(load(service, "activeConsumers")) },
  { title: t("services.waiting"), class: "number", sort: "consumersWaiting",
    cell: (service) => (load(service, "consumersWaiting") > 0
      ? pill(number(load(service, "consumersWaiting")), "warn") : number(0)) },
  { title: t("services.rejected"), class: "number", sort: "rejected",
    cell: (service) => number(load(service, "rejected")) },
];
