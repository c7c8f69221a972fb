// What administrators were told, and what they can do about it at once.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { get, Problem, query, setConstraint } from "./api.js";
import { act, card, choice, empty, field, live, onlyFirst, pageHead, pill, statePill, when,
  windowButtons } from "./parts.js";
import { limitFields } from "./view-service.js";

const step = 50;
// Limits that are reached, and services that have consumers waiting, on the page at once.
const mostWaiting = 20;

export function notifications(ctx) {
  const after = ctx.query.get("after") ?? "";
  const severity = ctx.query.get("severity") ?? "";
  const isStaff = ctx.role !== "consumer";
  const gone = new Set();
  const nothing = { items: [] };
  live(ctx, async (signal) => {
    const [page, waitedFor, incidents] = await Promise.all([
      get(query("/notifications", { severity, cursor: after, limit: step }), signal),
      isStaff ? get(query("/services", { brief: true, sort: "-consumersWaiting", limit: mostWaiting }), signal) : nothing,
      isStaff ? get(query("/incidents", { limit: mostWaiting }), signal) : nothing,
    ]);
    const named = isStaff ? [...incidents.items.map(({ service }) => service),
      ...page.items.map(({ offer }) => offer?.service)] : [];
    return { page, incidents: incidents.items, more: incidents.nextCursor,
      services: await withNamed(waitedFor.items, named, gone, signal) };
  }, ({ page, services, incidents, more }) => [
    pageHead(t("nav.notifications"), t("notifications.what"), field(t("notifications.severity"), choice(
      ["info", "warning", "critical"], severity, (name) => word("severity", name),
      (chosen) => ctx.choose({ severity: chosen, after: "" }), t("filter.all")))),
    isStaff && card(t("notifications.waiting"), [waiting(ctx, services, incidents), onlyFirst(more, mostWaiting)],
      { list: "bare" }),
    card(t("notifications.inbox"), h("div", { class: "inbox body" },
      page.items.length === 0
        ? severity || after ? empty(t("filter.none"), t("filter.noneAdvice"))
          : empty(t("notifications.none"), t("notifications.noneAdvice"))
        : page.items.map((note) => entry(ctx, note, services)),
      windowButtons(ctx, after, page.nextCursor)), { list: "bare" }),
  ], 3_000);
}

// The services that are known, and those that notifications and incidents of this page name; `gone`: not there any more.
async function withNamed(known, names, gone, signal) {
  const isKnown = (id) => gone.has(id) || known.some((service) => service.id === id);
  const wanted = [...new Set(names)].filter((id) => id && !isKnown(id));
  const found = await Promise.all(wanted.map(async (id) => {
    try { return await get(`/services/${encodeURIComponent(id)}?brief=true`, signal); } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
      gone.add(id);
      return undefined;
    }
  }));
  return [...known, ...found.filter(Boolean)];
}

// Who waits or was refused now, service by service.
function waiting(ctx, services, incidents) {
  const open = incidents.filter(({ constraint }) => constraint);
  const waitingOnly = services.filter(({ id, load }) => load?.consumersWaiting > 0
    && !open.some(({ service }) => service === id));
  if (open.length === 0 && waitingOnly.length === 0) {
    return empty(t("notifications.nobodyWaits"), t("notifications.nobodyWaitsAdvice"));
  }
  const rows = [...open.map((incident) => ({ ...incident })),
    ...waitingOnly.map(({ id }) => ({ service: id, consumers: [], constraint: "maximum-instances" }))];
  return h("ul", { class: "feedlist list body" }, rows.map((row) => {
    const service = services.find(({ id }) => id === row.service);
    const value = present(service, row.constraint);
    return h("li", { "data-key": row.id ?? row.service },
      h("span", { class: "what" }, link(`services/${row.service}`, h("b", {}, row.service)), " ",
        word("constraint", row.constraint), value !== undefined && ` (${number(value)})`,
        h("div", { class: "quiet small" },
          t("notifications.waitingNow", { count: number(service?.load?.consumersWaiting ?? 0) }),
          row.consumers.length > 0 && ` · ${t("overview.refused", { consumers: row.consumers.join(", ") })}`)),
      ctx.mayOperate && value !== undefined && raiseButton(ctx, row.service, row.constraint, value + 1, false));
  }));
}

function present(service, constraint) {
  const name = limitFields.find(([kind]) => kind === constraint)?.[1];
  return service?.constraints[name];
}

function raiseButton(ctx, service, constraint, value, isPrimary) {
  return h("button", { class: isPrimary ? "primary" : "small", type: "button",
    "aria-label": `${t("limit.raiseTo", { value: number(value) })}: ${service}`,
    onclick: async (event) => {
      event.currentTarget.disabled = true;
      await act(() => setConstraint(service, constraint, value),
        t("limit.changed", { service, constraint: word("constraint", constraint), value: number(value) }));
      ctx.refresh();
    } }, t("limit.raiseTo", { value: number(value) }));
}

function entry(ctx, note, services) {
  const offer = note.offer;
  const value = offer && present(services.find(({ id }) => id === offer.service), offer.constraint);
  const isOpen = offer && value !== undefined && value < offer.to;
  const deliveries = Object.entries(note.deliveries);
  return h("article", { class: `card note ${note.severity}`, "data-key": note.id },
    h("h3", {}, statePill("severity", note.severity), note.title),
    h("div", { class: "act" },
      isOpen && ctx.mayOperate && raiseButton(ctx, offer.service, offer.constraint, offer.to, true),
      offer && value !== undefined && !isOpen && pill(t("notifications.done", { value: number(value) }), "good")),
    h("p", { class: "quiet small" }, when(note.at), " · ", word("notification", note.kind),
      note.service && [" · ", ctx.role === "consumer" ? note.service : link(`services/${note.service}`, note.service)],
      note.consumer && ` · ${t("notifications.for", { consumer: note.consumer })}`),
    h("details", {}, h("summary", {}, t("notifications.whole")), h("pre", {}, note.body),
      deliveries.length > 0 && h("ul", { class: "feedlist" }, deliveries.map(([channel, state]) => h("li", {},
        h("span", { class: "what" }, channel), pill(word("state", state), state === "delivered" ? "good"
          : state === "pending" ? "warn" : "bad"))))));
}
