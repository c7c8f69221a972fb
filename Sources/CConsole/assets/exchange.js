// Records that leave the platform as a file, and those that come into it as one.
import { h } from "./dom.js";
import { t, word } from "./i18n.js";
import { number } from "./format.js";
import { getPart, query, sendText } from "./api.js";
import { ask, choice, field, showNote, toast } from "./parts.js";

const partSize = 1_000;
// The page holds the file until it is whole, so it is not to grow without end.
const mostRecords = 200_000;

// Gives a text to the browser as a file.
export function save(pieces, name, type) {
  const link = h("a", { href: URL.createObjectURL(new Blob(pieces, { type })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

// Asks for part after part, as the command line does, until the end or until it is more than a page can hold.
async function collect(path, values, countOf, signal, told) {
  const pieces = [];
  let count = 0;
  let cursor = "";
  do {
    const part = await getPart(query(path, { ...values, cursor, limit: partSize }), signal);
    pieces.push(part.text);
    count += countOf(part.text);
    told(count);
    cursor = part.next;
  } while (cursor && count < mostRecords);
  return { pieces, count, isWhole: !cursor };
}

// The dialog of a download: what it is, how far it is, and what became of it. Closing it ends the download.
function download({ title, what, fields, path, values, countOf, join, file, type, command }) {
  const progress = h("p", { class: "quiet", role: "status" });
  ask({ title, confirm: t("export.begin"), body: [h("p", { class: "quiet" }, what), fields, progress],
    work: async (form) => {
      const controller = new AbortController();
      form.closest("dialog").addEventListener("close", () => controller.abort());
      progress.textContent = t("export.progress", { count: number(0) });
      let found;
      try {
        found = await collect(path, values(), countOf, controller.signal, (count) => {
          progress.textContent = t("export.progress", { count: number(count) });
        });
      } catch (error) {
        progress.textContent = "";
        throw error;
      }
      if (found.count === 0) {
        progress.textContent = "";
        throw new Error(t("export.none"));
      }
      const name = file();
      save(join(found.pieces), name, type);
      if (!found.isWhole) {
        return () => showNote(title, t("export.part", { count: number(found.count), file: name, command }));
      }
      toast(t("export.done", { count: number(found.count), file: name }));
      return undefined;
    } });
}

// What a date and time field says is of the reader's own time zone.
export const moment = (text) => (text ? new Date(text).toISOString() : "");

// A moment as such a field has it.
const local = (date) => new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

function period(from) {
  const [since, until] = [from, ""].map((value) => h("input", { type: "datetime-local", value }));
  return { fields: h("div", { class: "filters" }, field(t("audit.from"), since), field(t("audit.until"), until)),
    values: () => ({ from: moment(since.value), until: moment(until.value) }) };
}

const named = (values) => Object.values(values).filter(Boolean).join(", ") || t("export.everything");

// Usage records as CloudEvents, in the batch format, exactly as the platform wrote each of them.
export function exportUsage({ service, consumer, from }) {
  const times = period(from ? local(new Date(from)) : "");
  download({ title: t("export.usage"), what: t("export.usageWhat", { filter: named({ service, consumer }) }),
    fields: times.fields, path: "/usage/export", values: () => ({ service, consumer, ...times.values() }),
    countOf: (text) => JSON.parse(text).length, file: () => "usage.cloudevents.json",
    join: (pieces) => ["[", pieces.map((text) => text.trim().slice(1, -1)).filter(Boolean).join(",\n"), "]\n"],
    type: "application/cloudevents-batch+json", command: "cloudwright usage export" });
}

const formats = { ocsf: "jsonl", cef: "cef", syslog: "log" };

// Logins as systems for security events read them, by the filter of the page.
export function exportLogins(filter) {
  const chosen = { format: "ocsf" };
  download({ title: t("export.logins"),
    what: t("export.loginsWhat", { filter: named(filter) }),
    fields: field(t("images.format"), choice(Object.keys(formats), chosen.format, (name) => word("auditFormat", name),
      (format) => { chosen.format = format; })),
    path: "/audit/export", values: () => ({ ...filter, format: chosen.format }),
    countOf: (text) => text.split("\n").length - 1, join: (pieces) => pieces,
    file: () => `logins.${formats[chosen.format]}`, type: "text/plain", command: "cloudwright audit export" });
}

// What a service has counted itself: one event that is typed here, or a file of them.
export function reportUsage(ctx) {
  const input = (attributes) => h("input", { autocomplete: "off", spellcheck: "false", ...attributes });
  const values = { consumer: input(), service: input(), meter: input({ maxlength: 63 }),
    quantity: input({ inputmode: "decimal" }) };
  const file = h("input", { type: "file", accept: ".json,application/json" });
  // The same event however often it is sent: what is refused for a typing error is not counted twice.
  const id = crypto.randomUUID();
  ask({ title: t("report.title"), confirm: t("report.send"),
    body: [h("p", { class: "quiet" }, t("report.what")),
      h("div", { class: "filters" }, field(t("filter.consumer"), values.consumer),
        field(t("filter.service"), values.service), field(t("report.meter"), values.meter),
        field(t("report.quantity"), values.quantity)),
      field(t("report.file"), file)],
    work: async () => {
      const texts = Object.fromEntries(Object.entries(values).map(([name, { value }]) => [name, value.trim()]));
      if (!file.files[0] && Object.values(texts).some((text) => text === "")) throw new Error(t("report.missing"));
      const { consumer, service, meter, quantity } = texts;
      const text = file.files[0] ? await file.files[0].text() : JSON.stringify({ specversion: "1.0", id,
        source: `/console/${ctx.name}`, type: meter, subject: consumer, time: new Date().toISOString(),
        data: { service, meter, quantity: quantity.replace(",", ".") } });
      const { stored, duplicates } = await sendText("POST", "/usage-events", text, "application/json");
      toast(t("report.done", { stored: number(stored), known: number(duplicates) }));
      ctx.refresh();
    } });
}
