// Takes the link's token out of the address, so that it stays in no history, and into the form.
"use strict";
(() => {
  const field = document.getElementById("token");
  if (!field) return;
  const token = location.hash.slice(1);
  if (token) {
    field.value = token;
    history.replaceState(null, "", location.pathname);
  }
  const hint = document.getElementById("no-link");
  if (hint) hint.hidden = field.value !== "";
})();
