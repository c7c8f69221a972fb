// The views, in the order of the navigation. A new view is an entry here and its texts: `id` is its address (#/id),
// `title` the name of its text, `icon` the path of a line drawing of 24 × 24, `roles` who sees it, and `open` draws it.
// `open` gets a context: `show(...)` what is to be on the page, `fail(error)`, `parts` and `query` of the address,
// `choose({...})` to change the query, `signal` that ends the view, and who is logged in. `live` in parts.js does the
// loading and drawing again.
import { overview } from "./view-overview.js";
import { services } from "./view-services.js";
import { service } from "./view-service.js";
import { scaling } from "./view-scaling.js";
import { notifications } from "./view-notifications.js";
import { failover } from "./view-failover.js";
import { infrastructure } from "./view-infrastructure.js";
import { images } from "./view-images.js";
import { sizes } from "./view-sizes.js";
import { serverConsole } from "./view-console.js";
import { serverDisplay } from "./view-display.js";
import { timelines } from "./view-timelines.js";
import { usage } from "./view-usage.js";
import { bills } from "./view-bills.js";
import { audit } from "./view-audit.js";
import { integrity } from "./view-integrity.js";
import { consumers } from "./view-consumers.js";
import { events } from "./view-events.js";
import { settings } from "./view-settings.js";
import { configuration } from "./view-configuration.js";

const staff = ["administrator", "operator", "auditor"];
const everybody = [...staff, "consumer"];

export const views = [
  { id: "overview", title: "nav.overview", roles: staff, open: overview,
    icon: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z" },
  { id: "services", title: "nav.services", roles: staff,
    open: (ctx) => (ctx.parts[1] === "scaling" ? scaling : ctx.parts[0] ? service : services)(ctx),
    icon: "M4 5h16v5H4zM4 14h16v5H4zM8 7.5h.01M8 16.5h.01" },
  { id: "notifications", title: "nav.notifications", roles: everybody, open: notifications, hasBadge: true,
    icon: "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.5h4" },
  { id: "failover", title: "nav.failover", roles: staff, open: failover,
    icon: "M4 8h12l-3-3M20 16H8l3 3" },
  { id: "infrastructure", title: "nav.infrastructure", roles: staff,
    open: (ctx) => ((ctx.mayOperate && { console: serverConsole, display: serverDisplay }[ctx.parts[0]])
      || { images, sizes }[ctx.parts[0]] || infrastructure)(ctx),
    icon: "M4 4h16v6H4zM4 14h6v6H4zM14 14h6v6h-6zM7 10v4M17 10v4M8 7h.01" },
  { id: "timelines", title: "nav.timelines", roles: staff, open: timelines,
    icon: "M6 4v16M6 6h.01M6 12h.01M6 18h.01M10 6h10M10 12h7M10 18h9" },
  { id: "usage", title: "nav.usage", roles: everybody, open: usage,
    icon: "M4 20h16M7 20v-7M12 20V5M17 20v-10" },
  { id: "bills", title: "nav.bills", roles: everybody, open: bills,
    icon: "M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6" },
  { id: "audit", title: "nav.audit", roles: everybody,
    open: (ctx) => (ctx.parts[0] === "integrity" && ctx.role !== "consumer" ? integrity : audit)(ctx),
    icon: "M12 3l8 3v6c0 4.5-3.3 7.6-8 9-4.7-1.4-8-4.5-8-9V6zM9 12l2 2 4-4" },
  { id: "consumers", title: "nav.consumers", roles: staff, open: consumers,
    icon: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20c0-3.5 2.7-5.5 6-5.5s6 2 6 5.5M16 4.5a3.5 3.5 0 0 1 0 6M21 20"
      + "c0-2.8-1.6-4.6-4-5.3" },
  { id: "events", title: "nav.events", roles: staff, open: events,
    icon: "M4 6h16M4 12h10M4 18h13" },
  { id: "settings", title: "nav.settings", roles: everybody,
    open: (ctx) => (ctx.parts[0] === "configuration" && ctx.mayOperate ? configuration : settings)(ctx),
    icon: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4" },
];
