// Keys for people who work down a list, and a list that refreshes itself. Every page works without this.
"use strict";

(() => {
  const rows = () => Array.from(document.querySelectorAll("[data-row]"));
  const target = (row) => (row.matches("tr") && row.querySelector("a")) || row;

  // Enter on a question goes to its answer; on a line of a table the link itself has the focus.
  function enter() {
    const row = document.activeElement;
    const field = row && row.matches("[data-row]") && row.querySelector("input:not([type=hidden]), a");
    if (field) field.focus();
    return Boolean(field);
  }

  function typing(element) {
    return element && (element.matches("input, select, textarea") || element.isContentEditable);
  }

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const here = all.findIndex((row) => row.contains(document.activeElement));
    const next = here < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(here + by, 0), all.length - 1);
    target(all[next]).focus();
    all[next].scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && typing(document.activeElement)) {
      document.activeElement.blur();
      return;
    }
    if (typing(document.activeElement)) return;
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "Enter") {
      if (!enter()) return;
    } else if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) search.focus();
      else window.location.assign("/messages#text");
    } else return;
    event.preventDefault();
  });

  if (window.location.hash === "#text") {
    const search = document.querySelector("[data-search]");
    if (search) search.focus();
  }

  // A second press while the first is under way does nothing; the server counts a token once in any case.
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "1";
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  });

  function busy() {
    if (document.hidden || document.querySelector("details.action[open]")) return true;
    if (typing(document.activeElement)) return true;
    return Array.from(document.querySelectorAll("main input:not([type=hidden])")).some(
      (input) => input.value !== input.defaultValue || input.checked !== input.defaultChecked,
    );
  }

  async function refresh() {
    if (!document.body.dataset.refresh) return;
    if (!busy()) {
      try {
        const pulse = await fetch("/pulse", { headers: { "X-Refresh": "1" }, credentials: "same-origin" });
        if (pulse.redirected || pulse.status === 401) {
          window.location.reload();
          return;
        }
        if (!pulse.ok) throw new Error("no pulse");
        const { mark, as_of: asOf } = await pulse.json();
        if (mark === document.body.dataset.mark) {
          const said = document.getElementById("as-of");
          if (said) said.textContent = asOf;
          if (said) delete said.dataset.lost;
          again();
          return;
        }
        const url = window.location.pathname + window.location.search.replace(/([?&])done=[^&]*/, "$1");
        const answer = await fetch(url, { headers: { "X-Refresh": "1" }, credentials: "same-origin" });
        if (answer.ok && !busy()) swap(await answer.text());
      } catch {
        const said = document.getElementById("as-of");
        if (said && !said.dataset.lost) said.append(" (no connection since)");
        if (said) said.dataset.lost = "1";
      }
    }
    again();
  }

  function swap(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const place = rows().findIndex((row) => row.contains(document.activeElement));
    const frame = document.querySelector("iframe.letter");
    const coming = fresh.querySelector("iframe.letter");
    // The letter never changes; loading it again would scroll it to its top and count as reading it again.
    if (frame && coming && frame.getAttribute("src") === coming.getAttribute("src")) {
      for (const part of [".head", ".verdict", ".sheet-side"]) {
        const old = document.querySelector("main " + part);
        const now = fresh.querySelector("main " + part);
        if (old && now) old.replaceWith(now);
      }
    } else {
      document.querySelector("main").replaceWith(fresh.querySelector("main"));
    }
    document.querySelector("header.top").replaceWith(fresh.querySelector("header.top"));
    document.body.dataset.mark = fresh.body.dataset.mark;
    document.body.dataset.refresh = fresh.body.dataset.refresh || "";
    if (place >= 0 && rows()[place]) target(rows()[place]).focus({ preventScroll: true });
  }

  function again() {
    const seconds = Number(document.body.dataset.refresh);
    if (seconds > 0) window.setTimeout(refresh, seconds * 1000);
  }

  again();
})();
