// Runs before the first paint, so that a dark room stays dark. It is the only
// thing these pages keep in local storage; the profile has the last word.
(function () {
  const KEY = "theme";

  function show(theme) {
    const known = theme === "light" || theme === "dark";
    document.documentElement.dataset.theme = known ? theme : "system";
  }

  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // Storage may be switched off; the system's theme will do.
    }
  }

  show(remembered());

  // Another tab chose a theme: follow at once.
  addEventListener("storage", (event) => {
    if (event.key === KEY) show(event.newValue);
  });
})();
