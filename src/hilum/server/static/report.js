/** The report: shown in a frame that can run nothing, printed, saved. */

import { byId } from "./dom.js";

let address = null;

/** Let the dialog's buttons work. */
export function prepareReport() {
  byId("report-print").addEventListener("click", () => byId("report-frame").contentWindow.print());
  byId("report-close").addEventListener("click", () => byId("report-dialog").close());
}

/** Show a report: a complete HTML document. */
export function openReport(html) {
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  byId("report-save").href = address;
  byId("report-frame").srcdoc = html;
  byId("report-dialog").showModal();
}
