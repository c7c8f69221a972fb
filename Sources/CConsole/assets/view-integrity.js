// Whether the append-only logs are what was sealed. All of them are read anew, which takes long where they are: so it
// is done when it is asked for, and what was found stays until the next time.
import { h } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { get } from "./api.js";
import { at, card, empty, pageHead, pill, problemNotice, table } from "./parts.js";
import { auditTabs } from "./view-audit.js";

let last;

export async function integrity(ctx) {
  // What somebody else saw is not shown to who logs in after them.
  if (last?.reader !== ctx.name) last = undefined;
  const state = { isRunning: false };
  const draw = () => ctx.show(
    pageHead(t("integrity.title"), t("integrity.what"), h("button", { class: "primary", type: "button",
      "aria-disabled": state.isRunning ? "true" : null, onclick: () => check(ctx, state, draw) },
    t(state.isRunning ? "integrity.running" : "integrity.check"))),
    auditTabs("integrity"),
    state.problem && problemNotice(state.problem),
    h("div", { role: "status" }, verdict(state)),
    card(t("integrity.logs"), logs(), { list: "bare", key: "integrity" }),
    state.key && card(t("integrity.key"), [h("p", { class: "quiet" }, t("integrity.keyWhat")),
      h("pre", { tabindex: "0", "aria-label": t("integrity.key") }, state.key)]));
  draw();
  try {
    state.key = (await get("/integrity/key", ctx.signal)).key;
    draw();
  } catch (error) {
    ctx.fail(error, draw);
  }
}

async function check(ctx, state, draw) {
  if (state.isRunning) return;
  Object.assign(state, { isRunning: true, problem: undefined });
  draw();
  try {
    const { items } = await get("/integrity", ctx.signal);
    last = { items, at: new Date().toISOString(), reader: ctx.name };
  } catch (error) {
    if (error.name !== "AbortError") state.problem = error;
  }
  state.isRunning = false;
  draw();
}

function verdict(state) {
  if (state.isRunning) return h("p", { class: "quiet" }, t("integrity.runningWhat"));
  if (!last) return undefined;
  const faulty = last.items.filter(({ fault }) => fault !== undefined).length;
  return h("div", { class: `notice ${faulty > 0 ? "bad" : "good"}` }, faulty > 0
    ? t("integrity.altered", { count: number(faulty) }) : t("integrity.genuine"), " ", at(last.at));
}

function logs() {
  return table({ rows: last?.items ?? [], key: ({ log }) => log, label: t("integrity.logs"),
    none: empty(t("integrity.none"), t("integrity.noneAdvice"), "cloudwright audit verify"), columns: [
      { title: t("integrity.log"), cell: ({ log }) => h("b", { title: log }, word("log", log)) },
      { title: t("integrity.result"), cell: ({ fault }) => (fault === undefined ? pill(t("integrity.good"), "good")
        : [pill(t("integrity.bad"), "bad"), h("div", { class: "small" }, fault)]) },
      { title: t("integrity.records"), class: "number", cell: ({ records }) => number(records) },
      { title: t("integrity.sealed"), class: "number", cell: ({ sealed }) => number(sealed) },
      { title: t("integrity.seals"), class: "number", cell: ({ seals }) => number(seals) },
      { title: t("integrity.lastSeal"), cell: ({ lastSealedAt }) => at(lastSealedAt) },
    ] });
}
