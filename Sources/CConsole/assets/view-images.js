// The images that disks of virtual servers are overlays over.
import { h, link } from "./dom.js";
import { t } from "./i18n.js";
import { bytes } from "./format.js";
import { get, query, send, upload } from "./api.js";
import { ask, at, card, choice, empty, field, live, pageHead, sorting, table, windowButtons } from "./parts.js";

const windowSize = 100;

export function images(ctx) {
  const sought = ctx.query.get("search") ?? "";
  const after = ctx.query.get("after") ?? "";
  const sorted = sorting(ctx, "name");
  const path = query("/images", { search: sought, sort: sorted.asked, cursor: after, limit: windowSize });
  live(ctx, (signal) => get(path, signal), ({ items, nextCursor }) => [
    h("div", {}, h("p", { class: "crumb" }, link("infrastructure", t("nav.infrastructure"))),
      pageHead(t("images.title"), t("images.what"), field(t("filter.search"), h("input", { type: "search",
        value: sought, onchange: (event) => ctx.choose({ search: event.target.value.trim(), after: "" }) })))),
    card(t("images.title"), [table({ rows: items, sorted, key: ({ name }) => name, label: t("images.title"),
      columns: columns(ctx), none: sought || after ? empty(t("filter.none"), t("filter.noneAdvice"))
        : empty(t("images.none"), t("images.noneAdvice"), "cloudwright image import NAME FILE") }),
    windowButtons(ctx, after, nextCursor)], { list: "bare", key: "images", actions: ctx.mayOperate
      && h("button", { class: "small", type: "button", onclick: () => take(ctx) }, t("images.import")) }),
  ], 10_000);
}

const columns = (ctx) => [
  { title: t("images.name"), sort: "name", cell: ({ name, path }) => h("b", { title: path }, name) },
  { title: t("images.format"), sort: "format", cell: ({ format }) => format },
  { title: t("images.file"), class: "number", sort: "fileBytes", cell: ({ fileBytes }) => bytes(fileBytes) },
  { title: t("images.disk"), class: "number", sort: "virtualBytes", cell: ({ virtualBytes }) => bytes(virtualBytes) },
  { title: t("images.imported"), sort: "importedAt", cell: ({ importedAt, importedBy }) => [at(importedAt), " ",
    h("span", { class: "quiet" }, importedBy)] },
  { title: t("images.usedBy"), cell: ({ usedBy }) => (usedBy.length === 0 ? "–" : usedBy.map((service, index) => [
    index ? ", " : "", link(`services/${service}`, service)])) },
  ctx.mayOperate && { title: "", cell: ({ name, usedBy }) => h("div", { class: "actions" }, usedBy.length === 0
    && h("button", { class: "small danger", type: "button", "aria-label": `${t("images.remove")} ${name}`,
      onclick: () => remove(ctx, name) }, t("images.remove"))) },
].filter(Boolean);

function remove(ctx, name) {
  ask({ title: t("images.removeTitle", { name }), confirm: t("images.remove"), isDangerous: true, name,
    body: h("p", {}, t("images.removeWhat")),
    work: async () => { await send("DELETE", `/images/${encodeURIComponent(name)}`); ctx.refresh(); } });
}

function take(ctx) {
  const file = h("input", { type: "file", required: true });
  const name = h("input", { required: true, maxlength: 63, autocomplete: "off" });
  const digest = h("input", { pattern: "[0-9a-fA-F]{64}", autocomplete: "off", spellcheck: "false" });
  const asked = { format: "qcow2" };
  file.onchange = () => { if (!name.value) name.value = file.files[0].name.replace(/\.[^.]*$/, "").toLowerCase(); };
  ask({ title: t("images.import"), confirm: t("images.import"),
    body: [h("p", { class: "quiet" }, t("images.importWhat")), field(t("images.theFile"), file),
      field(t("images.name"), name), field(t("images.format"), choice(["qcow2", "raw"], "qcow2", (one) => one,
        (format) => { asked.format = format; })), field(t("images.digest"), digest)],
    work: async () => {
      await upload(query("/images", { name: name.value.trim(), format: asked.format, sha256: digest.value.trim() }),
        file.files[0]);
      ctx.refresh();
    } });
}
