// The physical servers with their load, the virtual servers on each, and what is being moved.
import { h, link } from "./dom.js";
import { t, word } from "./i18n.js";
import { bytes, number } from "./format.js";
import { get, query, send } from "./api.js";
import { meter } from "./chart.js";
import { act, ask, at, card, choice, empty, field, live, pageHead, pill, statePill, table, toast,
  windowButtons } from "./parts.js";
import { suggested } from "./suggest.js";

const hostStates = { up: "good", suspect: "warn", confirmed: "bad", fencing: "bad", fenced: "bad", recovering: "warn",
  unknown: "warn" };
const serverStates = { running: "good", suspended: "warn", saved: "warn", starting: "warn", stopping: "warn", unconfirmed: "bad" };
// So many virtual servers are on the page at once, by name.
const windowSize = 100;
const mostHosts = 50;
const balanceAge = 30_000;
const kinds = ["virtual-server.", "physical-server."];

export function infrastructure(ctx) {
  const sought = ctx.query.get("search") ?? "";
  const after = ctx.query.get("after") ?? "";
  const hostsAfter = ctx.query.get("hostsAfter") ?? "";
  // What would make the load even is computed for all servers: not asked for at each event.
  let balance;
  let balanceAt = 0;
  ctx.balanceChanged = () => { balanceAt = 0; };
  const balancePlan = async (signal) => {
    if (Date.now() - balanceAt < balanceAge) return balance;
    balanceAt = Date.now();
    balance = await get("/rebalancing", signal);
    return balance;
  };
  live(ctx, async (signal) => {
    const [hosts, servers, plan, ...operations] = await Promise.all([
      get(query("/physical-servers", { cursor: hostsAfter, limit: mostHosts }), signal),
      get(query("/virtual-servers", { search: sought, cursor: after, limit: windowSize }), signal),
      balancePlan(signal),
      ...kinds.map((kind) => get(query("/operations", { kind, limit: 20 }), signal))]);
    return { hosts: hosts.items, hostsNext: hosts.nextCursor, servers: servers.items, next: servers.nextCursor, plan,
      operations: operations.flatMap(({ items }) => items).sort((left, right) => right.startedAt
        .localeCompare(left.startedAt)).slice(0, 20) };
  }, ({ hosts, hostsNext, servers, next, plan, operations }) => [
    pageHead(t("nav.infrastructure"), t("infrastructure.what"), h("a", { class: "button",
      href: "#/infrastructure/images" }, t("images.title")), h("a", { class: "button",
      href: "#/infrastructure/sizes" }, t("sizes.title")), field(t("filter.search"), h("input", { type: "search",
      value: sought, onchange: (event) => ctx.choose({ search: event.target.value.trim(), after: "" }) }))),
    hosts.length === 0 && card(t("infrastructure.hosts"), empty(t("infrastructure.none"),
      t("infrastructure.noneAdvice"), "kind: PhysicalServer")),
    hosts.map((host) => hostCard(ctx, host, servers.filter(({ host: id }) => id === host.id),
      Boolean(sought || after || next))),
    elsewhere(ctx, hosts, servers),
    windowButtons(ctx, hostsAfter, hostsNext, "hostsAfter"),
    windowButtons(ctx, after, next),
    hosts.length > 1 && balanceCard(ctx, plan),
    hosts.length > 0 && card(t("overview.operations"), operationTable(operations), { list: "bare", key: "moves",
      actions: link("timelines?mechanism=live-migration", t("infrastructure.migrations")) }),
  ]);
}

function hostCard(ctx, host, servers, isPart) {
  const others = isPart ? host.virtualServers - servers.length : 0;
  return card(host.id, [
    h("div", { class: "body" }, h("dl", { class: "facts" },
      load(t("infrastructure.cpu"), host.cpuMillicoresUsed, host.cpuMillicores, (value) => number(value / 1_000, 2)),
      load(t("infrastructure.memory"), host.memoryBytesUsed, host.memoryBytes, bytes),
      h("dt", {}, t("infrastructure.hypervisor")),
      h("dd", {}, h("code", {}, host.hypervisor), host.version && ` ${host.version}`))),
    (servers.length > 0 || others <= 0) && serverTable(ctx, host, servers),
    others > 0 && h("p", { class: "more quiet" }, t("infrastructure.others", { count: number(others) })),
  ], { list: "bare", key: `host-${host.id}`, actions: [
    pill(word("hostPhase", host.phase), hostStates[host.phase]),
    host.maintenance && pill(word("state", "maintenance"), "warn"),
    host.closed && pill(t("infrastructure.closed"), "warn"),
    ctx.mayOperate && hostActions(ctx, host)].filter(Boolean) });
}

// Virtual servers of this part of their list whose physical servers are in another part of theirs.
function elsewhere(ctx, hosts, servers) {
  const others = servers.filter(({ host }) => !hosts.some(({ id }) => id === host));
  return others.length > 0 && card(t("infrastructure.elsewhere"), serverTable(ctx, undefined, others),
    { list: "bare", key: "elsewhere" });
}

