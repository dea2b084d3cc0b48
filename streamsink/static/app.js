/**
 * Starts the page. Its parts are loaded from here so that a missing one is told to the person instead of leaving
 * an empty page: the browser libraries are copied in by `scripts/vendor.mjs` and are not in a fresh checkout.
 */
try {
  const { Chat } = await import("./chat.js");
  if (!globalThis.signalR) throw new Error("signalr.min.js is missing");
  new Chat().start();
} catch (error) {
  const notice = document.createElement("p");
  notice.className = "notice";
  notice.dataset.kind = "error";
  notice.setAttribute("role", "alert");
  notice.textContent =
    "The page could not be started. If this is a checkout, copy its browser libraries first: " +
    `npm ci && node scripts/vendor.mjs. (${error.message})`;
  document.getElementById("loading").replaceWith(notice);
  document.getElementById("connection").hidden = true;
  console.error(error);
}
