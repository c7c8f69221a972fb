// What consumers owe: the present month as it would be now, closed months, and one bill with what it rests on.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { day, duration, money, number } from "./format.js";
import { get, Problem, query, send } from "./api.js";
import { act, ask, at, card, empty, field, live, pageHead, pill, table, toast, windowButtons } from "./parts.js";

// A draft rates a whole month: so many are asked for at once.
const step = 10;

const address = (bill, month = bill.month) => [bill.consumer, month].map(encodeURIComponent).join("/");

export const bills = (ctx) => (ctx.parts.length >= 2 ? bill : list)(ctx);

function list(ctx) {
  const isStaff = ctx.role !== "consumer";
  const wanted = (ctx.query.get("consumer") ?? "").trim();
  const after = ctx.query.get("after") ?? "";
  const closedAfter = ctx.query.get("closedAfter") ?? "";
  live(ctx, async (signal) => {
    const consumers = isStaff ? await get(query("/consumers", { search: wanted, cursor: after, limit: step }), signal)
      : { items: [{ id: ctx.consumer }] };
    // Closed bills are those of one consumer where the search names it.
    const exact = consumers.items.some(({ id }) => id === wanted) ? wanted : "";
    const [drafts, closed] = await Promise.all([
      Promise.all(consumers.items.map(({ id }) => draft(id, signal))),
      get(query("/bills", { consumer: exact, cursor: closedAfter, limit: 20 }), signal)]);
    return { drafts, next: consumers.nextCursor, closed: closed.items, closedNext: closed.nextCursor };
  }, ({ drafts, next, closed, closedNext }) => [
    pageHead(t("nav.bills"), t("bills.what")),
    isStaff && h("div", { class: "filters" }, field(t("filter.consumer"), h("input", { type: "search", value: wanted,
      onchange: (event) => ctx.choose({ consumer: event.target.value.trim(), after: "", closedAfter: "" }) })),
    wanted && h("button", { type: "button", onclick: () => ctx.choose({ consumer: "", after: "", closedAfter: "" }) },
      t("filter.clear"))),
    card(t("bills.drafts"), [draftTable(drafts), windowButtons(ctx, after, next)], { list: "bare", key: "drafts" }),
    card(t("bills.closed"), [closedTable(closed), windowButtons(ctx, closedAfter, closedNext, "closedAfter")],
      { list: "bare", key: "closed" }),
  ], 30_000, { followsEvents: false });
}

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
  const verification = { result: undefined, isBusy: false };
  live(ctx, async (signal) => {
    const found = await get(path, signal);
    return { found, differences: await get(query("/reconciliation", { consumer, month: found.month }), signal) };
  }, ({ found, differences }) => [
    h("header", { class: "head" }, h("div", {}, h("div", { class: "crumb" }, link("bills", t("nav.bills"))),
      h("h1", { tabindex: "-1" }, `${found.consumerName || found.consumer}, ${found.month}`),
      h("p", {}, found.closedAt ? t("bills.isClosed") : t("bills.isOpen"))),
    h("div", { class: "filters" }, exports(found, `/api/v1${path}`), ctx.mayOperate && actions(ctx, found))),
    figures(found),
    card(t("bills.lines"), lines(found), { list: "bare", key: "lines" }),
    card(t("bills.doubts"), doubts(found, differences), { list: "bare", key: "doubts" }),
    card(t("bills.check"), check(ctx, found, path, verification), { list: "bare", key: "check" }),
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

// What can be done about a bill: a month that is over is closed, and a consumer is given something back.
function actions(ctx, found) {
  const isOver = Date.parse(found.periodEnd) <= Date.now();
  return [!found.closedAt && isOver && h("button", { class: "danger", type: "button",
    onclick: () => close(ctx, found) }, t("bills.close")),
  h("button", { type: "button", onclick: () => credit(ctx, found) }, t("bills.credit"))];
}

function close(ctx, found) {
  const held = h("input", { type: "checkbox" });
  ask({ title: t("bills.closeTitle", { month: found.month }), confirm: t("bills.close"), isDangerous: true,
    name: found.id,
    body: [h("p", {}, t("bills.closeWhat")), !isZero(found.held) && h("label", { class: "check" }, held, " ",
      t("bills.includeHeld", { amount: money(found.held, found.currency) }))],
    work: async () => {
      await send("POST", query(`/bills/${address(found)}/close`, { includeHeld: held.checked || undefined }));
      ctx.refresh();
    } });
}

function credit(ctx, { consumer, currency }) {
  const amount = h("input", { required: true, inputmode: "decimal", pattern: "[0-9]+([.][0-9]+)?", autocomplete: "off" });
  const reason = h("input", { required: true, maxlength: 500 });
  // Made once for the dialog: sent again after a failure, it is the same credit.
  const id = `console-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  ask({ title: t("bills.creditTitle", { consumer }), confirm: t("bills.credit"),
    body: [h("p", { class: "quiet" }, t("bills.creditWhat")), field(t("bills.creditAmount", { currency }), amount),
      field(t("bills.creditReason"), reason)],
    work: async () => {
      await send("POST", `/consumers/${encodeURIComponent(consumer)}/credits`, { id, amount: amount.value.trim(),
        reason: reason.value.trim() });
      toast(t("bills.credited", { amount: money(amount.value.trim(), currency), consumer }));
      ctx.refresh();
    } });
}

// A closed bill is checked here by the platform, and without trusting it by its proof, anywhere.
function check(ctx, found, path, verification) {
  if (!found.closedAt) return h("p", { class: "body quiet" }, t("bills.checkOpen"));
  const run = async () => {
    verification.isBusy = true;
    ctx.redraw();
    verification.result = await act(() => get(`${path}/verification`, ctx.signal));
    verification.isBusy = false;
    ctx.redraw();
  };
  return [
    h("div", { class: "body" }, h("p", {}, t("bills.verifyWhat")), h("div", { class: "filters account" },
      h("button", { class: "primary", type: "button", disabled: verification.isBusy, onclick: run },
        t(verification.isBusy ? "bills.verifying" : "bills.verify")),
      ctx.role !== "consumer" && link("audit/integrity", t("integrity.title")))),
    verification.result && verdict(verification.result),
    h("div", { class: "body" }, h("p", {}, t("bills.checkWhat")),
      h("pre", { tabindex: "0" }, `cloudwright verify ${found.id}.proof.json`),
      h("div", { class: "filters account" }, h("a", { class: "button", href: `/api/v1${path}/proof`,
        download: `${found.id}.proof.json` }, t("bills.proof")))),
  ];
}

const findings = { proven: "good", unproven: "warn", forged: "bad" };

function verdict({ checks, checkedAt }) {
  const worst = ["forged", "unproven", "proven"].find((state) => checks.some((found) => found.state === state));
  return [
    h("div", { class: "body" }, h("div", { class: `notice ${findings[worst]}`, role: "status" },
      h("b", {}, t(`bills.verdict.${worst}`)), " ", at(checkedAt))),
    table({ rows: checks.map((found, index) => ({ ...found, index })), key: ({ index }) => index,
      label: t("bills.checks"), columns: [
        { title: t("bills.checked"), cell: ({ kind, subject }) => [h("b", {}, word("billCheck", kind)),
          h("div", { class: "quiet small" }, subject)] },
        { title: t("bills.finding"), cell: ({ state }) => pill(word("billCheckState", state), findings[state]) },
        { title: t("bills.detail"), cell: ({ detail }) => h("span", { class: "breaks" }, detail) },
      ] }),
  ];
}
