// All cloud services.
import { h, link } from "./dom.js";
import { t } from "./i18n.js";
import { number } from "./format.js";
import { get } from "./api.js";
import { meter } from "./chart.js";
import { card, empty, field, live, pageHead, pill, serviceState, table } from "./parts.js";

export function services(ctx) {
  const order = { column: 0, changed: () => ctx.redraw() };
  let sought = "";
  const search = h("input", { type: "search", placeholder: t("services.search"),
    oninput: (event) => { sought = event.target.value.toLowerCase(); ctx.redraw(); } });
  live(ctx, (signal) => get("/services", signal), ({ items }) => {
    const found = items.filter(({ id, owner }) => `${id} ${owner ?? ""}`.toLowerCase().includes(sought));
    return [
      pageHead(t("nav.services"), t("services.what"), field(t("filter.search"), search)),
      card(t("services.all", { count: number(items.length) }), table({
        columns: columns(), rows: found, key: ({ id }) => id, order, label: t("nav.services"),
        none: items.length === 0
          ? empty(t("services.none"), t("services.noneAdvice"), "cloudwright apply -f cloud.yaml")
          : empty(t("filter.none"), t("filter.noneAdvice")) }), { list: "bare" }),
    ];
  }, 2_000);
}

const load = (service, name) => service.load?.[name] ?? 0;

const columns = () => [
  { title: t("services.name"), value: ({ id }) => id, cell: ({ id }) => link(`services/${id}`, h("b", {}, id)) },
  { title: t("services.state"), value: (service) => serviceState(service)[0],
    cell: (service) => { const [state, text] = serviceState(service); return pill(text, state); } },
  { title: t("services.owner"), value: ({ owner }) => owner ?? "",
    cell: ({ owner }) => owner ?? h("span", { class: "quiet" }, t("services.own")) },
  { title: t("services.instances"), value: (service) => serviceState(service)[2],
    cell: (service) => {
      const up = serviceState(service)[2];
      const limit = service.constraints.maximumInstances;
      return h("span", { class: "nowrap" }, `${up} / ${limit}`, meter(up, limit, t("overview.ofInstances", { up,
        limit })));
    } },
  { title: t("services.inFlight"), class: "number", value: (service) => load(service, "requestsInFlight"),
    cell: (service) => number(load(service, "requestsInFlight")) },
  { title: t("services.consumers"), class: "number", value: (service) => load(service, "activeConsumers"),
    cell: (service) => number(load(service, "activeConsumers")) },
  { title: t("services.waiting"), class: "number", value: (service) => load(service, "consumersWaiting"),
    cell: (service) => (load(service, "consumersWaiting") > 0
      ? pill(number(load(service, "consumersWaiting")), "warn") : number(0)) },
  { title: t("services.rejected"), class: "number", value: (service) => Number(load(service, "rejected")),
    cell: (service) => number(load(service, "rejected")) },
];
