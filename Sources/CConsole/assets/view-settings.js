// One's own account and how the console looks; who administers the platform; what it runs with.
import { h } from "./dom.js";
import { language, setLanguage, t, word } from "./i18n.js";
import { fullTime, time } from "./format.js";
import { get, getText, send } from "./api.js";
import { save } from "./exchange.js";
import { act, ask, card, choice, empty, field, live, pageHead, pill, showSecret, table, toast } from "./parts.js";

export function settings(ctx) {
  const isStaff = ctx.role !== "consumer";
  let yaml;
  live(ctx, async (signal) => {
    const administrators = ctx.mayAdminister ? (await get("/administrators", signal)).items : undefined;
    yaml ??= isStaff ? await getText("/configuration", "application/yaml") : undefined;
    return { administrators };
  }, ({ administrators }) => [
    pageHead(t("nav.settings"), t("settings.what")),
    h("div", { class: "grid" },
      card(t("settings.account"), account(ctx), { width: 6 }),
      card(t("settings.look"), look(ctx), { width: 6 }),
      administrators && card(t("settings.administrators"), people(ctx, administrators), { width: 12, list: "bare",
        actions: h("button", { class: "small", type: "button", onclick: () => create(ctx) }, t("settings.create")) }),
      yaml !== undefined && card(t("settings.configuration"), [
        h("p", { class: "quiet" }, t("settings.configurationWhat")), h("pre", { tabindex: "0" }, yaml)], {
        width: 12, actions: [ctx.mayOperate && h("a", { class: "button small", href: "#/settings/configuration" },
          t("apply.link")), h("button", { class: "small", type: "button",
          onclick: () => save([yaml], "cloud.yaml", "application/yaml") }, t("settings.download"))] })),
  ], 15_000);
}

function account(ctx) {
  const { session, endsAt, platform, version } = ctx.console;
  return [h("dl", { class: "facts" },
    h("dt", {}, t("login.name")), h("dd", {}, h("b", {}, session.name)),
    h("dt", {}, t("settings.role")), h("dd", {}, word("role", session.role), h("div", { class: "quiet small" },
      word("roleWhat", session.role))),
    session.consumer && [h("dt", {}, t("filter.consumer")), h("dd", {}, session.consumer)],
    h("dt", {}, t("settings.ends")), h("dd", {}, h("span", { title: fullTime(endsAt) }, time(endsAt))),
    h("dt", {}, t("settings.platform")), h("dd", {}, `${platform} · Cloudwright ${version ?? ""}`)),
  h("div", { class: "filters account" }, h("button", { type: "button", onclick: () => password(ctx, session.name,
    true) },
    t("settings.password")), h("button", { type: "button", onclick: () => secondFactor(ctx, session.name, true) },
    t("factor.title")), h("button", { type: "button", onclick: ctx.logOut }, t("frame.logout")))];
}

const factorPath = (name) => `/administrators/${encodeURIComponent(name)}/second-factor`;
const codeInput = () => h("input", { required: true, autocomplete: "one-time-code", autocapitalize: "none",
  spellcheck: "false" });

// Enrols or removes one's own second factor, or removes somebody else's.
async function secondFactor(ctx, name, isOwn) {
  const found = await act(() => get(factorPath(name)));
  if (!found) return;
  if (!found.isActive && !isOwn) { toast(t("factor.none", { name })); return; }
  if (!found.isActive) { enrol(name); return; }
  const code = codeInput();
  ask({ title: t("factor.removeTitle", { name }), confirm: t("factor.remove"), isDangerous: true,
    name: isOwn ? undefined : name,
    body: [h("p", {}, t("factor.active", { time: time(found.since), count: found.recoveryCodesLeft })),
      h("p", { class: "quiet" }, t("factor.removeWhat")), isOwn && field(t("login.code"), code)],
    work: async () => {
      await send("POST", `${factorPath(name)}/removal`, isOwn ? { code: code.value.trim() } : {});
      toast(t("factor.removed", { name }));
    } });
}

function enrol(name) {
  const password = h("input", { type: "password", autocomplete: "current-password", required: true });
  ask({ title: t("factor.title"), confirm: t("factor.begin"),
    body: [h("p", { class: "quiet" }, t("factor.what")), field(t("factor.password"), password)],
    work: async () => {
      const { secret, address } = await send("POST", factorPath(name), { currentPassword: password.value });
      return () => confirmFactor(name, secret, address);
    } });
}

