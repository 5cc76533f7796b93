/** The one call to the service, and its errors in words. */

const KEY = "hilum-api-key";

/** An error that the service, or the way to it, answered with. */
export class Problem extends Error {
  constructor({ title, detail = "", code = "unreachable", status = 0, retryAfter = null }) {
    super(title);
    Object.assign(this, { title, detail, code, status, retryAfter });
  }
}

/** Keep the API key for as long as this tab lives. */
export const keepKey = (key) => sessionStorage.setItem(KEY, key);

/** Forget the API key. */
export const forgetKey = () => sessionStorage.removeItem(KEY);

/** Whether a key was given before. */
export const hasKey = () => sessionStorage.getItem(KEY) !== null;

/** Send a film; return `{result, analysis}`. Throws Problem, or AbortError where `signal` ended it. */
export async function analyze(film, signal) {
  const body = new FormData();
  body.append("image", film, "film"); // a file's own name may name a patient, and nobody needs it
  const key = sessionStorage.getItem(KEY);
  const headers = key === null ? {} : { Authorization: `Bearer ${key}` };
  const response = await send("api/v1/analyze?film=1", { method: "POST", body, headers, signal });
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

async function send(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      title: "The service can’t be reached",
      detail: "Is it still running? Then try again. A file that was moved or changed after it was chosen has to be chosen again.",
    });
  }
}

async function problemOf(response) {
  const retryAfter = response.headers.get("Retry-After");
  if ((response.headers.get("Content-Type") ?? "").startsWith("application/problem+json")) {
    return new Problem({ ...(await response.json()), retryAfter });
  }
  return new Problem({ title: `The service answered ${response.status}`, status: response.status, code: "unknown", retryAfter });
}