const load = (title, used, capacity, format) => {
  const text = t("infrastructure.used", { used: format(used), capacity: format(capacity) });
  return [h("dt", {}, title), h("dd", {}, text, meter(used, Math.max(1, capacity), `${title}: ${text}`))];
};

function hostActions(ctx, host) {
  const path = `/physical-servers/${encodeURIComponent(host.id)}`;
  const button = (verb, onclick, isDangerous) => h("button", { class: `small${isDangerous ? " danger" : ""}`,
    type: "button", "aria-label": `${t(`infrastructure.${verb}`)} ${host.id}`, onclick }, t(`infrastructure.${verb}`));
  const simply = (verb) => button(verb, async () => {
    await act(() => send("POST", `${path}/${verb}`));
    ctx.refresh();
  });
  const named = (verb, body, sent = () => undefined) => ask({ body, isDangerous: true,
    title: t(`infrastructure.${verb}Title`, { host: host.id }), confirm: t(`infrastructure.${verb}`), name: host.id,
    work: async () => { tell(await send("POST", `${path}/${verb}`, sent())); ctx.refresh(); } });
  return h("div", { class: "row" },
    host.drain ? simply("abort-drain") : host.closed ? simply("activate")
      : button("drain", async () => {
        const plan = await act(() => get(`${path}/drain`));
        // Who goes on has read which of them find no place.
        if (!plan) return;
        const [speed, atOnce] = [speedInput(), h("input", { type: "number", min: 1, max: 2, value: 1 })];
        named("drain", [drainPlan(plan), h("div", { class: "filters" },
          field(t("infrastructure.bandwidth"), speed), field(t("infrastructure.atOnce"), atOnce))], () => ({
          partial: plan.steps.some(({ obstacle }) => obstacle), ...speedOf(speed),
          concurrentMigrations: Number(atOnce.value) || 1 }));
      }, true),
    host.phase !== "up" && host.phase !== "fenced" && button("confirm-off",
      () => named("confirm-off", h("p", {}, t("infrastructure.confirm-offWhat"))), true));
}

// Nothing is typed: as fast as it goes.
const speedInput = () => h("input", { type: "number", min: 1, step: 1, placeholder: t("infrastructure.unlimited") });
const speedOf = (input) => (input.value === "" ? {} : { bandwidthMebibytesPerSecond: Number(input.value) });

// What would become of each virtual server, before anybody says yes.
function drainPlan({ steps }) {
  return [h("p", {}, t("infrastructure.drainWhat")), steps.length === 0
    ? h("p", { class: "quiet" }, t("infrastructure.drainEmpty"))
    : h("ul", {}, steps.map(({ instance, destination, obstacle }) => h("li", {}, h("b", {}, instance), " ",
      destination === undefined ? t("infrastructure.stays", { reason: obstacle ?? "" })
        : t("infrastructure.goes", { host: destination }))))];
}

const tell = (operation) => operation && toast(h("span", {}, t("operation.begun"), " ",
  link("events?show=operations", operation.id)));

function serverTable(ctx, host, servers) {
  return table({ rows: servers, key: ({ instance }) => instance,
    label: host ? t("infrastructure.serversOn", { host: host.id }) : t("infrastructure.elsewhere"),
    none: h("p", { class: "more quiet" }, t("infrastructure.noServers")), columns: [
      { title: t("infrastructure.server"), cell: ({ instance, name }) => h("b", { title: name }, instance) },
      !host && { title: t("infrastructure.host"), cell: (server) => server.host },
      { title: t("filter.service"), cell: ({ service }) => link(`services/${service}`, service) },
      { title: t("services.state"), cell: (server) => [
        pill(word("serverPhase", server.phase), serverStates[server.phase] ?? ""), moving(server)] },
      { title: t("infrastructure.size"), cell: ({ virtualCPUs, memoryBytes }) => t("infrastructure.sizeText", {
        cpus: number(virtualCPUs), memory: bytes(memoryBytes) }) },
      { title: t("instance.endpoint"), cell: ({ address }) => h("code", {}, address) },
      ctx.mayOperate && { title: "", cell: (server) => serverActions(ctx, server) },
    ].filter(Boolean) });
}

function moving({ destination, bytesTransferred, bytesRemaining }) {
  if (destination === undefined) return undefined;
  const done = Number(bytesTransferred ?? 0);
  const whole = done + Number(bytesRemaining ?? 0);
  const text = t("infrastructure.moving", { host: destination, done: bytes(done), whole: bytes(whole) });
  return h("div", { class: "small" }, text, meter(done, Math.max(1, whole), text));
}

