/**
 * Where the page remembers its conversation: in the address, so that a reload and a copied address show the same one,
 * and in the storage of this browser, so that a second tab does too.
 */
const KEY = `streamsink:thread:${new URL(".", document.baseURI).pathname}`;
const PREFIX = "#thread=";

/** @returns {string | null} */
export function rememberedThread() {
  if (location.hash.startsWith(PREFIX)) {
    try {
      return decodeURIComponent(location.hash.slice(PREFIX.length)) || null;
    } catch {
      return null; // an address that somebody has cut short
    }
  }
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** @param {string | null} threadId null forgets */
export function rememberThread(threadId) {
  // Not an entry in the browser's history: "back" leaves the page, as people expect.
  history.replaceState(null, "", threadId ? PREFIX + encodeURIComponent(threadId) : location.pathname + location.search);
  try {
    if (threadId) localStorage.setItem(KEY, threadId);
    else localStorage.removeItem(KEY);
  } catch {
    // the address is enough
  }
}
