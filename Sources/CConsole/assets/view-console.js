// The serial console of a virtual server: a terminal over a WebSocket.
import { h, link } from "./dom.js";
import { t } from "./i18n.js";
import { ask, card, pageHead, pill } from "./parts.js";
import { keyText, Terminal } from "./terminal.js";

// What was typed and could not be sent yet; beyond, keys are not taken.
const maximumUnsent = 65_536;

export function serverConsole(ctx) {
  const instance = ctx.parts[1];
  const path = `/virtual-servers/${encodeURIComponent(instance)}/console`;
  const screen = h("pre", { class: "terminal", role: "region", tabindex: "0", "data-own": "",
    "aria-label": t("console.screen", { instance }) });
  const said = h("p", { class: "sr", "aria-live": "polite", "data-own": "" });
  const encoder = new TextEncoder();
  let socket;
  let terminal;
  let state = "closed";
  let reason = "";
  let isDrawing = false;

  const type = (text) => {
    if (socket?.readyState === WebSocket.OPEN && socket.bufferedAmount < maximumUnsent) socket.send(encoder.encode(text));
  };

  // Many octets, one drawing.
  function draw() {
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      const isAtEnd = screen.scrollHeight - screen.scrollTop - screen.clientHeight < 30;
      const { lines, row, column } = terminal.lines();
      const at = [...(lines[row] ?? "").padEnd(column + 1)];
      const before = [...lines.slice(0, row), at.slice(0, column).join("")].join("\n");
      const after = [at.slice(column + 1).join(""), ...lines.slice(row + 1)].join("\n").trimEnd();
      screen.replaceChildren(before, h("span", { class: "cursor" }, at[column]), after);
      if (isAtEnd) screen.scrollTop = screen.scrollHeight;
    });
  }

  function page() {
    const states = { open: "good", opening: "warn", closed: "bad" };
    ctx.show(pageHead(t("console.title", { instance }), t("console.what")),
      card(instance, [screen, said, h("p", { class: "more quiet" }, t("console.keys"))], { list: "bare", key: "terminal",
        actions: [pill(t(`console.${state}`), states[state]), reason && h("span", { class: "small" }, reason),
          state === "closed" && h("button", { class: "small", type: "button", onclick: () => open(false) },
            t("console.open-again")),
          state === "closed" && h("button", { class: "small danger", type: "button", onclick: () => ask({ title: t("console.takeOverTitle", { instance }),
            body: h("p", {}, t("console.takeOverWhat")), confirm: t("console.takeOver"), isDangerous: true,
            name: instance, work: async () => open(true) }) },
            t("console.takeOver")),
          link("infrastructure", t("nav.infrastructure"))].filter(Boolean) }));
  }

  function tell(now, why = "") {
    [state, reason] = [now, why];
    said.textContent = `${t(`console.${now}`)} ${why}`;
    if (!ctx.signal.aborted) page();
  }

  function open(takeOver) {
    terminal = new Terminal(type);
    tell("opening");
    const address = `${location.origin.replace(/^http/, "ws")}/api/v1${path}`;
    const opened = new WebSocket(takeOver ? `${address}?takeOver=true` : address);
    socket = opened;
    opened.binaryType = "arraybuffer";
    let hasOpened = false;
    opened.onopen = () => { hasOpened = true; tell("open"); draw(); screen.focus({ preventScroll: true }); };
    opened.onmessage = ({ data }) => { terminal.write(new Uint8Array(data)); draw(); };
    opened.onclose = ({ reason: why }) => {
      if (socket === opened && !ctx.signal.aborted) tell("closed", hasOpened ? why : t("console.refused"));
    };
  }

  screen.onkeydown = (event) => {
    const text = keyText(event);
    if (text === undefined) return;
    event.preventDefault();
    type(text);
  };
  screen.onpaste = (event) => {
    event.preventDefault();
    type(event.clipboardData.getData("text").replace(/\r?\n/g, "\r").slice(0, maximumUnsent));
  };
  ctx.signal.addEventListener("abort", () => socket?.close(1000));
  open(false);
}
