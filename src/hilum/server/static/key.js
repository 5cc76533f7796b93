/** Asking for the API key. */

import { forgetKey, hasKey, keepKey } from "./api.js";
import { byId } from "./dom.js";

/** Ask for the key and keep it, since `code` was answered; resolves to whether one was given. */
export function askKey(code) {
  const dialog = byId("key-dialog");
  const input = byId("key");
  byId("key-heading").textContent = heading(code);
  forgetKey();
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    byId("key-cancel").onclick = () => dialog.close();
    byId("key-form").onsubmit = () => keepKey(input.value.trim());
    dialog.onclose = () => { input.value = ""; resolve(hasKey()); };
  });
}

function heading(code) {
  if (code === "forbidden") return "That API key may not send films";
  return hasKey() ? "That API key is not known here" : "This service asks for an API key";
}
