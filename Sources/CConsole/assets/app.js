// The frame of the console: who is logged in, which view is open, and what goes on.
import { h, s, show } from "./dom.js";
import { t, word } from "./i18n.js";
import { feed, get, health, send, useSession } from "./api.js";
import { problemNotice } from "./parts.js";
import { isFollowed, sampleAll } from "./history.js";
import { views } from "./views.js";
import { login } from "./view-login.js";

const app = document.getElementById("app");
const state = { session: undefined, badge: 0, health: undefined, isOpen: false };
let view;

async function begin() {
  app.removeAttribute("data-own");
  try {
    const found = await get("/console/session");
    if (found.session) return enter(found);
  } catch (error) {
    show(app, h("div", { class: "login" }, h("div", { class: "card" }, problemNotice(error),
      h("button", { onclick: begin }, t("problem.again")))));
    return undefined;
  }
  return ask();
}

function ask(note) {
  leave();
  login(app, enter, note);
}

function enter(found) {
  state.session = found;
  useSession(found.csrfToken, () => { if (state.session) ask(t("login.ended")); });
  const main = h("main", { class: "page", id: "main", tabindex: "-1", "data-own": "" });
  app.replaceChildren(h("div", { class: "shell" }, h("aside", { class: "side" }), main),
    h("div", { class: "toasts", "aria-live": "polite" }));
  if (found.session.role !== "consumer") feed.open();
  window.onhashchange = route;
  state.looking = new AbortController();
  state.timer = setInterval(look, 5_000);
  look();
  route();
}

function leave() {
  state.session = undefined;
  view?.abort();
  view = undefined;
  state.looking?.abort();
  clearInterval(state.timer);
  window.onhashchange = null;
  feed.close();
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
}

// Nothing is asked for any more before the session ends: it would be refused.
async function logOut() {
  leave();
  try { await send("DELETE", "/console/session"); } catch { /* It has ended already. */ }
  ask();
  history.replaceState(null, "", location.pathname);
}

// What the frame shows of the platform itself.
async function look() {
  if (document.hidden || !state.session) return;
  state.health = await health();
  if (state.session && state.session.session.role !== "consumer") {
    try {
      const sums = await get("/overview", state.looking.signal);
      state.badge = sums.incidents;
      if (isFollowed(sums)) sampleAll((await get("/services?brief=true", state.looking.signal)).items);
    } catch { state.badge = 0; }
  }
  frame();
}

feed.listeners.add((event, feedState) => {
  if (!event) { state.feed = feedState; frame(); return; }
  state.soon ??= setTimeout(() => { state.soon = undefined; look(); }, 300);
});

function place() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const [id, ...parts] = path.split("/").map(decodeURIComponent);
  return { id, parts, query: new URLSearchParams(search) };
}

const mine = () => views.filter(({ roles }) => roles.includes(state.session.session.role));

function route() {
  if (!state.session) return;
  const { id, parts, query } = place();
  const found = mine().find((candidate) => candidate.id === id);
  if (!found) { location.replace(`#/${mine()[0].id}`); return; }
  view?.abort();
  view = new AbortController();
  state.current = found.id;
  state.isOpen = false;
  const main = document.getElementById("main");
  main.replaceChildren();
  document.title = `${t(found.title)} · ${state.session.platform} · Cloudwright`;
  frame();
  const ctx = context(main, parts, query, view.signal);
  found.open(ctx);
  // Who goes from view to view is taken to the new one; who has just come begins at the top.
  if (state.hasRouted) main.focus({ preventScroll: true });
  state.hasRouted = true;
  window.scrollTo(0, 0);
}

function context(main, parts, query, signal) {
  const { role, name, consumer } = state.session.session;
  return {
    parts, query, signal, role, name, consumer, console: state.session, logOut,
      restart: () => { enter(state.session); },
    mayOperate: role === "administrator" || role === "operator",
    mayAdminister: role === "administrator",
    show(...content) {
      if (!signal.aborted) show(main, this.problem && problemNotice(this.problem), content);
    },
    fail(error, redraw) {
      if (signal.aborted || error.name === "AbortError") return;
      this.problem = error;
      if (redraw) redraw();
      if (main.childElementCount === 0 || !redraw) show(main, problemNotice(error), [...main.children]);
    },
    // Notes a choice in the address, so that it can be followed, kept and gone back to.
    choose(values) {
      const next = new URLSearchParams(query);
      for (const [name, value] of Object.entries(values)) {
        if (value === "" || value === undefined) next.delete(name); else next.set(name, value);
      }
      const { id } = place();
      const path = [id, ...parts.map(encodeURIComponent)].join("/");
      const text = next.toString();
      location.hash = `#/${path}${text ? `?${text}` : ""}`;
    },
  };
}

function frame() {
  const side = document.querySelector(".side");
  if (!side || !state.session) return;
  const { session, platform, version } = state.session;
  side.classList.toggle("open", state.isOpen);
  show(side,
    h("a", { class: "skip", href: "#main", onclick: (event) => {
      event.preventDefault();
      document.getElementById("main").focus();
    } }, t("frame.skip")),
    h("a", { class: "brand", href: `#/${mine()[0].id}` }, h("img", { src: "/console/icon.svg", alt: "" }),
      h("span", {}, "Cloudwright", h("small", {}, platform))),
    h("button", { class: "burger", type: "button", "aria-expanded": String(state.isOpen), "aria-label": t("frame.menu"),
      onclick: () => { state.isOpen = !state.isOpen; frame(); } }, "☰"),
    h("nav", { "aria-label": t("frame.views") }, mine().map(navigation)),
    h("footer", {}, feedState(),
      h("div", {}, h("b", {}, session.name), " ", h("span", { class: "quiet" }, word("role", session.role))),
      h("div", { class: "choices" }, h("button", { class: "link", type: "button", onclick: logOut }, t("frame.logout")),
        version && h("span", { class: "quiet" }, version))));
}

function navigation({ id, title, icon, hasBadge }) {
  return h("a", { href: `#/${id}`, "aria-current": state.current === id ? "page" : null },
    s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, s("path", { d: icon })), t(title),
    hasBadge && state.badge > 0 && h("span", { class: "badge", "aria-label": t("frame.incidents",
      { count: state.badge }) },
      state.badge));
}

function feedState() {
  const [colour, text] = !state.health ? ["bad", t("frame.away")]
    : !state.health.healthy ? ["bad", t("frame.unhealthy")]
      : state.feed === "broken" ? ["warn", t("frame.broken")] : ["good", t("frame.live")];
  return h("div", { class: "feed", role: "status" }, h("i", { class: `dot ${colour}` }), text);
}

begin();
