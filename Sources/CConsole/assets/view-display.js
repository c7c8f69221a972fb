// The screen of a virtual server, by noVNC where the platform's machine has its Debian package.
import { h, link } from "./dom.js";
import { t } from "./i18n.js";
import { card, empty, pageHead, pill } from "./parts.js";

export async function serverDisplay(ctx) {
  const instance = ctx.parts[1];
  const path = `/api/v1/virtual-servers/${encodeURIComponent(instance)}/display`;
  const screen = h("div", { class: "display", role: "region", "data-own": "",
    "aria-label": t("display.title", { instance }) });
  let client;
  let state = "opening";

  function page(content) {
    const states = { open: "good", opening: "warn", closed: "bad" };
    ctx.show(pageHead(t("display.title", { instance }), t("display.what")),
      card(instance, content ?? screen, { list: "bare", key: "display",
        actions: [pill(t(`console.${state}`), states[state]),
          state === "open" && h("button", { class: "small", type: "button", onclick: () => client.sendCtrlAltDel() },
            "Ctrl+Alt+Del"),
          state === "closed" && h("button", { class: "small", type: "button", onclick: () => open(false) },
            t("console.open-again")),
          state === "closed" && h("button", { class: "small danger", type: "button", onclick: () => open(true) },
            t("console.takeOver")),
          link("infrastructure", t("nav.infrastructure"))].filter(Boolean) }));
  }

  function tell(now) {
    state = now;
    if (!ctx.signal.aborted) page();
  }

  page();
  let RFB;
  try { RFB = (await import("./novnc/core/rfb.js")).default; } catch {
    state = "closed";
    page(empty(t("display.missing"), t("display.missingAdvice"), "apt-get install --no-install-recommends novnc"));
    return;
  }

  function open(takeOver) {
    if (ctx.signal.aborted) return;
    tell("opening");
    const address = `${location.origin.replace(/^http/, "ws")}${path}`;
    screen.replaceChildren();
    const opened = new RFB(screen, takeOver ? `${address}?takeOver=true` : address);
    client = opened;
    opened.scaleViewport = true;
    opened.addEventListener("connect", () => { tell("open"); opened.focus(); });
    opened.addEventListener("disconnect", () => { if (client === opened) tell("closed"); });
    opened.addEventListener("credentialsrequired", () => opened.disconnect());
  }
  ctx.signal.addEventListener("abort", () => client?.disconnect());
  open(false);
}
