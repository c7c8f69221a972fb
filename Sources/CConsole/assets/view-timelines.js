// The runs of the mechanisms, step by step, with the numbers that the descriptions of the mechanisms use.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { duration, time } from "./format.js";
import { get, query } from "./api.js";
import { card, choice, empty, field, live, pageHead } from "./parts.js";
import { suggested } from "./suggest.js";

// The steps that a whole run has.
const whole = {
  "automated-scaling-listener": ["1", "2", "3", "4", "5"],
  "pay-per-use-resource-agent": ["1", "2", "3", "4", "5", "6"],
  "pay-per-use-monitoring-agent": ["1", "2", "3a", "3b", "4"],
  "audit-monitor": ["1", "2", "3", "4", "5", "6"],
  "failover-active-active": ["1", "2", "3", "4", "5"],
  "failover-active-passive": ["1", "2", "3", "4"],
  "live-migration": ["1", "2", "3", "4", "5"],
};

export function timelines(ctx) {
  const chosen = Object.fromEntries(["mechanism", "service", "incident", "last"].map((name) => [name,
    ctx.query.get(name)]));
  const wanted = { ...chosen, mechanism: chosen.mechanism in whole ? chosen.mechanism : null };
  live(ctx, async (signal) => {
    return { runs: (await get(query("/timelines", wanted), signal)).items };
  }, ({ runs }) => [
    pageHead(t("nav.timelines"), t("timelines.what")),
    h("div", { class: "filters" },
      field(t("timelines.mechanism"), choice(Object.keys(whole), chosen.mechanism, (name) => word("mechanism", name),
        (mechanism) => ctx.choose({ mechanism, incident: "" }), t("filter.all"))),
      suggested(t("filter.service"), { list: "services", path: "/services", value: chosen.service ?? "",
        onchange: (service) => ctx.choose({ service, incident: "" }) }),
      field(t("timelines.last"), choice(["5", "20", "50"], chosen.last ?? "5", (name) => name,
        (last) => ctx.choose({ last }))),
      chosen.incident && h("button", { type: "button", onclick: () => ctx.choose({ incident: "" }) },
        t("timelines.allRuns"))),
    runs.length === 0 && card(t("nav.timelines"), empty(t("timelines.none"), t("timelines.noneAdvice"))),
    runs.sort((left, right) => (right.startedAt ?? "").localeCompare(left.startedAt ?? "")).map((found) => run(found)),
  ]);
}

export function run(found, isBrief) {
  const { mechanism, incident, service, instance, consumer, startedAt } = found;
  const steps = whole[mechanism] ?? [];
  const seen = new Set(found.steps.map(({ number }) => number));
  const missing = steps.filter((number) => !seen.has(number)).map((number) => ({ number, isMissing: true }));
  const all = [...found.steps, ...missing];
  const body = h("ol", { class: "steps" }, all.map((step) => item(mechanism, step)));
  const title = isBrief ? time(startedAt) : `${word("mechanism", mechanism)} · ${time(startedAt)}`;
  return card(title, body, { key: `${mechanism}/${incident}`, actions: h("span", { class: "quiet small" },
    [service && !isBrief && link(`services/${service}`, service), instance, consumer, seen.size < steps.length
      && t("timelines.open"),
      link(`events?incident=${encodeURIComponent(incident)}`, t("link.events"))]
      .filter(Boolean).flatMap((part, index) => (index ? [" · ", part] : [part]))) });
}

function item(mechanism, { number, at, summary, sinceStartMicroseconds, isMissing }) {
  const meaning = word(`step.${mechanism}`, number);
  return h("li", { class: isMissing ? "missing" : null },
    h("span", { class: "circle", "aria-label": t("timelines.step", { number }) }, number),
    h("span", { class: "since", title: at ?? "" }, isMissing ? t("timelines.notYet")
      : at ? `+${duration(sinceStartMicroseconds ?? 0)}` : t("timelines.unseen")),
    h("span", { class: "what" }, isMissing ? meaning : [summary, meaning !== number && h("small", {}, meaning)]));
}
