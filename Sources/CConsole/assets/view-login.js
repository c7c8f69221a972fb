// Logging in: with a name and a password, or with a token.
import { h, show } from "./dom.js";
import { language, setLanguage, t } from "./i18n.js";
import { send, useSession } from "./api.js";
import { field, problemNotice } from "./parts.js";

export function login(app, enter, note) {
  let isByToken = localStorage.getItem("cloudwright.login") !== "password";
  let problem;
  // What was right so far, while a code of the second factor is asked for.
  let first;
  document.title = `${t("login.title")} · Cloudwright`;

  async function submit(event) {
    event.preventDefault();
    const form = event.target;
    const button = form.querySelector("button.primary");
    button.disabled = true;
    const values = Object.fromEntries(new FormData(form));
    try {
      useSession(undefined);
      if (!isByToken && !first) values.name = values.name.trim();
      const byPassword = first ? { ...first, code: values.code.trim() } : values;
      const found = await send("POST", "/console/session", isByToken ? { token: values.token.trim() } : byPassword);
      localStorage.setItem("cloudwright.login", isByToken ? "token" : "password");
      enter(found);
    } catch (error) {
      const wantsCode = error.faults?.some(({ pointer }) => pointer === "/code");
      problem = wantsCode && !first ? undefined : error;
      if (wantsCode && !first) first = values;
      draw();
      button.disabled = false;
      app.querySelector("form input:last-of-type").focus();
    }
  }

  function draw() {
    show(app, h("main", { class: "login" }, h("div", { class: "card" },
      h("div", { class: "brand" }, h("img", { src: "/console/icon.svg", alt: "" }),
        h("span", {}, "Cloudwright", h("small", {}, t("login.what")))),
      note && h("div", { class: "notice warn", role: "status" }, note),
      h("h1", { class: "sr" }, t("login.title")),
      h("form", { onsubmit: submit, "data-key": isByToken ? "token" : first ? "code" : "password" },
        first
          ? field(t("login.code"), h("input", { name: "code", required: true, autocomplete: "one-time-code",
            autocapitalize: "none", spellcheck: "false" }))
          : isByToken
          ? field(t("login.token"), h("input", { name: "token", type: "password", required: true,
            autocomplete: "off", autofocus: true, placeholder: "cwa_…" }))
          : [
            field(t("login.name"), h("input", { name: "name", required: true, autocomplete: "username",
              autocapitalize: "none", autofocus: true })),
            field(t("login.password"), h("input", { name: "password", type: "password", required: true,
              autocomplete: "current-password" })),
          ],
        problem && problemNotice(problem),
        h("button", { class: "primary", type: "submit" }, t("login.enter"))),
      h("div", { class: "choices" },
        h("button", { class: "link", type: "button",
          onclick: () => { if (!first) isByToken = !isByToken; first = problem = undefined; draw(); } },
          t(first ? "login.back" : isByToken ? "login.byPassword" : "login.byToken")),
        h("button", { class: "link", type: "button", lang: language === "zh" ? "en" : "zh-CN",
          onclick: () => { setLanguage(language === "zh" ? "en" : "zh"); draw(); } },
        language === "zh" ? "English" : "简体中文")),
      h("p", { class: "quiet small" }, t(first ? "login.codeAdvice" : isByToken ? "login.tokenAdvice"
        : "login.passwordAdvice")))));
  }
  app.replaceChildren();
  draw();
  app.querySelector("input").focus();
}
