// Who uses the cloud, and their API keys.
import { h, link } from "./dom.js";
import { t } from "./i18n.js";
import { number, time } from "./format.js";
import { get, query, send } from "./api.js";
import { ask, card, choice, empty, field, live, pageHead, pill, showSecret, sorting, table, windowButtons } from "./parts.js";

// Searched, sorted and cut by the platform.
const windowSize = 50;

export function consumers(ctx) {
  const sought = ctx.query.get("search") ?? "";
  const after = ctx.query.get("after") ?? "";
  const sorted = sorting(ctx, "name");
  const search = h("input", { type: "search", value: sought,
    onchange: (event) => ctx.choose({ search: event.target.value.trim(), after: "" }) });
  const order = choice(["name", "displayName", "-credentials"], ctx.query.get("sort") ?? "name",
    (name) => t(`consumers.by.${name.replace("-", "")}`), (sort) => ctx.choose({ sort: sort === "name" ? "" : sort,
      after: "" }));
  const path = query("/consumers", { search: sought, sort: sorted.asked, cursor: after, limit: windowSize });
  live(ctx, (signal) => get(path, signal), ({ items, nextCursor }) => [
    pageHead(t("nav.consumers"), t("consumers.what"), field(t("filter.search"), search), field(t("list.order"), order)),
    items.length === 0 && card(t("nav.consumers"), sought === "" && after === ""
      ? empty(t("consumers.none"), t("consumers.noneAdvice"), "kind: CloudConsumer")
      : empty(t("filter.none"), t("filter.noneAdvice"))),
    items.map((consumer) => one(ctx, consumer)),
    windowButtons(ctx, after, nextCursor),
  ], 10_000);
}

function one(ctx, consumer) {
  const { id, displayName, contacts, entitlements, credentials } = consumer;
  return card(displayName === id ? id : `${displayName} (${id})`, [
    h("div", { class: "body" }, h("dl", { class: "facts" },
      h("dt", {}, t("consumers.services")), h("dd", {}, entitlements
        ? entitlements.length ? entitlements.flatMap((service, index) => [index ? ", " : "",
          link(`services/${service}`, service)])
          : t("consumers.noServices") : t("consumers.allServices")),
      h("dt", {}, t("consumers.contacts")), h("dd", {}, contacts.length ? contacts.join(", ")
        : t("consumers.noContacts")),
      h("dt", {}, t("nav.usage")), h("dd", {}, link(`usage?consumer=${encodeURIComponent(id)}`,
        t("consumers.usage"))))),
    table({ rows: credentials, key: (credential) => credential.id, label: t("consumers.keys", { consumer: id }),
      none: h("p", { class: "body quiet" }, t("consumers.noKeys")), columns: columns(ctx, id) }),
  ], { key: id, list: "bare", actions: [h("span", { class: "quiet small" }, t("consumers.keyCount", {
    count: number(credentials.filter(({ revoked }) => !revoked).length) })),
  ctx.mayAdminister && h("button", { class: "small", type: "button", "aria-label": `${t("consumers.create")}: ${id}`,
    onclick: () => create(ctx, id) }, t("consumers.create"))] });
}

const isOver = ({ expiresAt }) => expiresAt && Date.parse(expiresAt) <= Date.now();

function columns(ctx, consumer) {
  return [
    { title: t("consumers.credential"), cell: ({ id }) => id },
    { title: t("consumers.key"), cell: ({ prefix }) => h("code", {}, `${prefix}…`) },
    { title: t("services.state"), cell: (credential) => (credential.revoked ? pill(t("consumers.revoked"), "bad")
      : isOver(credential) ? pill(t("consumers.expired"), "warn") : pill(t("consumers.valid"), "good")) },
    { title: t("consumers.expires"), cell: ({ expiresAt }) => (expiresAt ? time(expiresAt) : t("consumers.never")) },
    ctx.mayAdminister && { title: "", cell: (credential) => h("div", { class: "actions" }, !credential.revoked
      && h("button", {
      class: "small danger", type: "button", "aria-label": `${t("consumers.revoke")} ${credential.id}`,
      onclick: () => revoke(ctx, consumer, credential.id) }, t("consumers.revoke"))) },
  ].filter(Boolean);
}

function create(ctx, consumer) {
  const expiry = h("input", { type: "date", min: new Date(Date.now() + 86_400_000).toISOString().slice(0, 10) });
  ask({ title: t("consumers.createTitle", { consumer }), confirm: t("consumers.create"),
    body: [h("p", { class: "quiet" }, t("consumers.createWhat")), field(t("consumers.expiry"), expiry)],
    work: async () => {
      const made = await send("POST", `/consumers/${encodeURIComponent(consumer)}/credentials`,
        expiry.value ? { expiresAt: new Date(expiry.value).toISOString() } : {});
      ctx.refresh();
      return () => showSecret(t("consumers.made", { consumer }), t("secret.once"), made.key ?? "");
    } });
}

function revoke(ctx, consumer, id) {
  ask({ title: t("consumers.revokeTitle", { id }), body: h("p", {}, t("consumers.revokeWhat", { consumer })),
    confirm: t("consumers.revoke"), isDangerous: true, name: id,
    work: async () => {
      await send("DELETE", `/consumers/${encodeURIComponent(consumer)}/credentials/${encodeURIComponent(id)}`);
      ctx.refresh();
    } });
}