function serverActions(ctx, server) {
  const path = `/virtual-servers/${encodeURIComponent(server.instance)}`;
  const button = (verb, onclick, isDangerous) => h("button", { class: `small${isDangerous ? " danger" : ""}`,
    type: "button", "aria-label": `${t(`infrastructure.${verb}`)} ${server.instance}`, onclick },
  t(`infrastructure.${verb}`));
  const simply = (verb) => button(verb, async () => {
    await act(async () => tell(await send("POST", `${path}/${verb}`)));
    ctx.refresh();
  });
  if (server.destination !== undefined) return h("div", { class: "actions" }, simply("abort-migration"));
  return h("div", { class: "actions" },
    server.phase === "running" && link(`infrastructure/console/${encodeURIComponent(server.instance)}`,
      h("span", { "aria-label": t("console.title", { instance: server.instance }) }, t("console.link"))),
    server.phase === "running" && link(`infrastructure/display/${encodeURIComponent(server.instance)}`,
      h("span", { "aria-label": t("display.title", { instance: server.instance }) }, t("display.link"))),
    link(`infrastructure/sizes?server=${encodeURIComponent(server.instance)}&given=${server.cpuMillicores}`,
      h("span", { "aria-label": t("sizes.of", { server: server.instance }) }, t("sizes.link"))),
    server.phase === "running" && button("migrate", () => migrate(ctx, server, path)),
    server.phase === "running" && button("suspend", () => ask({ isDangerous: true, name: server.instance,
      title: t("infrastructure.suspendTitle", { instance: server.instance }), confirm: t("infrastructure.suspend"),
      body: h("p", {}, t("infrastructure.suspendWhat")),
      work: async () => { tell(await send("POST", `${path}/suspend`)); ctx.refresh(); } }), true),
    server.phase === "suspended" && simply("resume"));
}

// A refusal stays in the dialog, with its reason for each host.
function migrate(ctx, server, path) {
  const asked = { mode: "live" };
  const speed = speedInput();
  const [host, offered] = suggested(t("infrastructure.destination"), { list: "hosts", path: "/physical-servers",
    placeholder: t("infrastructure.best"), name: "host" });
  ask({ title: t("infrastructure.migrateTitle", { instance: server.instance }), confirm: t("infrastructure.migrate"),
    body: [h("p", { class: "quiet" }, t("infrastructure.migrateWhat", { host: server.host })),
      host, offered,
      field(t("infrastructure.mode"), choice(["live", "suspended"], asked.mode, (mode) => word("migrationMode", mode),
        (value) => { asked.mode = value; })), field(t("infrastructure.bandwidth"), speed)],
    work: async (form) => {
      const to = form.elements.host.value.trim() || undefined;
      tell(await send("POST", `${path}/migrate`, { host: to, mode: asked.mode, ...speedOf(speed) }));
      ctx.refresh();
    } });
}

// How even the load of the hosts is, and what would make it so.
function balanceCard(ctx, { beforePercent, afterPercent, moves, operation }) {
  const begin = () => ask({ title: t("balance.begin"), confirm: t("balance.begin"),
    body: [h("p", {}, t("balance.beginWhat", { count: number(moves.length) })), moveList(moves)],
    work: async () => { tell(await send("POST", "/rebalancing")); ctx.balanceChanged(); ctx.refresh(); } });
  const abort = async () => { await act(() => send("POST", "/rebalancing/abort")); ctx.balanceChanged(); ctx.refresh(); };
  return card(t("balance.title"), [
    h("p", {}, moves.length === 0 && !operation ? t("balance.even", { percent: number(beforePercent) })
      : t("balance.could", { before: number(beforePercent), after: number(afterPercent) })),
    operation && h("p", {}, t("operation.begun"), " ", link("events?show=operations", operation)),
    !operation && moves.length > 0 && moveList(moves),
    ctx.mayOperate && (operation || moves.length > 0) && h("div", { class: "filters account" }, operation
      ? h("button", { type: "button", onclick: abort }, t("balance.abort"))
      : h("button", { type: "button", onclick: begin }, t("balance.begin"))),
  ], { key: "balance" });
}

// Of thousands, the first are enough to see what it is about.
const mostMoves = 20;
const moveList = (moves) => h("ul", {}, moves.slice(0, mostMoves).map(({ instance, source, destination }) => h("li", {},
  h("b", {}, instance), ` ${source} → ${destination}`)),
  moves.length > mostMoves && h("li", { class: "quiet" }, t("balance.more", {
    count: number(moves.length - mostMoves) })));

function operationTable(rows) {
  return table({ rows, key: ({ id }) => id, label: t("overview.operations"),
    none: empty(t("operations.none"), t("infrastructure.noMoves")), columns: [
      { title: t("table.at"), cell: ({ startedAt }) => at(startedAt) },
      { title: t("operations.kind"), cell: ({ kind }) => h("b", {}, word("operation", kind)) },
      { title: t("events.about"), class: "nowrap", cell: ({ instance, host }) => instance ?? host ?? "–" },
      { title: t("services.state"), cell: ({ state }) => statePill("state", state) },
      { title: t("infrastructure.progress"), cell: ({ progress, failure }) => [failure && h("div", {}, failure),
        progress && h("div", {}, t("infrastructure.steps", {
          done: number(progress.done), total: number(progress.total) })),
        progress?.waiting.length > 0 && h("ul", {}, progress.waiting.map((reason) => h("li", {}, reason)))] },
      { title: t("events.actor"), cell: ({ actor }) => actor },
    ] });
}
