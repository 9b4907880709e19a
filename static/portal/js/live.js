/* Live pages. Parts say what they follow:
     data-live-topic="environment:<id>" data-live-fragment="<url>"   is fetched again and morphed in place after an event
     data-live-log data-topic data-stream …                          see live-log.js
     data-live-topic="environments" …                               after a change of state of any environment one may see;
                                                                     "experiments" of any experiment
     data-live-every="10"                                            at most once in ten seconds, however much happens
     <body data-live-topics="user:<id>">                             followed by every page
   Morphing keeps focus, scroll, open details and menus, what is being typed, and never touches a log. When the stream
   cannot be had, what is visible is fetched every ten seconds instead. */
(() => {
  "use strict";
  const script = document.currentScript;
  const DEBOUNCE_MS = 150;
  const POLL_MS = 10_000;
  const ALL_OF = { environment: "environments", experiment: "experiments" };
  const body = document.body;
  const pending = new Map();
  let port = null;
  let joined = "";
  let lastId = body.dataset.liveSince === "" ? NaN : Number(body.dataset.liveSince);
  let uncertain = Number.isNaN(lastId);
  let state = "idle";
  let offlineSince = 0;

  const split = (text) => (text || "").split(/[\s,]+/).filter(Boolean);
  const parts = () => document.querySelectorAll("[data-live-topic]");

  function topics() {
    const found = new Set(split(body.dataset.liveTopics));
    parts().forEach((part) => split(part.dataset.liveTopic).forEach((topic) => found.add(topic)));
    document.querySelectorAll("[data-live-log]").forEach((log) => found.add(log.dataset.topic));
    return [...found].sort();
  }

  function join() {
    const wanted = topics();
    if (!port || wanted.join() === joined) return;
    // A part that came after the page may have missed an event between its making and now.
    if (joined) uncertain = true;
    joined = wanted.join();
    port.postMessage({
      type: "join", url: new URL(body.dataset.eventsUrl, location.href).href, topics: wanted, since: lastId, visible: !document.hidden,
    });
  }

  /* Parts of the page */

  const MORPH = {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    restoreFocus: true,
    callbacks: {
      beforeNodeMorphed(old) {
        if (old.nodeType !== 1) return true;
        return !(old.hasAttribute("data-live-log") || old.hasAttribute("data-live-keep") || (old.tagName === "DIALOG" && old.open));
      },
      beforeAttributeUpdated(name, element, change) {
        if (name === "open" && (element.tagName === "DETAILS" || element.tagName === "DIALOG")) return false;
        if (change === "remove" && ["style", "data-placed", "data-shown", "aria-expanded"].includes(name)) return false;
        return !(element.tagName === "PROGRESS" && name === "value" && element.dataset.shown);
      },
    },
  };

  async function refresh(part) {
    const { liveFragment: url } = part.dataset;
    if (!url || !part.isConnected) return;
    const work = pending.get(part);
    if (work?.running) {
      work.again = true;
      return;
    }
    const mine = { running: true, again: false };
    pending.set(part, mine);
    try {
      const answer = await fetch(url, { headers: { "HX-Request": "true", "X-Live": "true" }, cache: "no-store" });
      if (answer.redirected || answer.status === 401) return;
      if (answer.ok && part.isConnected) morph(part, await answer.text());
      else if (answer.status === 404 || answer.status === 410) part.removeAttribute("data-live-fragment");
    } catch {
      /* The network is away: the stream notices too, and its return refreshes everything. */
    } finally {
      pending.delete(part);
      if (mine.again) refreshSoon(part);
    }
  }

  function morph(part, html) {
    if (!html.trim()) return;
    const fresh = window.Idiomorph.morph(part, html, MORPH);
    for (const element of fresh || []) {
      if (element.nodeType !== 1) continue;
      window.htmx?.process(element);
      window.Slipway.enhance(element);
    }
    window.Slipway.tick();
    join();
  }

  const timers = new WeakMap();
  const refreshed = new WeakMap();

  function refreshSoon(part) {
    if (timers.has(part)) return;
    const rest = Number(part.dataset.liveEvery || 0) * 1000 - (performance.now() - (refreshed.get(part) ?? -Infinity));
    timers.set(part, setTimeout(() => {
      timers.delete(part);
      refreshed.set(part, performance.now());
      refresh(part);
    }, Math.max(DEBOUNCE_MS, rest)));
  }

  function refreshTopic(topic) {
    parts().forEach((part) => { if (split(part.dataset.liveTopic).includes(topic)) refreshSoon(part); });
  }

  function refreshAll() {
    parts().forEach(refreshSoon);
    window.SlipwayLogs.fillAll();
  }

  function inbox(count) {
    const bell = document.getElementById("bell");
    if (!bell || !Number.isFinite(count)) return;
    const badge = bell.querySelector(".bell-count");
    badge.textContent = count > 99 ? "99+" : String(count);
    badge.hidden = count === 0;
    bell.setAttribute("aria-label", `Inbox, ${count} unread`);
    bell.dataset.inboxCount = count;
  }

  function receive(event) {
    if (Number.isFinite(event.id)) lastId = event.id;
    if (event.kind === "reset") refreshAll();
    else if (event.kind === "log") window.SlipwayLogs.receive(event);
    else {
      if (event.kind === "inbox") inbox(Number(event.data.count));
      refreshTopic(event.topic);
      if (event.kind === "status" && ALL_OF[event.topic.split(":")[0]]) refreshTopic(ALL_OF[event.topic.split(":")[0]]);
    }
    document.dispatchEvent(new CustomEvent(`slipway:${event.kind}`, { detail: event }));
  }

  /* The state of the line is said only when it is away, in the left bar. */
  function stateShow(next) {
    if (next === "live" && (uncertain || state === "offline")) {
      uncertain = false;
      refreshAll();
    }
    offlineSince = next === "offline" ? offlineSince || Date.now() : 0;
    state = next;
    body.dataset.liveState = next;
    const place = document.getElementById("live-state");
    if (!place) return;
    place.hidden = !["offline", "refused"].includes(next);
    place.querySelector("[data-live-state-text]").textContent = next === "offline" ? "Reconnecting" : "Live updates are off";
  }

  function onMessage(message) {
    if (message.type === "event") receive(message);
    else if (message.type === "state") stateShow(message.state);
    else if (message.type === "rejoin") {
      joined = "";
      join();
    }
  }

  setInterval(() => {
    if (document.hidden || !topics().length) return;
    if (state === "refused" || (offlineSince && Date.now() - offlineSince > POLL_MS)) refreshAll();
  }, POLL_MS);

  /* The hub: shared by all tabs, or, where there is no SharedWorker, in this page and silent while it is hidden. */
  function connectShared() {
    const worker = new SharedWorker(script.dataset.worker, { name: "slipway-live" });
    worker.port.onmessage = (message) => onMessage(message.data);
    worker.port.start();
    return worker.port;
  }

  function connectAlone(done) {
    const tag = document.createElement("script");
    tag.src = script.dataset.worker;
    tag.onload = () => {
      const hub = new window.SlipwayHub();
      const tab = { postMessage: onMessage };
      done({ postMessage: (message) => hub.receive(tab, message) });
    };
    document.head.append(tag);
  }

  function begin(connected) {
    port = connected;
    join();
  }

  function start() {
    if (typeof SharedWorker === "function") {
      try {
        begin(connectShared());
        return;
      } catch {
        /* A worker that cannot start is as good as none. */
      }
    }
    connectAlone(begin);
  }

  document.addEventListener("visibilitychange", () => {
    port?.postMessage({ type: "visible", visible: !document.hidden });
  });
  addEventListener("pagehide", () => {
    port?.postMessage({ type: "leave" });
    joined = "";
  });
  addEventListener("pageshow", (event) => { if (event.persisted) { refreshAll(); join(); } });
  setInterval(() => port?.postMessage({ type: "ping" }), 45_000);
  document.addEventListener("htmx:load", join);
  if (topics().length) start();
  else document.addEventListener("htmx:load", function late() {
    if (!topics().length) return;
    document.removeEventListener("htmx:load", late);
    start();
  });
})();
