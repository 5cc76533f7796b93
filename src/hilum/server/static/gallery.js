/** Five example films with label, answer and radiologist's box. */

import { byId, el, listed, number } from "./dom.js";

const FOLDER = "static/gallery/";

/** Fill the gallery; `choose(example, blob)` is called with a chosen film. Returns `{answer(example, details)}`. */
export async function openGallery(choose) {
  const gallery = await (await fetch(`${FOLDER}index.json`)).json();
  const cards = new Map();
  for (const film of gallery.films) {
    const example = { ...film, share: film.box.map((value, i) => value / gallery.size[i % 2]) };
    cards.set(film.file, card(example, async () => choose(example, await (await fetch(FOLDER + film.file)).blob())));
  }
  byId("gallery-films").replaceChildren(...[...cards.values()].map((each) => each.item));
  byId("gallery-source").textContent = `Films: ${gallery.source}. ${gallery.licence}. ${gallery.citation} Labels: ${gallery.labels}. Boxes: ${gallery.boxes}.`;
  return {
    mark: (example) => { for (const [file, each] of cards) each.button.setAttribute("aria-pressed", String(file === example?.file)); },
    answer: (example, details) => { cards.get(example.file).answer.textContent = `Answer: ${answerOf(example, details)}`; },
  };
}

function card(example, click) {
  const [left, top, width, height] = example.share.map((value) => `${100 * value}%`);
  const answer = el("span", { class: "answer" });
  const button = el("button", { type: "button", "aria-pressed": "false", click },
    el("span", { class: "thumb" },
      el("img", { src: FOLDER + example.file, alt: "", width: 256, height: 256, loading: "lazy" }),
      el("i", { class: "thumb-box", style: { left, top, width, height } })),
    el("b", {}, example.finding),
    el("span", {}, `Label: ${listed(example.labels)}`),
    answer);
  return { item: el("li", {}, button), button, answer };
}

function answerOf(example, details) {
  if (!details.accepted) return "refused";
  const finding = details.findings.find((each) => each.name === example.finding);
  if (!finding) return `${example.finding} is not assessed`;
  return `${example.finding} ${number(finding.confidence)}${stands(finding)}`;
}

const stands = ({ positive }) => (positive === null ? "" : positive ? ", above its operating point" : ", below its operating point");

/** Label and answer beside each other, for the film that is open. */
export function comparison(example, details) {
  const above = details.findings.filter((finding) => finding.positive).map((finding) => finding.name);
  return el("section", { class: "card example", "aria-labelledby": "example-heading" },
    el("h3", { id: "example-heading" }, "Example film ", el("code", {}, example.image)),
    el("dl", { class: "pairs" },
      el("div", {}, el("dt", {}, "Label"), el("dd", {}, `${listed(example.labels)} (mined from the report’s text; it can be wrong)`)),
      el("div", {}, el("dt", {}, "Answer"), el("dd", {}, `${answerOf(example, details)}. All above: ${above.length ? listed(above) : "none"}.`)),
      el("div", {}, el("dt", {}, "Radiologist’s box"), el("dd", {}, `${example.finding}, dashed on the film`))));
}
