/* Logs that grow: appends lines of events in order, fetches what is missing, follows the end, wraps. */
(() => {
  "use strict";
  const KEPT_LINES = 5000;
  const logs = new WeakMap();

  const stateOf = (log) => {
    if (!logs.has(log)) logs.set(log, { last: Number(log.dataset.lastLine) || 0, queue: [], fetching: false, follow: true });
    return logs.get(log);
  };

  const clockOf = (at) => {
    const time = new Date(at);
    if (Number.isNaN(time.getTime())) return "";
    return time.toLocaleTimeString("en-GB", { hour12: false, timeZone: document.body.dataset.timeZone || undefined });
  };

  function lineElement(line) {
    const row = document.createElement("div");
    const level = ["debug", "info", "warn", "error"].includes(line.level) ? line.level : "info";
    row.className = `log-line log-${level}`;
    row.dataset.n = line.n;
    for (const [name, text] of [["log-at", clockOf(line.at)], ["log-text", line.text]]) {
      const span = document.createElement("span");
      span.className = name;
      span.textContent = text;
      row.append(span);
    }
    return row;
  }

  function scrollToEnd(place) {
    place.scrollTop = place.scrollHeight;
  }

  function append(log, lines) {
    const state = stateOf(log);
    const place = log.querySelector("[data-log-lines]");
    const fresh = lines.filter((line) => line.n > state.last).sort((a, b) => a.n - b.n);
    if (!fresh.length) return;
    log.querySelector("[data-log-empty]")?.remove();
    const part = document.createDocumentFragment();
    for (const line of fresh) {
      if (line.n <= state.last) continue;
      part.append(lineElement(line));
      state.last = line.n;
    }
    place.append(part);
    log.dataset.lastLine = state.last;
    const rows = place.getElementsByClassName("log-line");
    while (rows.length > KEPT_LINES) rows[0].remove();
    if (state.follow) scrollToEnd(place);
  }

  /* Line numbers have no gaps within a stream: a jump means that something was missed, and it is asked for. */
  async function fill(log) {
    const state = stateOf(log);
    if (state.fetching || !log.dataset.linesUrl) return;
    state.fetching = true;
    try {
      const url = new URL(log.dataset.linesUrl, location.href);
      url.searchParams.set("after", state.last);
      const answer = await fetch(url, { headers: { Accept: "application/json" } });
      if (answer.ok) append(log, (await answer.json()).lines);
    } catch {
      /* The next event, or the next poll, asks again. */
    } finally {
      state.fetching = false;
    }
    const waiting = state.queue.splice(0);
    waiting.forEach((lines) => take(log, lines, true));
  }

  function take(log, lines, afterFill = false) {
    const state = stateOf(log);
    const fresh = (lines || []).filter((line) => line.n > state.last);
    if (!fresh.length) return;
    const first = Math.min(...fresh.map((line) => line.n));
    if (first > state.last + 1 && !afterFill && log.dataset.linesUrl) {
      state.queue.push(fresh);
      fill(log);
    } else if (state.fetching) {
      state.queue.push(fresh);
    } else {
      append(log, fresh);
    }
  }

  const all = () => document.querySelectorAll("[data-live-log]");

  function receive(event) {
    all().forEach((log) => {
      if (log.dataset.topic === event.topic && log.dataset.stream === String(event.data.stream)) take(log, event.data.lines);
    });
  }

  function setFollow(log, follow) {
    stateOf(log).follow = follow;
    log.querySelector("[data-log-follow]")?.setAttribute("aria-pressed", String(follow));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-log-wrap], [data-log-follow]");
    if (!button) return;
    const log = button.closest(".log");
    if (button.hasAttribute("data-log-follow")) {
      setFollow(log, button.getAttribute("aria-pressed") !== "true");
      if (stateOf(log).follow) scrollToEnd(log.querySelector("[data-log-lines]"));
    } else {
      const wrap = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(wrap));
      log.classList.toggle("no-wrap", !wrap);
    }
  });

  /* Scrolling up stops following, reaching the end starts it again. Our own scrolling always ends at the end. */
  document.addEventListener("scroll", (event) => {
    const place = event.target;
    const log = place.nodeType === 1 && place.hasAttribute("data-log-lines") && place.closest("[data-live-log]");
    if (log) setFollow(log, place.scrollHeight - place.scrollTop - place.clientHeight < 24);
  }, { passive: true, capture: true });

  function start(part) {
    part.querySelectorAll("[data-live-log] [data-log-lines]").forEach(scrollToEnd);
  }

  start(document);
  document.addEventListener("htmx:load", (event) => start(event.detail.elt));
  window.SlipwayLogs = { fillAll: () => all().forEach((log) => fill(log)), receive };
})();
