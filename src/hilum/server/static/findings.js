/** The answer: level, recommendation, what is above its operating point, conflicts, and the table of findings. */

import { el, listed, number, percent, signed } from "./dom.js";

const LEVELS = ["Low", "Low-Moderate", "Moderate", "Moderate-High", "High"];
const NORMAL = "Normal";

/** Why a refused film has no answer. */
export function refusal(details) {
  return el("section", { class: "card refused", "aria-labelledby": "refused-heading" },
    el("h3", { id: "refused-heading" }, "This film was not read"),
    el("p", {}, "The service refuses what it can’t judge. It gives no findings for this picture:"),
    el("ul", {}, details.reasons.map((reason) => el("li", {}, reason.message))),
    el("p", { class: "quiet" }, "Choose one frontal chest radiograph, whole and upright, and not a photograph of a screen."));
}

/** The level, never alone: what is above its operating point stands beside it. */
export function summary(details) {
  const above = details.findings.filter((finding) => finding.positive && finding.name !== NORMAL);
  const top = details.findings.find((finding) => finding.name !== NORMAL);
  return el("section", { class: "card summary", "aria-labelledby": "level-heading" },
    el("div", { class: "level" },
      meter(details.level),
      el("div", {},
        el("h3", { id: "level-heading" }, el("span", { class: "quiet" }, "Clinical confidence level "), el("strong", {}, details.level ?? "none")),
        el("p", { class: "quiet" }, top
          ? `Ensemble confidence ${number(details.ensemble_confidence)} of 100: that of the top finding, ${top.name}.`
          : "No finding is assessed."))),
    details.recommendation && el("p", { class: "recommendation" }, details.recommendation),
    el("h4", {}, "Above their operating point"),
    above.length
      ? el("ul", { class: "chips" }, above.map((finding) => el("li", {}, finding.name, " ", el("b", {}, number(finding.confidence)))))
      : el("p", {}, "No finding is above its operating point."),
    warnings(details),
    crossCheck(details),
    details.conflicts.length > 0 && el("div", { class: "conflict", role: "note", "aria-label": "Conflict" },
      el("strong", {}, "The answer contradicts itself"), details.conflicts.map((text) => el("p", {}, text))));
}

/** What the film was read in spite of. */
function warnings(details) {
  const found = details.reasons.filter((reason) => reason.action === "warn");
  return found.length > 0 && el("div", { class: "caution", role: "note", "aria-label": "Warning" },
    el("strong", {}, "Read with care"), found.map((reason) => el("p", {}, reason.message)));
}

/** Where the verifying member contradicts the others, with both figures. */
function crossCheck({ disagreements }) {
  return disagreements.length > 0 && el("div", { class: "caution", role: "note", "aria-label": "Cross-check" },
    el("strong", {}, "The members contradict each other"),
    disagreements.map((one) => el("p", {}, `${one.finding}: ${one.model} gives ${number(one.confidence)}, the others ${number(one.others)}. Further apart than ${number(one.limit)} is unusual.`)));
}

function meter(level) {
  const filled = LEVELS.indexOf(level) + 1;
  return el("div", { class: "meter", "aria-hidden": "true" }, LEVELS.map((_, i) => el("i", { class: i < filled ? "on" : "" })));
}

/**
 * The table of findings. `point(name or null)` is called while one is pointed at, by pointer or focus, and `pin(name)` when
 * one is chosen. Returns {section, mark(shown, pinned)}.
 */
export function findingsTable(details, { point, pin }) {
  const rows = new Map();
  const make = (finding) => {
    const made = row(finding, { point, pin });
    rows.set(finding.name, made);
    return made;
  };
  const normal = details.findings.filter((finding) => finding.name === NORMAL);
  const table = el("table", { class: "findings", role: "table" },
    el("caption", { class: "spoken" }, "Findings by falling confidence. Choosing one keeps its heat map on the film."),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      ["Finding", "Confidence", "Operating point", "Evidence", "Probability"].map((head) => el("th", { scope: "col", role: "columnheader" }, head)))),
    el("tbody", { role: "rowgroup" }, details.findings.filter((finding) => finding.name !== NORMAL).map(make)),
    normal.length > 0 && el("tbody", { role: "rowgroup", class: "normal" },
      el("tr", { role: "row", class: "group" }, el("th", { colspan: 5, scope: "rowgroup", role: "rowheader" }, "An output of its own: none of the listed findings")),
      normal.map(make)));
  table.addEventListener("pointerleave", () => point(null));
  const section = el("section", { class: "card", "aria-labelledby": "findings-heading" },
    el("h3", { id: "findings-heading" }, "Findings"),
    el("p", { class: "quiet" }, "Point at a finding, or tap it, to see where its answer came from; choosing it keeps the heat map on the film."),
    table,
    details.not_assessed.length > 0 && el("p", {}, el("b", {}, "Not assessed: "), `${listed(details.not_assessed)}. Nothing is said of these.`),
    meanings(details));
  return { section, mark: (shown, pinned) => mark(rows, shown, pinned) };
}

