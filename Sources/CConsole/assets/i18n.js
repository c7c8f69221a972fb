// Texts in the two languages. A text is named once; numbers and names are put into {braces}.
import { texts as english } from "./text-en.js";
import { texts as chinese } from "./text-zh.js";

const all = { en: english, zh: chinese };
const key = "cloudwright.language";

function preferred() {
  const chosen = localStorage.getItem(key);
  if (chosen in all) return chosen;
  for (const language of navigator.languages) {
    if (language.startsWith("zh")) return "zh";
    if (language.startsWith("en")) return "en";
  }
  return "en";
}

export let language = preferred();
export const locale = () => (language === "zh" ? "zh-CN" : "en-GB");

export function setLanguage(wanted) {
  language = wanted;
  localStorage.setItem(key, wanted);
  document.documentElement.lang = locale();
}

document.documentElement.lang = locale();

export function t(name, values) {
  const text = all[language][name] ?? english[name] ?? name;
  return values ? text.replace(/\{(\w+)\}/g, (whole, part) => values[part] ?? whole) : text;
}

// The words for a state or kind as the API names it; the API's own word where there are none.
export function word(group, name) {
  return all[language][`${group}.${name}`] ?? english[`${group}.${name}`] ?? name;
}
