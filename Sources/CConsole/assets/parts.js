// What several views are made of.
import { h, show } from "./dom.js";
import { t, word } from "./i18n.js";
import { ago, fullTime, number, time } from "./format.js";
import { feed, Problem } from "./api.js";

// Loads and draws, again whenever something happened and every so often, until the view is left. What is dear to load
// does not follow the events.
export function live(ctx, load, draw, every = 3_000, { followsEvents = true } = {}) {
  let isRunning = false;
  let isWanted = false;
  let data;
  const redraw = () => { if (data !== undefined && !ctx.signal.aborted) ctx.show(draw(data)); };
  async function refresh() {
    if (isRunning) { isWanted = true; return; }
    isRunning = true;
    try {
      data = await load(ctx.signal);
      ctx.problem = undefined;
      redraw();
    } catch (error) {
      if (!ctx.signal.aborted) ctx.fail(error, redraw);
    }
    isRunning = false;
    if (isWanted && !ctx.signal.aborted) { isWanted = false; await refresh(); }
  }
  let soon;
  const listener = (event) => {
    if (!event || soon) return;
    soon = setTimeout(() => { soon = undefined; refresh(); }, 120);
  };
  if (followsEvents) feed.listeners.add(listener);
  const timer = setInterval(() => { if (!document.hidden) refresh(); }, every);
  ctx.signal.addEventListener("abort", () => {
    feed.listeners.delete(listener);
    clearInterval(timer);
    clearTimeout(soon);
  });
  ctx.refresh = refresh;
  ctx.redraw = redraw;
  return refresh();
}

export function pageHead(title, description, ...actions) {
  return h("header", { class: "head" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), description && h("p", {}, description)),
    actions.length > 0 && h("div", { class: "filters" }, actions));
}

export function card(title, body, { actions, width, list, key } = {}) {
  return h("section", { class: `card${width ? ` w${width}` : ""}`, "aria-label": title, "data-key": key },
    h("header", {}, h("h2", {}, title), actions),
    list === "bare" ? body : h("div", { class: list ? "body list" : "body" }, body));
}

export function empty(title, advice, command) {
  return h("div", { class: "empty" }, h("b", {}, title), advice && h("span", {}, advice),
    command && h("code", {}, command));
}

export const pill = (text, state = "") => h("span", { class: `pill ${state}` }, text);

const states = {
  up: "good", checking: "warn", down: "bad", running: "good", starting: "warn", requested: "warn", stopping: "warn",
  failed: "bad", enabled: "good", draining: "warn", maintenance: "warn", succeeded: "good", success: "good",
  failure: "bad", unknown: "warn", info: "", warning: "warn", critical: "bad", consistent: "good", unused: "",
  "served-without-running": "bad", inferred: "warn", delivered: "good", pending: "warn", completed: "good",
  rejected: "warn", "aborted-by-consumer": "warn", "aborted-by-instance": "bad",
};

export const statePill = (group, state) => pill(word(group, state), states[state] ?? "");

export const when = (moment) => h("time", { datetime: moment, title: fullTime(moment) }, ago(moment));

const conditions = { up: "good", degraded: "warn", starting: "warn", down: "bad" };

// How all in all a service is, in colour and words, and how many instances are up.
export const serviceState = ({ condition, instancesUp }) => [conditions[condition], t(`service.${condition}`),
  instancesUp];

// More are not drawn at once: the page stays quick, and nobody reads that far without a filter.
export const mostRows = 300;

// How a list that comes in parts is sorted by the platform: the address has it, and a heading changes it.
export function sorting(ctx, usual) {
  const chosen = ctx.query.get("sort") ?? usual;
  return { asked: chosen === usual ? "" : chosen, column: chosen.replace(/^-/, ""),
    isDescending: chosen.startsWith("-"),
    by: (column) => {
      const next = column === chosen ? `-${column}` : column;
      ctx.choose({ sort: next === usual ? "" : next, after: "" });
    } };
}

// A table whose columns can be sorted: title, cell, and `value` where the page has all of the list, or `sort` with what
// the platform calls it where the list comes in parts.
export function table({ columns, rows, key, none, order, sorted: way, label }) {
  const sorted = order?.column === undefined ? rows : [...rows].sort((left, right) => {
    const { value } = columns[order.column];
    const [a, b] = [value(left) ?? "", value(right) ?? ""];
    const result = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return order.isDescending ? -result : result;
  });
  if (rows.length === 0) return none;
  const shown = sorted.slice(0, mostRows);
  // A wide table scrolls on a small screen: also by keyboard, whatever is in it.
  return h("div", { class: "scroll", role: "group", tabindex: "0", "aria-label": label }, h("table", {
    class: "cards", "aria-label": label },
    h("thead", {}, h("tr", {}, columns.map((column, index) => heading(column, index, order,
      way)))),
    h("tbody", {}, shown.map((row) => h("tr", { "data-key": key(row) }, columns.map((column) => h("td", {
      class: column.class, "data-label": column.title || undefined }, h("span", {}, column.cell(row)))))))),
  rest(sorted.length));
}

// Says how much of a list is not drawn.
export function rest(count) {
  return count > mostRows && h("p", { class: "more quiet" }, t("list.rest", {
    shown: number(mostRows), count: number(count) }));
}

