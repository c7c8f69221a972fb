// Numbers, times and sizes for people.
import { locale, t } from "./i18n.js";

export function number(value, digits = 0) {
  if (value === undefined || value === null || Number.isNaN(value)) return "–";
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = Number(value);
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) { size /= 1024; unit += 1; }
  return `${number(size, unit && size < 100 ? 1 : 0)} ${units[unit]}`;
}

export function duration(microseconds) {
  if (microseconds === undefined || microseconds === null) return "–";
  const value = Number(microseconds);
  if (value < 1_000) return `${number(value)} µs`;
  if (value < 1_000_000) return `${number(value / 1_000, value < 100_000 ? 1 : 0)} ms`;
  if (value < 60_000_000) return `${number(value / 1_000_000, 1)} s`;
  if (value < 3_600_000_000) {
    return `${Math.floor(value / 60_000_000)} min ${Math.floor((value / 1_000_000) % 60)} s`;
  }
  if (value < 86_400_000_000) {
    return `${Math.floor(value / 3_600_000_000)} h ${Math.floor((value / 60_000_000) % 60)} min`;
  }
  return `${Math.floor(value / 86_400_000_000)} d ${Math.floor((value / 3_600_000_000) % 24)} h`;
}

const sameDay = (left, right) => left.toDateString() === right.toDateString();

// The time of today, with the date for other days.
export function time(moment) {
  if (!moment) return "–";
  const date = new Date(moment);
  const clock = date.toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return sameDay(date, new Date())
    ? clock : `${date.toLocaleDateString(locale(), { month: "short", day: "numeric", year: "numeric" })} ${clock}`;
}

export function fullTime(moment) {
  return moment ? new Date(moment).toLocaleString(locale(), { dateStyle: "long", timeStyle: "long" }) : "";
}

export function ago(moment) {
  if (!moment) return "–";
  const seconds = Math.max(0, Math.round((Date.now() - new Date(moment)) / 1_000));
  if (seconds < 5) return t("time.now");
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "always", style: "short" });
  if (seconds < 60) return format.format(-seconds, "second");
  if (seconds < 3_600) return format.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86_400) return format.format(-Math.floor(seconds / 3_600), "hour");
  return format.format(-Math.floor(seconds / 86_400), "day");
}

// An amount as the API gives it, an exact decimal, with all of its decimals: it never becomes a binary fraction.
export function money(amount, currency) {
  const [, sign, whole, decimals = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(amount) ?? [];
  if (whole === undefined) return amount === undefined ? "–" : `${amount} ${currency}`;
  const mark = new Intl.NumberFormat(locale(), { minimumFractionDigits: 1 }).formatToParts(1.5)
    .find(({ type }) => type === "decimal").value;
  const grouped = new Intl.NumberFormat(locale()).format(BigInt(whole));
  return `${sign && "−"}${grouped}${decimals && mark + decimals} ${currency}`;
}

// A day by the calendar of a time zone.
export function day(moment, timeZone) {
  return new Date(moment).toLocaleDateString(locale(), { timeZone, year: "numeric", month: "short", day: "numeric" });
}
