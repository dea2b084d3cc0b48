// Classic and tiny on purpose: it runs before the first paint, so that a chosen theme never flashes the other one.
(() => {
  const KEY = "streamsink:theme";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage can be forbidden; the system's theme will do
    }
  }

  function isDark() {
    return (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  }

  function choose(theme) {
    // Choosing what the system says anyway means following the system again.
    const follows = theme === (dark.matches ? "dark" : "light");
    if (follows) delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      if (follows) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // kept for this page only
    }
  }

  const theme = stored();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;

  addEventListener("DOMContentLoaded", () => {
    const toggle = document.getElementById("theme-toggle");
    const show = () => toggle.setAttribute("aria-pressed", String(isDark()));
    toggle.addEventListener("click", () => {
      choose(isDark() ? "light" : "dark");
      show();
    });
    dark.addEventListener("change", show);
    show();
  });
})();
