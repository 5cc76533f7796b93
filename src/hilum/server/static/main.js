/** The page: choosing a film, and putting film, heat map and answer together. */

import { analyze, Problem } from "./api.js";
import { byId, el } from "./dom.js";
import { findingsTable, refusal, spokenSummary, summary } from "./findings.js";
import { comparison, openGallery } from "./gallery.js";
import { blend, drawLegend, paint, place, strongest } from "./heatmap.js";
import { askKey } from "./key.js";
import { membersSection, provenanceSection } from "./members.js";
import { openReport, prepareReport } from "./report.js";
import { createViewer } from "./viewer.js";

const MEAN = "";
const KEY_PROBLEMS = new Set(["unauthorized", "forbidden"]);
const reading = { details: null, example: null, pinned: null, pointed: null, table: null, boxShown: true };
const viewer = createViewer(byId("stage"), byId("film"), showControls);
let gallery = null;
let running = null;

/** Read one film: send it, and show what comes back. */
async function read(film, example = null) {
  running?.abort();
  const mine = (running = new AbortController());
  byId("problem").replaceChildren();
  byId("reading").hidden = true; // an answer never stands beside the news of another film
  busy(true);
  try {
    const answer = await withKey(() => analyze(film, mine.signal));
    if (answer) await show(answer, example);
  } catch (error) {
    if (error.name === "AbortError") return;
    showProblem(error, () => read(film, example));
  } finally {
    if (running === mine) busy(false);
  }
}

async function withKey(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Problem) || !KEY_PROBLEMS.has(error.code)) throw error;
      if (!(await askKey(error.code))) throw error;
    }
  }
}

function busy(is) {
  byId("main").setAttribute("aria-busy", String(is));
  document.body.classList.toggle("busy", is);
  if (is) byId("status").textContent = "Reading the film…";
  else if (byId("status").textContent === "Reading the film…") byId("status").textContent = "";
}

function showProblem(error, again) {
  const known = error instanceof Problem ? error : new Problem({ title: "The page could not show the answer", detail: String(error.message) });
  const wait = known.retryAfter ? ` Try again in ${known.retryAfter} seconds.` : "";
  byId("problem").replaceChildren(el("div", { class: "problem" },
    el("strong", {}, known.title), el("p", {}, `${known.detail}${wait}`),
    el("p", { class: "quiet" }, `Code: ${known.code}`),
    el("button", { type: "button", click: again }, "Try again")));
}

async function show({ result, analysis: { details } }, example) {
  Object.assign(reading, { details, example, pinned: null, pointed: null, table: null, boxShown: true });
  document.body.classList.add("has-film");
  byId("reading").hidden = false;
  await viewer.load(details.film);
  byId("stage").setAttribute("aria-label", example ? `Example film, ${example.finding}` : "Film");
  byId("box").hidden = !example;
  gallery?.mark(example);
  if (example) gallery?.answer(example, details);
  fillMembers(details);
  fillAnswer(details, example, result);
  showOverlay();
  byId("status").textContent = spokenSummary(details);
  byId("reading-heading").focus({ preventScroll: true });
  byId("reading").scrollIntoView({ block: "start" });
}

function fillAnswer(details, example, result) {
  const report = el("p", { class: "actions" },
    el("button", { type: "button", id: "report-open", click: () => openReport(result) }, "Open the report"),
    el("button", { type: "button", id: "print", click: () => print() }, "Print this page"));
  if (details.accepted) reading.table = findingsTable(details, { point, pin });
  byId("reading").classList.toggle("is-refused", !details.accepted);
  byId("answer").replaceChildren(...(details.accepted
    ? [summary(details), report, example ? comparison(example, details) : "", reading.table.section]
    : [refusal(details), report]));
  byId("more").replaceChildren(...(details.accepted ? [membersSection(details), provenanceSection(details)] : []));
}

function fillMembers(details) {
  const models = [...new Set(details.heatmaps.map((map) => map.model))];
  byId("member").replaceChildren(el("option", { value: MEAN }, "best members"), ...models.map((name) => el("option", { value: name }, name)));
  byId("member").disabled = models.length === 0;
  byId("no-heat").textContent = reasons(details.no_heatmap);
}

const shownFinding = () => reading.pointed ?? reading.pinned;

function point(name) {
  reading.pointed = name;
  showOverlay();
}

function pin(name) {
  reading.pinned = reading.pinned === name ? null : name;
  reading.pointed = reading.pinned;
  showOverlay();
}

/** Show the heat map of the finding that is pointed at, else of the one that is kept, and the radiologist's box. */
function showOverlay() {
  const { details, example, boxShown } = reading;
  if (!details) return;
  const name = shownFinding();
  const found = name ? heatOf(details, name, byId("member").value) : null;
  viewer.setHeat(found?.field ? paint(found.field) : null);
  viewer.setBoxes(example && boxShown ? [{ box: example.share, text: `${example.finding}: radiologist` }] : []);
  byId("heat-caption").textContent = found ? found.text + besideBox(found, name, example) : caption(details);
  byId("stage-note").textContent = found ? name : "";
  byId("box").setAttribute("aria-pressed", String(boxShown));
  reading.table?.mark(name, reading.pinned);
}

