// A configuration that is made true: checked by the platform first, with what it would change.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { entityTag, getText, query, sendText } from "./api.js";
import { act, ask, card, empty, field, pageHead, pill, problemNotice, table } from "./parts.js";

const path = "/configuration";
const yaml = "application/yaml";
const tones = { created: "good", changed: "warn", removed: "bad" };

export function configuration(ctx) {
  // `checked` is what the outcome is about: a text that was changed since has to be checked again.
  const state = { text: "", checked: undefined, outcome: undefined, tag: undefined, problem: undefined,
    isBusy: false };
  const draw = () => ctx.show(
    h("div", {}, h("p", { class: "crumb" }, link("settings", t("nav.settings"))),
      pageHead(t("apply.title"), t("apply.what"))),
    card(t("apply.manifest"), manifest(state, draw), { key: "manifest" }),
    card(t("apply.changes"), changes(ctx, state, draw), { key: "changes", list: isListed(state) && "bare" }));
  draw();
}

const isListed = ({ outcome, problem, isBusy }) => !isBusy && !problem && outcome?.changes.length > 0;

function manifest(state, draw) {
  // It keeps what is typed, however often the page is drawn.
  const text = h("textarea", { id: "manifest", rows: 16, spellcheck: "false", "data-own": "", value: state.text,
    placeholder: "apiVersion: cloudwright/v1\nkind: Cloud\n…",
    oninput: (event) => { state.text = event.target.value; } });
  const put = (content) => {
    state.text = content;
    document.getElementById("manifest").value = content;
  };
  const file = h("input", { type: "file", accept: ".yaml,.yml", "data-own": "",
    onchange: async (event) => { put(await event.target.files[0]?.text() ?? state.text); } });
  return h("form", { class: "stack", onsubmit: (event) => { event.preventDefault(); check(state, draw); } },
    h("div", { class: "filters" }, field(t("apply.file"), file), h("button", { type: "button",
      onclick: async () => { put(await act(() => getText(path, yaml)) ?? state.text); } }, t("apply.present"))),
    field(t("apply.text"), text),
    h("div", { class: "filters" }, h("button", { class: "primary", type: "submit", disabled: state.isBusy },
      t(state.isBusy ? "apply.checking" : "apply.check"))));
}

async function check(state, draw) {
  if (state.isBusy || state.text.trim() === "") return;
  Object.assign(state, { isBusy: true, problem: undefined, outcome: undefined, checked: state.text });
  draw();
  try {
    // Whatever is changed from here on by somebody else is not lost: applying is refused then.
    state.tag = await entityTag(path);
    state.outcome = await sendText("PUT", query(path, { dryRun: true }), state.checked, yaml, { "if-match": "*" });
  } catch (error) { state.problem = error; }
  state.isBusy = false;
  draw();
}

function changes(ctx, state, draw) {
  const { outcome, problem, isBusy } = state;
  if (isBusy) return h("p", { class: "quiet", role: "status" }, t("apply.checking"));
  if (problem) return problemNotice(problem);
  if (!outcome) return empty(t("apply.none"), t("apply.noneAdvice"));
  if (outcome.changes.length === 0) return h("div", { class: "notice good", role: "status" }, t("apply.same"));
  const count = (change) => number(outcome.changes.filter((one) => one.change === change).length);
  return [
    h("div", { class: "body" }, h("div", { class: `notice ${outcome.applied ? "good" : "warn"}`, role: "status" },
      t(outcome.applied ? "apply.applied" : "apply.would", { created: count("created"), changed: count("changed"),
        removed: count("removed") }), " ", outcome.applied && link("events?kind=configuration.", t("link.events")))),
    table({ rows: outcome.changes, key: ({ kind, name }) => `${kind}/${name}`, label: t("apply.changes"), columns: [
      { title: t("apply.change"), cell: ({ change }) => pill(word("change", change), tones[change]) },
      { title: t("events.kind"), cell: ({ kind }) => kind },
      { title: t("login.name"), cell: ({ name }) => h("b", {}, name) },
      { title: t("apply.details"), cell: ({ details }) => (details.length === 0 ? "–"
        : h("ul", { class: "breaks" }, details.map((detail) => h("li", {}, h("code", {}, detail))))) },
    ] }),
    !outcome.applied && h("div", { class: "body" }, h("button", { class: "primary", type: "button",
      onclick: () => confirm(ctx, state, draw) }, t("apply.apply"))),
  ];
}

// What is removed, and every maximum that is lowered: what runs may be stopped.
function losses({ changes: all }) {
  return all.flatMap(({ kind, name, change, details }) => (change === "removed" ? [`${kind}/${name}`]
    : details.filter((detail) => {
      const [, from, to] = /maximum\w*: (\d+) -> (\d+)/i.exec(detail) ?? [];
      return Number(to) < Number(from);
    }).map((detail) => `${kind}/${name}: ${detail}`)));
}

function confirm(ctx, state, draw) {
  const lost = losses(state.outcome);
  const isDangerous = lost.length > 0;
  ask({ title: t("apply.title"), confirm: t("apply.apply"), isDangerous,
    name: isDangerous ? ctx.console.platform : undefined,
    body: [h("p", {}, t("apply.confirm", { count: number(state.outcome.changes.length) })),
      isDangerous && [h("p", {}, t("apply.losses")), h("ul", { class: "breaks" }, lost.map((one) => h("li", {}, one)))],
      state.text !== state.checked && h("p", { class: "notice warn" }, t("apply.asChecked"))],
    work: async () => {
      state.outcome = await sendText("PUT", path, state.checked, yaml, { "if-match": state.tag });
      draw();
    } });
}
