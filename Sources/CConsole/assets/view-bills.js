// What consumers owe: the present month as it would be now, closed months, and one bill with what it rests on.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { day, duration, money, number } from "./format.js";
import { get, Problem, query } from "./api.js";
import { at, card, empty, field, live, pageHead, pill, table } from "./parts.js";

// A draft rates a whole month: so many are asked for at once.
const step = 10;

const address = (bill, month = bill.month) => [bill.consumer, month].map(encodeURIComponent).join("/");

export const bills = (ctx) => (ctx.parts.length >= 2 ? bill : list)(ctx);

function list(ctx) {
  const isStaff = ctx.role !== "consumer";
  const wanted = (ctx.query.get("consumer") ?? "").trim();
  let shown = step;
  let closedLimit = 20;
  live(ctx, async (signal) => {
    const consumers = isStaff ? (await get("/consumers", signal)).items : [{ id: ctx.consumer }];
    const found = consumers.filter(({ id, displayName }) => `${id} ${displayName ?? ""}`.toLowerCase()
      .includes(wanted.toLowerCase()));
    const exact = consumers.some(({ id }) => id === wanted) ? wanted : "";
    const [drafts, closed] = await Promise.all([
      Promise.all(found.slice(0, shown).map(({ id }) => draft(id, signal))),
      get(query("/bills", { consumer: exact, limit: closedLimit }), signal)]);
    return { drafts, count: found.length, closed: closed.items };
  }, ({ drafts, count, closed }) => [
    pageHead(t("nav.bills"), t("bills.what")),
    isStaff && h("div", { class: "filters" }, field(t("filter.consumer"), h("input", { type: "search", value: wanted,
      onchange: (event) => ctx.choose({ consumer: event.target.value.trim() }) })),
    wanted && h("button", { type: "button", onclick: () => ctx.choose({ consumer: "" }) }, t("filter.clear"))),
    card(t("bills.drafts"), [draftTable(drafts), count > shown && more(() => { shown += step; ctx.refresh(); })],
      { list: "bare", key: "drafts" }),
    card(t("bills.closed"), [closedTable(closed), closed.length >= closedLimit && closedLimit < 1_000
      && more(() => { closedLimit = Math.min(1_000, closedLimit * 2); ctx.refresh(); })],
    { list: "bare", key: "closed" }),
  ], 30_000, { followsEvents: false });
}

const more = (onclick) => h("div", { class: "more" }, h("button", { type: "button", onclick }, t("list.more")));

// A consumer without prices has no bill: that is said in its row, and hides nobody else's.
async function draft(consumer, signal) {
  try {
    return await get(`/bills/${encodeURIComponent(consumer)}/current`, signal);
  } catch (error) {
    if (!(error instanceof Problem) || ![404, 409].includes(error.status)) throw error;
    return { consumer, refusal: error.message };
  }
}

const amount = (title, name) => ({ title, class: "number", cell: (row) => (row.refusal === undefined
  ? h("b", {}, money(row[name], row.currency)) : "–") });

const heldCell = { title: "", class: "number", cell: ({ held, currency }) => (isZero(held ?? "0") ? "–"
  : pill(money(held, currency), "warn")) };

const isZero = (text) => !/[1-9]/.test(text);

function draftTable(rows) {
  return table({ rows, key: ({ consumer }) => consumer, label: t("bills.drafts"),
    none: empty(t("bills.nobody"), t("consumers.noneAdvice")), columns: [
      { title: t("filter.consumer"), cell: (row) => (row.refusal === undefined
        ? link(`bills/${address(row, "current")}`, row.consumerName || row.consumer) : h("b", {}, row.consumer)) },
      { title: t("bills.month"), cell: (row) => row.month ?? "–" },
      { title: t("bills.plan"), cell: (row) => row.pricePlan ?? h("span", { class: "quiet" }, row.refusal) },
      { title: t("bills.lines"), class: "number", cell: ({ lines }) => (lines ? number(lines.length) : "–") },
      { ...heldCell, title: t("bills.held") }, amount(t("bills.total"), "total"),
    ] });
}

function closedTable(rows) {
  return table({ rows, key: ({ id }) => id, label: t("bills.closed"),
    none: empty(t("bills.noneClosed"), t("bills.noneClosedAdvice"), "cloudwright bill close"), columns: [
      { title: t("bills.bill"), cell: (row) => link(`bills/${address(row)}`, row.id) },
      { title: t("filter.consumer"), cell: ({ consumer, consumerName }) => consumerName || consumer },
      { title: t("bills.month"), cell: ({ month }) => month },
      { title: t("bills.closedAt"), cell: ({ closedAt }) => at(closedAt) },
      { ...heldCell, title: t("bills.held") }, amount(t("bills.total"), "total"),
    ] });
}

function bill(ctx) {
  const [consumer, month] = ctx.parts;
  const path = `/bills/${encodeURIComponent(consumer)}/${encodeURIComponent(month)}`;
  live(ctx, async (signal) => {
    const found = await get(path, signal);
    return { found, differences: await get(query("/reconciliation", { consumer, month: found.month }), signal) };
  }, ({ found, differences }) => [
    h("header", { class: "head" }, h("div", {}, h("div", { class: "crumb" }, link("bills", t("nav.bills"))),
      h("h1", { tabindex: "-1" }, `${found.consumerName || found.consumer}, ${found.month}`),
      h("p", {}, found.closedAt ? t("bills.isClosed") : t("bills.isOpen"))),
    exports(found, `/api/v1${path}`)),
    figures(found),
    card(t("bills.lines"), lines(found), { list: "bare", key: "lines" }),
    card(t("bills.doubts"), doubts(found, differences), { list: "bare", key: "doubts" }),
    card(t("bills.check"), check(ctx, found, `/api/v1${path}`), { key: "check" }),
  ], 30_000, { followsEvents: false });
}

