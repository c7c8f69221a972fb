// The failover groups: who serves, who stands by, and the newest switchovers.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { get, query } from "./api.js";
import { card, empty, live, pageHead, pill, statePill, when, windowButtons } from "./parts.js";
import { run } from "./view-timelines.js";

// Each group's switchovers are asked for on their own: so many groups are on the page at once.
const step = 20;

export function failover(ctx) {
  const after = ctx.query.get("after") ?? "";
  live(ctx, async (signal) => {
    const groups = await get(query("/failover-groups", { cursor: after, limit: step }), signal);
    const runs = await Promise.all(groups.items.map(({ service, mode }) => get(query("/timelines", {
      mechanism: `failover-${mode}`, service, last: 3 }), signal)));
    return { all: groups.items.map((group, index) => ({ group, runs: runs[index].items.reverse() })),
      next: groups.nextCursor };
  }, ({ all, next }) => [
    pageHead(t("nav.failover"), t("failover.what")),
    all.length === 0 && card(t("nav.failover"), empty(t("failover.none"), t("failover.noneAdvice"),
      "kind: FailoverGroup")),
    all.map(({ group, runs }) => card(group.id, [
      h("p", { class: "quiet" }, t(`failover.${group.mode}`, { standbys: number(group.standbys) })),
      h("div", { class: "members" }, group.instances.filter(({ phase }) => phase !== "removed").map(member)),
      h("h3", {}, t("failover.switchovers")),
      runs.length === 0 ? h("p", { class: "quiet" }, t("failover.noneYet")) : runs.map((found) => run(found, true)),
    ].map((part) => h("div", { class: "part" }, part)), {
      key: group.id, actions: [pill(word("failoverMode", group.mode), "plain"),
        link(`services/${group.service}`, group.service),
        link(`timelines?mechanism=failover-${group.mode}&service=${encodeURIComponent(group.service)}`,
          t("overview.all"))],
    })),
    windowButtons(ctx, after, next),
  ]);
}

function member(instance) {
  return h("div", { class: `member ${instance.role}`, "data-key": instance.id },
    h("b", {}, instance.id),
    h("div", { class: "row" }, pill(word("failoverRole", instance.role), "plain"), statePill("state",
      instance.operational),
      instance.administrative !== "enabled" && statePill("state", instance.administrative)),
    h("div", { class: "quiet small" }, h("code", {}, instance.endpoint ?? "–"), " · ",
      t("failover.starts", { count: number(instance.incarnation) }),
      instance.upSince && [" · ", when(instance.upSince)]));
}
