/* The hub of live events: at most one stream to /events/ for all tabs of a browser.

   Runs in a SharedWorker. Where there is none, live.js loads the same file into the page and the hub serves that page only.
   A tab speaks to it by messages:
     to the hub    {type: "join", url, topics, since}   {type: "visible", visible}   {type: "ping"}   {type: "leave"}
     from the hub  {type: "event", id, topic, kind, data}   {type: "state", state: "idle|connecting|live|offline|refused"}
                   {type: "rejoin"} to a tab that was silent for so long that it was forgotten
   Every tab keeps the id of the last event it has seen, so a tab that joins late, or a stream that is opened again for more
   topics, repeats nothing and loses nothing: the stream resumes from the smallest of these ids and each tab skips what it had.
   fetch is used rather than EventSource because only it can send Last-Event-ID at the first request. */
(() => {
  "use strict";
  const HIDDEN_CLOSE_MS = 30_000;
  const SILENT_TAB_MS = 150_000;
  const SILENT_STREAM_MS = 60_000;
  const RETRY_FIRST_MS = 500;
  const RETRY_MAX_MS = 15_000;
  const KEPT_EVENTS = 1000;

  /* `environments` and `experiments` stand for the state of every one that the person may see. */
  const allOf = (topic) => ({ environment: "environments", experiment: "experiments" })[topic.split(":")[0]];
  const hears = (topics, event) =>
    event.kind === "reset" || topics.has(event.topic) || (event.kind === "status" && topics.has(allOf(event.topic)));

  class Hub {
    constructor() {
      this.tabs = new Map();
      this.kept = [];
      this.keptFrom = null;
      this.keptTopics = new Set();
      this.stream = null;
      this.retryMs = RETRY_FIRST_MS;
      this.failures = 0;
      this.state = "idle";
      this.timers = {};
      setInterval(() => this.sweep(), 30_000);
    }

    receive(tab, message) {
      if (message.type === "leave") {
        this.tabs.delete(tab);
        this.settle();
        return;
      }
      if (message.type !== "join" && !this.tabs.has(tab)) {
        tab.postMessage({ type: "rejoin" });
        return;
      }
      const known = this.tabs.get(tab) || { topics: new Set(), last: null, visible: true };
      known.heard = Date.now();
      if (message.type === "join") {
        const before = known.topics;
        known.topics = new Set(message.topics);
        known.visible = message.visible !== false;
        this.url = message.url;
        if (known.last === null && Number.isFinite(message.since)) known.last = message.since;
        this.tabs.set(tab, known);
        tab.postMessage({ type: "state", state: this.state });
        const added = [...known.topics].some((topic) => !before.has(topic));
        if (added && !this.replay(known, tab)) this.reopenSoon();
      } else if (message.type === "visible") {
        known.visible = message.visible;
      }
      this.settle();
    }

    /* A tab whose topics the stream already has gets what it missed from memory. False: the stream must be opened again. */
    replay(known, tab) {
      const covered = this.stream?.open && [...known.topics].every((topic) => this.keptTopics.has(topic));
      if (!covered) return false;
      if (known.last === null) {
        known.last = this.lastId();
        return true;
      }
      if (this.keptFrom === null || known.last < this.keptFrom) return false;
      this.kept.forEach((event) => this.deliver(event, known, tab));
      return true;
    }

    lastId() {
      return this.kept.length ? this.kept[this.kept.length - 1].id : this.keptFrom;
    }

    wanted() {
      const topics = new Set();
      this.tabs.forEach((known) => known.topics.forEach((topic) => topics.add(topic)));
      return topics;
    }

    /* Where the stream must resume so that no tab loses an event; null means from now on. */
    resumeFrom() {
      const ids = [...this.tabs.values()].map((known) => known.last).filter((id) => id !== null);
      return ids.length ? Math.min(...ids) : null;
    }

    anyVisible() {
      return [...this.tabs.values()].some((known) => known.visible);
    }

    /* Opens, or closes after a while, as tabs come, hide and go. */
    settle() {
      if (!this.tabs.size || !this.wanted().size) {
        this.close("idle");
      } else if (!this.anyVisible()) {
        this.timers.hidden ||= setTimeout(() => {
          this.timers.hidden = 0;
          if (!this.anyVisible()) this.close("idle");
        }, HIDDEN_CLOSE_MS);
      } else {
        clearTimeout(this.timers.hidden);
        this.timers.hidden = 0;
        if (!this.stream && !this.timers.retry && this.state !== "refused") this.open();
      }
    }

    /* Several parts of a page join one after another: one new stream serves them together. */
    reopenSoon() {
      clearTimeout(this.timers.reopen);
      this.timers.reopen = setTimeout(() => {
        this.close(this.state === "refused" ? "idle" : this.state);
        this.settle();
      }, this.stream ? 60 : 0);
    }

    close(state) {
      clearTimeout(this.timers.retry);
      this.timers.retry = 0;
      this.stream?.abort.abort();
      this.stream = null;
      this.tell(state);
    }

    tell(state) {
      if (state === this.state) return;
      this.state = state;
      this.tabs.forEach((_, tab) => tab.postMessage({ type: "state", state }));
    }

    async open() {
      const topics = this.wanted();
      const from = this.resumeFrom();
      const stream = { abort: new AbortController(), open: false, heard: Date.now() };
      this.stream = stream;
      if (this.state !== "offline") this.tell("connecting");
      try {
        const headers = { Accept: "text/event-stream" };
        if (from !== null) headers["Last-Event-ID"] = String(from);
        const query = [...topics].sort().map(encodeURIComponent).join(",");
        const answer = await fetch(`${this.url}?topics=${query}`, { headers, signal: stream.abort.signal, cache: "no-store", redirect: "error" });
        if ([401, 403, 404].includes(answer.status)) {
          this.stream = null;
          this.tell("refused");
          return;
        }
        if (!answer.ok || !(answer.headers.get("Content-Type") || "").startsWith("text/event-stream")) throw new Error(String(answer.status));
        stream.open = true;
        this.kept = [];
        this.keptFrom = from;
        this.keptTopics = topics;
        this.retryMs = RETRY_FIRST_MS;
        this.failures = 0;
        this.tell("live");
        await this.read(answer.body, stream);
      } catch (error) {
        if (stream.abort.signal.aborted && !stream.silent) return;
      }
      if (this.stream === stream) this.retry();
    }

    retry() {
      this.stream = null;
      this.failures += 1;
      if (this.failures > 1) this.tell("offline");
      const wait = this.retryMs * (0.75 + Math.random() / 2);
      this.retryMs = Math.min(RETRY_MAX_MS, this.retryMs * 2);
      this.timers.retry = setTimeout(() => {
        this.timers.retry = 0;
        this.settle();
      }, wait);
    }

    /* Reads text/event-stream as the HTML standard defines it; comment lines only show that the line is alive. */
    async read(body, stream) {
      const reader = body.pipeThrough(new TextDecoderStream()).getReader();
      let buffer = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        stream.heard = Date.now();
        buffer += value;
        const blocks = buffer.split(/\r\n\r\n|\n\n|\r\r/);
        buffer = blocks.pop();
        blocks.forEach((block) => this.block(block));
      }
    }

    block(text) {
      let id = null;
      const data = [];
      for (const line of text.split(/\r\n|\n|\r/)) {
        const match = /^([^:]+): ?(.*)$/.exec(line);
        if (!match) continue;
        if (match[1] === "id") id = Number(match[2]);
        if (match[1] === "data") data.push(match[2]);
      }
      if (!data.length) {
        if (Number.isFinite(id)) this.begin(id);
        return;
      }
      let body;
      try {
        body = JSON.parse(data.join("\n"));
      } catch {
        return;
      }
      const event = { id, topic: body.topic, kind: body.kind, data: body.data || {} };
      if (Number.isFinite(id)) {
        this.kept.push(event);
        if (this.kept.length > KEPT_EVENTS) this.keptFrom = this.kept.shift().id;
      }
      this.tabs.forEach((known, tab) => this.deliver(event, known, tab));
    }

    /* The server says where the stream begins for those who asked for "from now on". */
    begin(id) {
      this.keptFrom ??= id;
      this.tabs.forEach((known) => { known.last ??= id; });
    }

    deliver(event, known, tab) {
      const numbered = Number.isFinite(event.id);
      /* Ids begin anew where the server says so: it may be an older copy of itself. */
      if (event.kind === "reset") {
        if (numbered) known.last = event.id;
        tab.postMessage({ type: "event", ...event });
        return;
      }
      if (numbered && known.last !== null && event.id <= known.last) return;
      if (numbered) known.last = event.id;
      if (hears(known.topics, event)) tab.postMessage({ type: "event", ...event });
    }

    /* Tabs that went without a word (a crash) are forgotten, and a stream that went silent is opened again. */
    sweep() {
      const now = Date.now();
      this.tabs.forEach((known, tab) => { if (now - known.heard > SILENT_TAB_MS) this.tabs.delete(tab); });
      if (this.stream?.open && now - this.stream.heard > SILENT_STREAM_MS) {
        this.stream.silent = true;
        this.stream.abort.abort();
      }
      this.settle();
    }
  }

  const inWorker = typeof SharedWorkerGlobalScope !== "undefined" && self instanceof SharedWorkerGlobalScope;
  if (!inWorker) {
    window.SlipwayHub = Hub;
    return;
  }
  const hub = new Hub();
  self.onconnect = (connection) => {
    const port = connection.ports[0];
    port.onmessage = (message) => hub.receive(port, message.data);
    port.start();
  };
})();