// The session's cookie goes with them: they are addresses of the API itself.
function exports(found, path) {
  const file = (href, name, title) => h("a", { class: "button", href, download: name }, title);
  return h("nav", { class: "filters", "aria-label": t("bills.exports") },
    file(`${path}/focus`, `${found.id}.csv`, t("bills.focus")),
    file(path, `${found.id}.json`, "JSON"),
    h("a", { class: "button", href: `${path}/page`, target: "_blank", rel: "noopener" }, t("bills.print")));
}

function figures(found) {
  const tile = (label, value, state) => h("div", { class: `tile ${state || ""}` }, h("div", { class: "label" }, label),
    h("div", { class: "value" }, value));
  return [
    h("div", { class: "tiles" },
      tile(t("bills.total"), money(found.total, found.currency)),
      tile(t("bills.held"), money(found.held, found.currency), !isZero(found.held) && "warn"),
      tile(t("bills.lines"), number(found.lines.length))),
    card(t("bills.about"), h("dl", { class: "facts" },
      fact(t("bills.bill"), h("code", {}, found.id)),
      fact(t("bills.state"), found.closedAt ? [pill(t("bills.closedState"), "good"), " ", at(found.closedAt)]
        : pill(t("bills.openState"), "warn")),
      fact(t("bills.period"), `${day(found.periodStart, found.timeZone)} – ${day(
        new Date(Date.parse(found.periodEnd) - 1), found.timeZone)} (${found.timeZone})`),
      fact(t("bills.plan"), found.pricePlan), fact(t("bills.cutoff"), at(found.cutoff)))),
  ];
}

const fact = (title, value) => [h("dt", {}, title), h("dd", {}, value)];

function lines(found) {
  const numbered = found.lines.map((line, index) => ({ ...line, index }));
  return table({ rows: numbered, key: ({ index }) => index, label: t("bills.lines"),
    none: empty(t("bills.noLines"), t("bills.noLinesAdvice")), columns: [
      { title: t("bills.line"), cell: ({ text, kind, corrects }) => h("span", {}, h("b", {}, text), " ",
        kind !== "usage" && pill(word("billLine", kind), "plain"),
        corrects && ` ${t("bills.corrects", { month: corrects })}`) },
      { title: t("filter.service"), cell: ({ service }) => service ?? "–" },
      { title: t("bills.quantity"), class: "number", cell: ({ pricedQuantity, pricedUnit, quantity }) => h("span",
        { title: quantity }, `${exact(pricedQuantity)} ${pricedUnit}`) },
      { title: t("bills.unitPrice"), class: "number", cell: ({ unitPrice }) => (unitPrice === undefined
        ? t("bills.severalPrices") : money(unitPrice, found.currency)) },
      { title: t("bills.amount"), class: "number", cell: (line) => h("b", { title: line.exactAmount },
        money(line.amount, found.currency)) },
      { title: t("bills.state"), cell: ({ hold, inferred }) => [
        hold ? [pill(t("bills.held"), "warn"), h("div", { class: "quiet small" }, hold)] : pill(t("bills.due"), "good"),
        inferred && [" ", pill(t("usage.inferred"), "warn")]] },
    ] });
}

// Six decimals are enough to read; the whole quantity is the cell's title and in the exports.
const exact = (text) => number(text, 6);

// Why lines are held, and what of the two agents' figures does not fit.
function doubts(found, { holds, instances, records }) {
  const rows = instances.flatMap(({ service, instance, differences }) => differences.map((difference) => ({
    ...difference, what: `${service} / ${instance}` }))).concat(records.map((record) => ({ ...record,
    microseconds: 0 })));
  return [
    holds.length > 0 && h("div", { class: "body" }, holds.map(({ service, reason }) => h("div",
      { class: "notice warn" }, h("b", {}, service), ": ", reason))),
    table({ rows: rows.map((row, index) => ({ ...row, index })), key: ({ index }) => index, label: t("bills.doubts"),
      none: empty(t("bills.noDoubts"), t("bills.noDoubtsAdvice")), columns: [
        { title: t("bills.concerns"), cell: ({ what }) => h("b", {}, what) },
        { title: t("bills.cause"), cell: ({ cause }) => h("span", { title: cause }, word("cause", cause)) },
        { title: t("audit.from"), cell: ({ from }) => at(from) },
        { title: t("audit.until"), cell: ({ until }) => at(until) },
        { title: t("bills.count"), class: "number", cell: ({ count }) => number(count) },
        { title: t("usage.running"), class: "number", cell: ({ microseconds }) => (Number(microseconds) === 0 ? "–"
          : `${microseconds < 0 ? "−" : "+"}${duration(Math.abs(microseconds))}`) },
        { title: t("bills.amount"), class: "number", cell: (row) => (row.amount === undefined ? "–"
          : money(row.amount, row.currency ?? found.currency)) },
      ] }),
  ];
}

// A closed bill is checked without trusting the platform: by its proof, anywhere.
function check(ctx, found, path) {
  if (!found.closedAt) return h("p", { class: "quiet" }, t("bills.checkOpen"));
  return [h("p", {}, t("bills.checkWhat")), h("pre", { tabindex: "0" }, `cloudwright verify ${found.id}.proof.json`),
    h("div", { class: "filters account" },
      h("a", { class: "button", href: `${path}/proof`, download: `${found.id}.proof.json` }, t("bills.proof")),
      ctx.role !== "consumer" && link("audit/integrity", t("integrity.title")))];
}