/** What lies on the stage: a film that was set upright or inverted before it was read is shown as it was given. */
function caption(details) {
  if (!details.accepted) return "The film as it was received.";
  const changed = details.reasons.find((reason) => reason.code === "rotated" || reason.code === "inverted_grey");
  return changed
    ? `The film as it was given. ${changed.message} No heat map is shown.`
    : "The film as it was read: bright is dense. No heat map is shown.";
}

/** The blended heat map of a finding, and what to say of it: {field, peak, text}. */
function heatOf(details, name, model) {
  const maps = model === MEAN ? pointingBest(details.heatmaps.filter((map) => map.finding === name))
    : details.heatmaps.filter((map) => map.finding === name && map.model === model);
  if (!maps.length) return { field: null, peak: null, text: `No heat map for ${name}${why(details, name, model)}` };
  const field = blend(maps, details.film_size);
  const peak = strongest(field);
  const whose = maps.length === 1 ? maps[0].model : `mean of ${maps.length} members`;
  const where = peak ? `strongest in ${place(peak)}` : "empty: no place in the film speaks for it";
  return { field, peak, text: `Heat map of ${name}, ${whose}: ${where}.` };
}

/** Difference of two gains that the dozen boxes of a finding can't tell from chance; ALIKE of report/film.py. */
const ALIKE = 0.15;

/** Where it was measured how well members' maps point, those that point best and those that can't be told from them; else all. */
function pointingBest(maps) {
  const known = maps.filter((map) => map.gain !== null).map((map) => map.gain);
  return known.length ? maps.filter((map) => map.gain !== null && map.gain >= Math.max(...known) - ALIKE) : maps;
}

function why(details, name, model) {
  const withheld = details.withheld_heatmaps.filter((one) => one.finding === name && (model === MEAN || one.model === model));
  if (withheld.length) return `. Withheld: ${withheld.map((one) => `${one.model}, ${one.reason}`).join("; ")}.`;
  if (model !== MEAN) return ` from ${model}: it does not assess this finding.`;
  return `. ${reasons(details.no_heatmap)}`;
}

const reasons = (none) => Object.entries(none).map(([model, reason]) => `${model} gives no heat map: ${reason}.`).join(" ");

function besideBox({ peak }, name, example) {
  if (!example || !peak || name !== example.finding) return "";
  const [x, y, width, height] = example.share;
  const inside = peak.x >= x && peak.x <= x + width && peak.y >= y && peak.y <= y + height;
  return ` That point lies ${inside ? "inside" : "outside"} the radiologist’s box.`;
}

function showControls({ window, level, opacity, inverted }) {
  for (const [id, value] of Object.entries({ window, level, opacity: 100 * opacity })) {
    const text = `${Math.round(value)} %`;
    byId(id).value = value;
    byId(id).setAttribute("aria-valuetext", text);
    byId(`${id}-value`).textContent = text;
  }
  byId("invert").setAttribute("aria-pressed", String(inverted));
}

function connectControls() {
  for (const id of ["window", "level"]) byId(id).addEventListener("input", (event) => viewer.update({ [id]: Number(event.target.value) }));
  byId("opacity").addEventListener("input", (event) => viewer.update({ opacity: Number(event.target.value) / 100 }));
  byId("zoom-in").addEventListener("click", () => viewer.zoom(1.25));
  byId("zoom-out").addEventListener("click", () => viewer.zoom(0.8));
  byId("reset").addEventListener("click", () => viewer.reset());
  byId("invert").addEventListener("click", () => viewer.update({ inverted: !viewer.state.inverted }));
  byId("box").addEventListener("click", toggleBox);
  byId("stage").addEventListener("keydown", (event) => event.key.toLowerCase() === "b" && reading.example && toggleBox());
  byId("member").addEventListener("change", showOverlay);
}

function toggleBox() {
  reading.boxShown = !reading.boxShown;
  showOverlay();
}

function connectChoosing() {
  byId("file").addEventListener("change", (event) => {
    const [film] = event.target.files;
    if (film) read(film);
    event.target.value = ""; // so that the same film can be chosen again
  });
  const veil = byId("drop-veil");
  const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
  addEventListener("drop", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    veil.hidden = true;
    if (document.querySelector("dialog[open]")) return;
    const films = [...event.dataTransfer.files];
    if (films.length === 1) read(films[0]);
    else showProblem(new Problem({ title: "One film at a time", detail: `${films.length} files were dropped; one film is read at a time.`, code: "several_files" }), () => byId("file").click());
  });
}

/** On paper: the heat map that is kept, not the one under the pointer, and everything that is folded on screen. */
function connectPrinting() {
  let folded = [];
  addEventListener("beforeprint", () => {
    point(null);
    viewer.setPaper(true);
    folded = [...document.querySelectorAll("#reading details:not([open])")];
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of folded) each.open = false;
    viewer.setPaper(false);
  });
}

async function start() {
  connectControls();
  connectPrinting();
  connectChoosing();
  prepareReport();
  drawLegend(byId("legend"));
  byId("adjust").open = matchMedia("(min-width: 60rem)").matches;
  showControls(viewer.state);
  gallery = await openGallery((example, film) => read(film, example));
}

start().catch((error) => showProblem(error, () => location.reload()));