// Goes through a list that the platform gives in parts.
export function windowButtons(ctx, after, next, name = "after") {
  return (after || next) && h("div", { class: "more" },
    after && h("button", { type: "button", onclick: () => ctx.choose({ [name]: "" }) }, t("list.first")), " ",
    next && h("button", { type: "button", onclick: () => ctx.choose({ [name]: next }) }, t("list.next")));
}

// Says that more are there than a view asks for.
export const onlyFirst = (next, count) => next && h("p", { class: "more quiet" }, t("list.onlyFirst", {
  count: number(count) }));

// A time in a table.
export const at = (moment) => h("span", { class: "nowrap", title: fullTime(moment) }, time(moment));

function heading(column, index, order, way) {
  if (way && column.sort) {
    const sort = way.column === column.sort ? (way.isDescending ? "descending" : "ascending") : "none";
    return h("th", { scope: "col", class: column.class, "aria-sort": sort }, h("button", { type: "button",
      onclick: () => way.by(column.sort) }, column.title));
  }
  if (!order || !column.value) {
    return h("th", { scope: "col", class: column.class }, column.title || h("span", { class: "sr" },
      t("table.actions")));
  }
  const isChosen = order.column === index;
  const sort = isChosen ? (order.isDescending ? "descending" : "ascending") : "none";
  return h("th", { scope: "col", class: column.class, "aria-sort": sort }, h("button", {
    type: "button",
    onclick: () => {
      order.isDescending = isChosen && !order.isDescending;
      order.column = index;
      order.changed();
    } }, column.title));
}

export function field(label, control) {
  return h("label", { class: "field" }, label, control);
}

export function choice(values, chosen, names, onchange, everything) {
  const all = everything === undefined ? values : ["", ...values];
  return h("select", { onchange: (event) => onchange(event.target.value) }, all.map((value) => h("option", {
    value, selected: value === (chosen ?? "") }, value === "" ? everything : names(value))));
}

// What went wrong, and what to do, as the platform says it.
export function problemNotice(error) {
  const isProblem = error instanceof Problem;
  const text = !isProblem ? t("problem.page", { reason: error.message })
    : error.status === 0 ? t("problem.unreachable") : error.detail;
  return h("div", { class: "notice bad", role: "alert" }, isProblem && error.title && h("b", {}, error.title, ". "),
    text,
    error.faults?.some(({ detail }) => detail !== text)
      && h("ul", {}, error.faults.map(({ detail }) => h("li", {}, detail))));
}

export function toast(content, state = "good") {
  const place = document.querySelector(".toasts");
  const note = h("div", { class: `notice ${state}`, role: state === "bad" ? "alert" : "status" }, content);
  place.append(note);
  setTimeout(() => note.remove(), state === "bad" ? 12_000 : 5_000);
}

// Does something and says how it went.
export async function act(work, done) {
  try {
    const result = await work();
    if (done) toast(typeof done === "function" ? done(result) : done);
    return result;
  } catch (error) {
    toast(problemNotice(error).childNodes.length ? [...problemNotice(error).childNodes] : String(error), "bad");
    return undefined;
  }
}

// Asks in a dialog; `work` is done when it is confirmed, and the dialog stays open while it is refused.
export function ask({ title, body, confirm, isDangerous, work, name }) {
  const problem = h("div", {});
  const typed = name && h("input", { autocomplete: "off", spellcheck: "false", "aria-label": t("ask.name", { name }) });
  const button = h("button", { class: `primary${isDangerous ? " danger" : ""}`, type: "submit", disabled: !!name },
    confirm);
  if (typed) typed.oninput = () => { button.disabled = typed.value !== name; };
  const dialog = h("dialog", { "aria-label": title });
  const form = h("form", {
    method: "dialog",
    onsubmit: async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      try {
        const next = await work(form);
        dialog.close();
        if (next) next();
      } catch (error) {
        show(problem, problemNotice(error));
        button.disabled = false;
      }
    } },
    h("h2", {}, title), body,
    typed && field(t("ask.name", { name }), typed), problem,
    h("footer", {}, h("button", { type: "button", onclick: () => dialog.close() }, t("ask.cancel")), button));
  open(dialog, form);
}

// Shows a secret once, to be copied.
export function showSecret(title, advice, secret) {
  const dialog = h("dialog", { "aria-label": title });
  const input = h("input", { readonly: true, value: secret, "aria-label": title, onfocus: () => input.select() });
  const copy = h("button", {
    type: "button",
    onclick: async () => {
      input.select();
      try { await navigator.clipboard.writeText(secret); } catch { document.execCommand("copy"); }
      copy.textContent = t("secret.copied");
    } }, t("secret.copy"));
  open(dialog, h("form", { method: "dialog" }, h("h2", {}, title), h("p", { class: "quiet" }, advice),
    h("div", { class: "secret" }, input, copy),
    h("footer", {}, h("button", { class: "primary", type: "submit" }, t("secret.done")))));
}

// Says something that is to be read before it goes away.
export function showNote(title, text) {
  const dialog = h("dialog", { "aria-label": title });
  open(dialog, h("form", { method: "dialog" }, h("h2", {}, title), h("p", {}, text),
    h("footer", {}, h("button", { class: "primary", type: "submit" }, t("secret.done")))));
}

function open(dialog, content) {
  dialog.append(content);
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
}
