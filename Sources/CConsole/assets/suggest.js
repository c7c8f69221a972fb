// A field for the name of something that the platform knows. A list of all names may be long, so the platform is asked
// for those that fit what is typed, and only so many are offered.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { get, query } from "./api.js";
import { field } from "./parts.js";

const mostOffered = 20;

export function suggested(label, { list, path, value, onchange, name, placeholder = t("filter.all"), more = [] }) {
  const id = `offered-${list}`;
  const look = (event) => offer(id, path, event.target.value.trim(), more);
  return [field(label, h("input", { type: "search", name, value, list: id, autocomplete: "off", spellcheck: "false",
    placeholder, onfocus: look, oninput: look,
    onchange: onchange && ((event) => onchange(event.target.value.trim())) })),
  h("datalist", { id, "data-own": "" })];
}

// What was typed last counts, whichever answer comes first.
let newest = 0;

async function offer(id, path, typed, more) {
  const number = ++newest;
  let found;
  // Without an offer a name can still be typed; the list that is asked for by it says what is wrong.
  try { found = await get(query(path, { search: typed, limit: mostOffered })); } catch { return; }
  if (number !== newest) return;
  const names = [...more.filter((name) => name.includes(typed)), ...found.items.map(({ id: name }) => name)];
  document.getElementById(id)?.replaceChildren(...names.map((name) => h("option", { value: name })));
}
