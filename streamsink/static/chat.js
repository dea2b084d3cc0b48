import { AgentPicker } from "./agent-picker.js";
import { AgentApi, ThreadConnection, baseUrlOf } from "./client/index.js";
import { Composer } from "./composer.js";
import { ConnectionNotices } from "./connection-notices.js";
import { el } from "./dom.js";
import { Narrator } from "./narrator.js";
import { Notices } from "./notices.js";
import { Outbox } from "./outbox.js";
import { rememberThread, rememberedThread } from "./place.js";
import { ThreadMaker } from "./thread-maker.js";
import { ConversationView } from "./view.js";

const byId = (id) => document.getElementById(id);
const content = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
const OPEN = new Set(["queued", "running", "interrupted"]);

/** The page: holds one conversation at a time and connects its parts. */
export class Chat {
  #baseUrl = baseUrlOf(document.baseURI);
  #api = new AgentApi({ baseUrl: this.#baseUrl });
  #maker = new ThreadMaker(this.#api, (trouble) => this.#making(trouble));
  #notices = new Notices(byId("notices"));
  #status = new ConnectionNotices(this.#notices, {
    retry: () => this.#retry(),
    begin: () => this.#begin(),
  });
  #picker = new AgentPicker(content("streamsink-agents"));
  #view = new ConversationView(
    { log: byId("log"), scroller: byId("scroller"), latest: byId("latest") },
    { approve: (run, item, approved) => this.#thread.approve(run.agentName, item.approvalId, approved) },
  );
  #narrator = new Narrator(byId("announcer"), (runId) => this.#view.spokenText(runId));
  #outbox = new Outbox(() => this.#pendingChanged());
  #composer = new Composer(
    { form: byId("composer"), box: byId("message"), send: byId("send"), stop: byId("stop") },
    { send: (text) => this.#send(text), stop: () => this.#stop() },
  );
  /** @type {ThreadConnection | null} null while a thread is being made */
  #thread = null;
  #opening = Promise.resolve(null);
  #generation = 0;
  /** Begun here, so there is no history to wait for. */
  #isNew = false;

  start() {
    this.#listen();
    this.#offerPrompts();
    const remembered = rememberedThread();
    if (remembered) this.#open(remembered);
    else this.#begin();
    if (this.#picker.isEmpty) {
      this.#notices.show("agents", { text: "The host of this page serves no agents.", isLasting: true });
    }
    // On a phone the keyboard would cover the page before anybody has asked for it.
    if (hasKeyboard()) this.#composer.focus();
  }

  #listen() {
    byId("new-conversation").addEventListener("click", () => this.#begin());
    byId("delete-conversation").addEventListener("click", () => byId("confirm-delete").showModal());
    byId("confirm-delete").addEventListener("close", ({ target }) => {
      if (target.returnValue === "delete") void this.#delete();
      target.returnValue = "";
    });
    document.querySelector(".skip-link").addEventListener("click", (event) => {
      event.preventDefault(); // the fragment of the address names the conversation
      byId("message").focus();
    });
    addEventListener("hashchange", () => this.#addressChanged());
    addEventListener("online", () => this.#retry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#retry());
    visualViewport?.addEventListener("resize", fitKeyboard);
  }

  #offerPrompts() {
    const offer = (text) => el("li", {}, el("button", { type: "button", class: "prompt", text, onclick: () => this.#send(text) }));
    const prompts = content("streamsink-prompts").split("|").map((text) => text.trim());
    byId("prompts").append(...prompts.filter(Boolean).map(offer));
  }

  // Which conversation ---------------------------------------------------------------------------------------------

  /** Begins a new conversation; the one that was shown stays where it is. */
  #begin() {
    this.#leave();
    rememberThread(null);
    const generation = this.#generation;
    this.#opening = this.#maker.make().then((threadId) => (generation === this.#generation ? this.#connect(threadId) : null));
    this.#isNew = true;
    this.#refresh();
  }

  #open(threadId) {
    this.#leave();
    this.#isNew = false;
    this.#opening = Promise.resolve(this.#connect(threadId));
    this.#refresh();
  }

  #leave() {
    this.#generation += 1;
    void this.#thread?.close();
    this.#thread = null;
    this.#maker.cancel();
    this.#outbox.clear();
    this.#narrator.clear();
    this.#notices.clear();
    this.#view.clear();
    this.#status.show({ connection: "connecting" });
  }

  #connect(threadId) {
    const { signalR } = globalThis;
    const thread = new ThreadConnection({ threadId, signalR, api: this.#api, baseUrl: this.#baseUrl });
    thread.onchange = (runIds) => this.#changed(runIds);
    thread.onstatus = (status) => this.#statusChanged(status);
    this.#thread = thread;
    rememberThread(threadId);
    thread.open();
    return thread;
  }

  #addressChanged() {
    const threadId = rememberedThread();
    if (threadId && threadId !== this.#thread?.threadId) this.#open(threadId);
  }

  #making(trouble) {
    this.#status.show({ connection: trouble.isPassing ? "offline" : "closed", error: trouble });
  }

  #retry() {
    if (this.#thread) this.#thread.retryNow();
    else this.#maker.retryNow();
  }

  async #delete() {
    const thread = this.#thread;
    try {
      if (thread) await this.#api.deleteThread(thread.threadId);
      if (thread === this.#thread) this.#begin();
      this.#narrator.say("The conversation has been deleted.");
    } catch (error) {
      this.#notices.show("request", { text: `The conversation was not deleted: ${error.message}` });
    }
  }

  // What happens in it ---------------------------------------------------------------------------------------------

  #send(text) {
    const agent = this.#picker.agent;
    const [generation, opening] = [this.#generation, this.#opening];
    const known = new Set(this.#thread?.state.runs.map(({ correlationId }) => correlationId));
    this.#notices.hide("request");
    this.#view.toEnd();
    void this.#outbox.add(text, known, async (key) => {
      const thread = await opening;
      return generation === this.#generation ? thread.run(agent, text, { key }) : { correlationId: null };
    });
    if (hasKeyboard()) this.#composer.focus();
  }

  async #stop() {
    const agents = new Set(this.#thread.state.runs.filter(isOpen).map(({ agentName }) => agentName));
    this.#composer.markStopping(true);
    try {
      await Promise.all([...agents].map((agent) => this.#thread.cancel(agent)));
      this.#narrator.say("Stopping.");
    } catch (error) {
      this.#composer.markStopping(false);
      this.#notices.show("request", { text: `The answer could not be stopped: ${error.message}` });
    }
  }

  #changed(runIds) {
    const { state } = this.#thread;
    this.#view.show(state, runIds);
    this.#narrator.tell(state, runIds);
    this.#outbox.settle(state.runs);
    this.#refresh();
  }

  #statusChanged(status) {
    this.#status.show(status);
    this.#narrator.connection(status);
    this.#refresh();
  }

  #pendingChanged() {
    this.#outbox.settle(this.#thread?.state.runs ?? []);
    this.#view.showPending(this.#outbox.elements);
    this.#refresh();
  }

  /** Shows and hides what depends on several things at once. */
  #refresh() {
    const isEmpty = (this.#thread?.state.runs.length ?? 0) === 0 && this.#outbox.isEmpty;
    const status = this.#thread?.status;
    const isKnown = this.#isNew || (status?.loaded ?? false);
    const isRefused = status?.connection === "closed";
    byId("welcome").hidden = !isEmpty || !isKnown || isRefused;
    byId("loading").hidden = !isEmpty || isKnown || isRefused;
    byId("delete-conversation").disabled = isEmpty || isRefused;
    byId("new-conversation").disabled = isEmpty && this.#isNew && !isRefused;
    this.#composer.showStop(this.#thread?.isRunOpen ?? false);
  }
}

function isOpen({ status }) {
  return OPEN.has(status);
}

function hasKeyboard() {
  return matchMedia("(pointer: fine)").matches;
}

/** Some phones lay the keyboard over the page instead of making it smaller; a zoomed page is left alone. */
function fitKeyboard() {
  if (visualViewport.scale !== 1) return;
  document.documentElement.style.setProperty("--visible-height", `${visualViewport.height}px`);
}
