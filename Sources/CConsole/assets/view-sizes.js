// How large a virtual server should be, from its recorded use. The platform computes it; nothing is changed.
import { h, link } from "./dom.js";
import { t } from "./i18n.js";
import { number } from "./format.js";
import { send } from "./api.js";
import { card, empty, field, pageHead, problemNotice } from "./parts.js";

export function sizes(ctx) {
  const state = { given: ctx.query.get("given") ?? "1000", maximum: "", found: undefined, problem: undefined,
    isBusy: false };
  const server = ctx.query.get("server");
  const draw = () => ctx.show(
    h("div", {}, h("p", { class: "crumb" }, link("infrastructure", t("nav.infrastructure"))),
      pageHead(server ? t("sizes.of", { server }) : t("sizes.title"), t("sizes.what"))),
    card(t("sizes.use"), form(state, draw), { key: "use" }),
    card(t("sizes.recommended"), answer(state), { key: "size" }));
  draw();
}

function form(state, draw) {
  const size = (name) => h("input", { type: "number", min: 1, max: 1_000_000, step: 1, required: name === "given",
    value: state[name], onchange: (event) => { state[name] = event.target.value; } });
  return h("form", { class: "filters", onsubmit: (event) => {
    event.preventDefault();
    run(state, draw, event.target.elements.use.files[0]);
  } },
    field(t("sizes.file"), h("input", { type: "file", accept: ".csv,text/csv", required: true, "data-own": "",
      name: "use" })),
    field(t("sizes.given"), size("given")), field(t("sizes.maximum"), size("maximum")),
    h("button", { class: "primary", type: "submit", disabled: state.isBusy }, t(state.isBusy ? "sizes.running"
      : "sizes.run")));
}

// The file is read when it is asked for: it may have been written anew since it was chosen.
async function run(state, draw, file) {
  if (state.isBusy) return;
  Object.assign(state, { isBusy: true, problem: undefined });
  draw();
  try {
    state.found = await send("POST", "/size-recommendations", { csv: await file.text(),
      givenMillicores: Number(state.given), ...(state.maximum === "" ? {} : { maximumMillicores: Number(state.maximum) }) });
  } catch (error) { state.problem = error; }
  state.isBusy = false;
  draw();
}

function answer({ found, problem, isBusy }) {
  if (isBusy) return h("p", { class: "quiet", role: "status" }, t("sizes.running"));
  if (problem) return problemNotice(problem);
  if (!found) return empty(t("sizes.none"), t("sizes.noneAdvice"), "timestamp_seconds,millicores");
  const fact = (title, value) => [h("dt", {}, title), h("dd", {}, value)];
  const size = (value) => t("sizes.millicores", { value: number(value) });
  return [
    h("div", { class: "notice good", role: "status" }, h("b", {}, t("sizes.give", { size: size(
      found.targetMillicores) }))),
    h("dl", { class: "facts" },
      fact(t("sizes.range"), t("sizes.rangeText", { from: size(found.lowerMillicores), to: size(
        found.upperMillicores) })),
      fact(t("sizes.mean"), size(found.meanGivenMillicores)), fact(t("sizes.changes"), number(found.changes)),
      fact(t("sizes.short"), `${number(found.shortTimePerMillion / 10_000, 2)} %`),
      fact(t("sizes.points"), number(found.points))),
    h("p", { class: "quiet account" }, t("sizes.how")),
  ];
}
