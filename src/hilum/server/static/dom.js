/** Building elements without markup strings, so that no text can become markup. */

/**
 * Make an element. `style` is set property by property, which a strict Content-Security-Policy allows;
 * a function becomes a listener; false, null and undefined leave an attribute out.
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(node, name, value);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function set(node, name, value) {
  if (value === false || value === null || value === undefined) return;
  if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
  else if (typeof value === "function") node.addEventListener(name, value);
  else node.setAttribute(name, value === true ? "" : value);
}

/** Text for screen readers alone. */
export const spoken = (text) => el("span", { class: "spoken" }, text);

export const byId = (id) => document.getElementById(id);

/** A number with so many decimals and a true minus sign; a dash for null. */
export function number(value, decimals = 1) {
  return value === null || value === undefined ? "–" : value.toFixed(decimals).replace("-", "−");
}

/** A number that always shows its sign. */
export const signed = (value, decimals = 1) => (value > 0 ? "+" : "") + number(value, decimals);

/** A share of 1 as per cent, finer where it is small. */
export function percent(share) {
  const value = 100 * share;
  return `${number(value, value > 0 && value < 1 ? 2 : value < 10 ? 1 : 0)}\u00a0%`;
}

/** "a", "a and b", "a, b and c". */
export const listed = (words) =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