function confirmFactor(name, secret, address) {
  const code = codeInput();
  const shown = h("input", { readonly: true, value: secret, onfocus: () => shown.select() });
  ask({ title: t("factor.title"), confirm: t("factor.confirm"),
    body: [h("p", { class: "quiet" }, t("factor.app")), field(t("factor.secret"), shown),
      h("p", {}, h("a", { href: address }, t("factor.open"))), field(t("factor.code"), code)],
    work: async () => {
      const { codes } = await send("POST", `${factorPath(name)}/confirmation`, { code: code.value.trim() });
      return () => showSecret(t("factor.recovery"), t("factor.recoveryWhat"), codes.join(" "));
    } });
}

function password(ctx, name, isOwn) {
  const input = (autocomplete, isRequired) => h("input", { type: "password", autocomplete, required: isRequired });
  const [former, fresh, again] = [input("current-password", false), input("new-password", true), input("new-password",
    true)];
  ask({ title: t("settings.passwordTitle", { name }), confirm: t("settings.password"),
    body: [h("p", { class: "quiet" }, t("settings.passwordWhat")), isOwn && field(t("settings.former"), former),
      field(t("settings.fresh"), fresh), field(t("settings.again"), again)],
    work: async () => {
      if (fresh.value !== again.value) throw new Error(t("settings.different"));
      await send("PUT", `/administrators/${encodeURIComponent(name)}/password`, {
        password: fresh.value, ...(former.value ? { currentPassword: former.value } : {}) });
      toast(t("settings.passwordSet", { name }));
    } });
}

function look(ctx) {
  const theme = localStorage.getItem("cloudwright.theme") ?? "";
  return h("div", { class: "filters" },
    field(t("settings.language"), choice(["en", "zh"], language, (name) => ({ en: "English", zh: "简体中文" })[name],
      (wanted) => { setLanguage(wanted); location.reload(); })),
    field(t("settings.theme"), choice(["light", "dark"], theme, (name) => t(`settings.${name}`), (wanted) => {
      if (wanted) {
        localStorage.setItem("cloudwright.theme", wanted);
        document.documentElement.dataset.theme = wanted;
      } else {
        localStorage.removeItem("cloudwright.theme");
        delete document.documentElement.dataset.theme;
      }
      ctx.redraw();
    }, t("settings.system"))));
}

function people(ctx, rows) {
  return table({ rows, key: ({ name }) => name, label: t("settings.administrators"),
    none: empty(t("settings.nobody")), columns: [
    { title: t("login.name"), cell: ({ name }) => h("b", {}, name) },
    { title: t("settings.role"), cell: ({ role, consumer }) => [pill(word("role", role), "plain"), consumer
      && ` ${consumer}`] },
    { title: t("settings.created"), cell: ({ createdAt }) => time(createdAt) },
    { title: t("consumers.expires"), cell: ({ expiresAt }) => (expiresAt ? time(expiresAt) : t("consumers.never")) },
    { title: "", cell: ({ name }) => h("div", { class: "actions" },
      h("button", { class: "small", type: "button", "aria-label": `${t("settings.password")}: ${name}`,
        onclick: () => password(ctx, name, name === ctx.name) }, t("settings.password")),
      name !== ctx.name && h("button", { class: "small", type: "button",
        "aria-label": `${t("factor.title")}: ${name}`,
        onclick: () => secondFactor(ctx, name, false) }, t("factor.title")),
      name !== ctx.name && h("button", { class: "small danger", type: "button",
        "aria-label": `${t("settings.remove")} ${name}`,
        onclick: () => remove(ctx, name) }, t("settings.remove"))) },
  ] });
}

function create(ctx) {
  const name = h("input", { required: true, pattern: "[a-z0-9]([a-z0-9\\-]*[a-z0-9])?", maxlength: 63,
    autocomplete: "off" });
  const consumer = h("input", { autocomplete: "off" });
  const consumerField = field(t("filter.consumer"), consumer);
  consumerField.hidden = true;
  let role = "operator";
  const roles = choice(["administrator", "operator", "auditor", "consumer", "reporter"], role,
    (word_) => word("role", word_), (chosen) => {
    role = chosen;
    consumerField.hidden = role !== "consumer";
  });
  ask({ title: t("settings.create"), confirm: t("settings.create"),
    body: [h("p", { class: "quiet" }, t("settings.createWhat")), field(t("login.name"), name),
      field(t("settings.role"), roles),
      consumerField],
    work: async () => {
      const made = await send("POST", "/administrators", { name: name.value, role,
        ...(role === "consumer" ? { consumer: consumer.value } : {}) });
      ctx.refresh();
      return () => showSecret(t("settings.made", { name: name.value }), t("secret.once"), made.token ?? "");
    } });
}

function remove(ctx, name) {
  ask({ title: t("settings.removeTitle", { name }), body: h("p", {}, t("settings.removeWhat")),
    confirm: t("settings.remove"),
    isDangerous: true, name,
    work: async () => { await send("DELETE", `/administrators/${encodeURIComponent(name)}`); ctx.refresh(); } });
}
