/** The members side by side, and the provenance of everything. */

import { el, number, percent, signed, spoken } from "./dom.js";

const SCALES = {
  confidence: ["Confidence", (it) => number(it.confidence)],
  evidence: ["Evidence", (it) => (it.evidence === null ? "–" : signed(it.evidence, 2))],
  probability: ["Probability", (it) => (it.probability === null ? "–" : percent(it.probability))],
  score: ["Raw score", (it) => number(it.score, 3)],
};

/** One column a member, one row a finding. */
export function membersSection(details) {
  const body = el("tbody");
  const select = el("select", { id: "scale", change: () => fill(body, details, select.value) },
    Object.entries(SCALES).map(([key, [name]]) => el("option", { value: key }, name)));
  fill(body, details, "confidence");
  return el("section", { class: "card", "aria-labelledby": "members-heading" },
    el("div", { class: "card-head" },
      el("h3", { id: "members-heading" }, "Members side by side"),
      el("label", {}, "Show ", select)),
    el("div", { class: "wide", tabindex: "0", role: "region", "aria-labelledby": "members-heading" },
      el("table", { class: "members" },
        el("caption", { class: "spoken" }, "Each member’s answer for each finding"),
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Finding"), details.members.map(head))),
        body)),
    el("p", { class: "quiet" }, "▲ at or above that member’s own operating point. – not assessed by that member. A raw score is the network’s own output before calibration; raw scores of different members can’t be compared."));
}

function head(member) {
  const notes = [
    member.calibrated ? "" : "not calibrated",
    member.in_ensemble ? "" : "not in the ensemble",
    ...member.warnings,
  ].filter(Boolean);
  const votes = member.in_ensemble && member.votes > 1 && el("small", {}, `${member.votes} votes in the ensemble`);
  return el("th", { scope: "col" }, member.model, votes, notes.map((note) => el("small", { class: "warning" }, note)));
}

function fill(body, details, scale) {
  const names = details.findings.map((finding) => finding.name);
  for (const member of details.members) for (const it of member.predictions) if (!names.includes(it.name)) names.push(it.name);
  body.replaceChildren(...names.map((name) => el("tr", {}, el("th", { scope: "row" }, name), details.members.map((member) => answer(member, name, scale)))));
}

function answer(member, name, scale) {
  const it = member.predictions.find((prediction) => prediction.name === name);
  if (!it) return el("td", { class: "none" }, el("span", { "aria-hidden": "true" }, "–"), spoken("not assessed"));
  return el("td", { class: it.positive ? "positive" : "" }, SCALES[scale][1](it),
    it.positive && [el("span", { "aria-hidden": "true" }, " ▲"), spoken(" above its operating point")]);
}

/** Film, software and weights. */
export function provenanceSection(details) {
  const { source } = details;
  return el("section", { class: "card provenance", "aria-labelledby": "provenance-heading" },
    el("h3", { id: "provenance-heading" }, "Provenance"),
    el("h4", {}, "This film"),
    pairs({
      Format: [source.format, source.photometric_interpretation, source.projection].filter(Boolean).join(", "),
      Size: `${source.width} × ${source.height} pixels, ${source.bits} bits`,
      "SHA-256": el("code", {}, source.sha256),
      Notes: source.notes.length ? source.notes.join("; ") : null,
    }),
    el("h4", {}, "This answer"),
    pairs({ Software: details.software, "Operating points": details.policy.replace("_", " "), Time: timing(details.timings) }),
    el("h4", {}, "The weights"),
    details.models.map(model));
}

function timing(timings = {}) {
  const parts = Object.entries(timings).map(([name, ms]) => `${name.replace("_ms", "")} ${number(ms, 0)} ms`);
  return parts.length ? parts.join(", ") : null;
}

function model({ name, bundle, version, sha256, precision, trained_on: trained, warnings }) {
  return el("details", { class: "model" },
    el("summary", {}, name),
    warnings.map((text) => el("p", { class: "warning" }, text)),
    pairs({
      Bundle: `${bundle} ${version}, ${precision}`,
      "SHA-256": el("code", {}, sha256),
      "Trained on": trained.declared ? `${trained.dataset} (as declared by its owner, not verified)` : trained.dataset,
      Films: trained.images === null ? null : `${trained.images.toLocaleString("en")} of ${trained.patients?.toLocaleString("en") ?? "an unknown number of"} patients`,
      "Pre-training": trained.pretraining,
      Teachers: trained.teachers.join(", ") || null,
      "Image licence": trained.image_licence,
      "Label licence": trained.label_licence,
      "Label sources": trained.label_sources.join("; ") || null,
      Citation: trained.citation,
      Command: trained.command && el("code", {}, trained.command),
      Commit: trained.commit && el("code", {}, trained.commit),
    }));
}

function pairs(entries) {
  return el("dl", { class: "pairs" }, Object.entries(entries).filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