function row(finding, { point, pin }) {
  const { name } = finding;
  const button = el("button", {
    type: "button", class: "name", "aria-pressed": "false",
    click: () => pin(name), focus: () => point(name), blur: () => point(null),
  }, name);
  const cell = (label, ...content) => el("td", { role: "cell", "data-label": label }, ...content);
  return el("tr", {
    role: "row", class: finding.positive ? "positive" : "",
    pointerenter: (event) => event.pointerType !== "touch" && point(name), click: (event) => event.target.closest("button") || pin(name),
  },
    el("th", { scope: "row", role: "rowheader" }, button, stand(finding), finding.set && el("span", { class: "stand" }, `set: ${finding.set}`)),
    cell("Confidence", el("span", { class: "figure" }, number(finding.confidence)), bar(finding), el("small", {}, spread(finding))),
    cell("Operating point", operatingPoint(finding)),
    cell("Evidence", finding.evidence === null ? el("small", {}, "not calibrated") : signed(finding.evidence, 2)),
    cell("Probability", probability(finding)));
}

function stand({ positive, margin }) {
  if (positive === null) return el("span", { class: "stand" }, "no operating point");
  if (margin === null) return el("span", { class: "stand" }, positive ? "above" : "below");
  return el("span", { class: "stand" }, positive ? `▲ above by ${number(margin)}` : `▽ below by ${number(Math.abs(margin))}`);
}

/** Fill up to the confidence, a band over the members' values, a tick at the operating point. */
function bar({ confidence, threshold, members }) {
  const values = Object.values(members);
  const low = Math.min(...values, confidence);
  const width = Math.max(...values, confidence) - low;
  return el("div", { class: "bar", "aria-hidden": "true" },
    el("i", { class: "fill", style: { width: `${confidence}%` } }),
    values.length > 1 && el("i", { class: "range", style: { left: `${low}%`, width: `${width}%` } }),
    threshold !== null && el("i", { class: "tick", style: { left: `${threshold}%` } }));
}

function spread({ members, spread: width }) {
  const values = Object.values(members);
  if (values.length < 2) return "one member assesses it";
  return `${values.length} members ${number(Math.min(...values))}–${number(Math.max(...values))}${width === null ? "" : `, spread ${number(width)}`}`;
}

function operatingPoint({ threshold, sensitivity, specificity }) {
  if (threshold === null) return el("small", {}, "none");
  return [
    el("span", { class: "figure" }, number(threshold)),
    sensitivity !== null && el("small", {}, el("abbr", { title: "sensitivity" }, "sens."), ` ${number(sensitivity, 2)}`),
    specificity !== null && el("small", {}, el("abbr", { title: "specificity" }, "spec."), ` ${number(specificity, 2)}`),
  ];
}

function probability({ probability: share, prevalence, interval }) {
  if (share === null) return el("small", {}, "not calibrated");
  return [el("span", { class: "figure" }, percent(share)), interval !== null && el("small", {}, `${percent(interval[0])}–${percent(interval[1])}`),
    prevalence !== null && el("small", {}, `at a prevalence of ${percent(prevalence)}`)];
}

function mark(rows, shown, pinned) {
  for (const [name, node] of rows) {
    node.classList.toggle("shown", name === shown);
    node.querySelector("button").setAttribute("aria-pressed", String(name === pinned));
  }
}

function meanings(details) {
  return el("details", { class: "meanings" },
    el("summary", {}, "What do these numbers mean?"),
    el("dl", {},
      term("Evidence", "How much the film speaks for the finding: the natural logarithm of a likelihood ratio. 0 is none, +1 multiplies the odds by 2.7, negative speaks against it."),
      term("Confidence", "The same on a scale of 0 to 100: how likely the finding would be, had it been as likely as not before the film. It is not the probability of disease."),
      term("Probability", "How likely the finding is at the stated prevalence. Where it is rarer than that, so is this."),
      details.promise !== null && term("Interval", "Below the probability: what two ways of counting this film among the calibration’s films give. Wide: few films of this confidence were seen."),
      details.promise !== null && term("Set", `Present, absent, or can’t say, which holds both. Made so that of films with a finding at least ${number(100 * details.promise, 0)} % have a set that holds “present”, and of films without it one that holds “absent”, if they are like those it was fitted on.`),
      details.normal_claim && term("Normal", normalClaim(details.normal_claim)),
      term("Spread", "The largest minus the smallest confidence among the members. Wide: they disagree."),
      term("Operating point", `The confidence from which a finding counts as positive (policy: ${details.policy.replace("_", " ")}), chosen on patients other than those it was trained on, with the sensitivity and specificity that it had there.`)));
}

function normalClaim({ missed, held_out: heldOut }) {
  const rate = heldOut ?? missed;
  return `Claimed at a miss rate: of ${heldOut ? "held-out" : "validation"} films with a listed finding, ${percent(rate.value)} (${percent(rate.low)}–${percent(rate.high)}) were above its operating point.`;
}

const term = (name, text) => [el("dt", {}, name), el("dd", {}, text)];

/** What the status line says of an answer. */
export function spokenSummary(details) {
  if (!details.accepted) return "This film was not read. The reasons are given below.";
  const above = details.findings.filter((finding) => finding.positive && finding.name !== NORMAL).map((finding) => finding.name);
  return `Read. Level: ${details.level ?? "none"}. Above their operating point: ${above.length ? listed(above) : "none"}.`;
}

