// Logging in: with a name and a password, or with a token.
import { h, show } from "./dom.js";
import { language, setLanguage, t } from "./i18n.js";
import { send, useSession } from "./api.js";
import { field, problemNotice } from "./parts.js";

export function login(app, enter, note) {
  let isByToken = localStorage.getItem("cloudwright.login") !== "password";
  let problem;
  document.title = `${t("login.title")} · Cloudwright`;

  async function submit(event) {
    event.preventDefault();
    const form = event.target;
    const button = form.querySelector("button.primary");
    button.disabled = true;
    const values = Object.fromEntries(new FormData(form));
    try {
      useSession(undefined);
      const found = await send("POST", "/console/session", isByToken
        ? { token: values.token.trim() } : { name: values.name.trim(), password: values.password });
      localStorage.setItem("cloudwright.login", isByToken ? "token" : "password");
      enter(found);
    } catch (error) {
      problem = error;
      draw();
      button.disabled = false;
      form.querySelector("input:last-of-type").focus();
    }
  }

  function draw() {
    show(app, h("main", { class: "login" }, h("div", { class: "card" },
      h("div", { class: "brand" }, h("img", { src: "/console/icon.svg", alt: "" }),
        h("span", {}, "Cloudwright", h("small", {}, t("login.what")))),
      note && h("div", { class: "notice warn", role: "status" }, note),
      h("h1", { class: "sr" }, t("login.title")),
      h("form", { onsubmit: submit, "data-key": isByToken ? "token" : "password" },
        isByToken
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
          onclick: () => { isByToken = !isByToken; problem = undefined; draw(); } },
          t(isByToken ? "login.byPassword" : "login.byToken")),
        h("button", { class: "link", type: "button", lang: language === "zh" ? "en" : "zh-CN",
          onclick: () => { setLanguage(language === "zh" ? "en" : "zh"); draw(); } },
        language === "zh" ? "English" : "简体中文")),
      h("p", { class: "quiet small" }, t(isByToken ? "login.tokenAdvice" : "login.passwordAdvice")))));
  }
  app.replaceChildren();
  draw();
  app.querySelector("input").focus();
}
