/** Pure text for people: no DOM here. */

/** @returns {unknown} the value of a JSON text, or the text itself while it is not (or not yet) JSON */
export function parsed(text) {
  if (typeof text !== "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @returns {string} JSON on several lines; text as it is; a place-holder for what was too large to be sent */
export function pretty(value) {
  const content = parsed(value);
  if (typeof content === "string") return content;
  const left = omittedBytes(content);
  return left === null ? JSON.stringify(content, null, 2) : `(${bytes(left)} left out)`;
}

/** @returns {string} the arguments of a call on one line, `city: Lisbon, days: 3` */
export function brief(argumentsText) {
  const content = parsed(argumentsText);
  if (content === null || typeof content !== "object") return String(content ?? "");
  return Object.entries(content)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}

/** @returns {number | null} the size of data that did not fit into an event */
export function omittedBytes(value) {
  const isOmitted = value !== null && typeof value === "object" && typeof value.omitted === "number";
  return isOmitted && Object.keys(value).length === 1 ? value.omitted : null;
}

/** @returns {string} `1.5 MB` */
export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return `${Number((count / 1000 ** power).toFixed(1))} ${units[power]}`;
}

/** @returns {string} `42 tokens in, 310 out`, or nothing when the usage says nothing of the kind */
export function usageText(usage) {
  const [read, written] = [usage?.input_token_count, usage?.output_token_count];
  if (typeof read !== "number" || typeof written !== "number") return "";
  return `${read.toLocaleString()} tokens in, ${written.toLocaleString()} out`;
}

/** @returns {string} the time of day; with the day when that is not today */
export function timeText(ms, now = Date.now()) {
  const [time, today] = [new Date(ms), new Date(now)];
  const clock = { hour: "2-digit", minute: "2-digit" };
  return time.toDateString() === today.toDateString()
    ? time.toLocaleTimeString([], clock)
    : time.toLocaleString([], { day: "numeric", month: "short", ...clock });
}
