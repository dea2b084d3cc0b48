const LABELS = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  offline: "Offline",
  closed: "Closed",
};

/** Tells the state of the connection: one word in the bar, and a notice when the person can or must do something. */
export class ConnectionNotices {
  #notices;
  #actions;
  #history = "unknown";
  #badge = document.getElementById("connection");
  #text = document.getElementById("connection-text");

  /**
   * @param {import("./notices.js").Notices} notices
   * @param {{retry: () => void, begin: () => void}} actions
   */
  constructor(notices, actions) {
    this.#notices = notices;
    this.#actions = actions;
  }

  /** @param {Partial<import("./client/thread-connection.js").Status>} status */
  show({ connection, error = null, history = "unknown" }) {
    this.#badge.dataset.state = connection;
    this.#text.textContent = LABELS[connection];
    if (connection === "offline") this.#offline();
    else if (connection === "closed" && error) this.#refused(error);
    else if (connection === "live") this.#notices.hide("connection");
    this.#tellHistory(history);
  }

  #offline() {
    this.#notices.show("connection", {
      kind: "warning",
      text: "There is no connection to the server. It is tried again by itself; nothing that was answered is lost.",
      action: { label: "Try now", run: this.#actions.retry },
      isLasting: true,
    });
  }

  #refused(error) {
    const needsReload = error.status === 401 || error.code === "snapshot_version";
    this.#notices.show("connection", {
      text: refusal(error),
      action: needsReload
        ? { label: "Load the page again", run: () => location.reload() }
        : { label: "Start a new conversation", run: this.#actions.begin },
      isLasting: true,
    });
  }

  #tellHistory(history) {
    // Told once: a notice that was put away does not come back with every change of the connection.
    if (history === this.#history) return;
    this.#history = history;
    if (history === "lost") {
      this.#notices.show("history", {
        kind: "warning",
        text: "A part of this conversation is lost: the server no longer has it, and what is shown may be incomplete.",
      });
    } else if (history === "none") {
      this.#notices.show("history", {
        kind: "info",
        text: "This server keeps no history: after a reload the conversation is gone.",
      });
    }
  }
}

function refusal({ status, code, message }) {
  if (code === "snapshot_version") return message;
  if (status === 401) return "You are not signed in, or no longer.";
  if (status === 410) return "This conversation has been deleted.";
  if (status === 404) return "This conversation does not exist, or no longer.";
  if (status === 403) return "This conversation is not yours, or the server was restarted and has forgotten it.";
  return `The server refuses this conversation: ${message}`;
}
