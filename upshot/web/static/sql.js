// The SQL editor with completion from the schema; without this script the text area stays.
const area = document.getElementById("sql");
const form = document.getElementById("query");
const progress = document.getElementById("progress");
const share = document.getElementById("share");
const cancel = document.getElementById("cancel");
const wait = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
const count = new Intl.NumberFormat("en");

// A ticket names the running query; it is no part of the page's address.
const address = new URL(location.href);
if (address.searchParams.has("ticket")) {
  address.searchParams.delete("ticket");
  history.replaceState(history.state, "", address);
}

async function follow(ticket, state) {
  const begun = performance.now();
  while (!state.ended) {
    const answer = await fetch(`/insights/running/${ticket}.json`).then((found) => found.json()).catch(() => ({}));
    if (state.ended) return;
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    if (answer.rows) {
      share.hidden = !(answer.total_rows > 0);
      share.max = answer.total_rows;
      share.value = answer.rows;
      progress.textContent = `${count.format(answer.rows)} of ${count.format(answer.total_rows)} rows read in ${seconds} s`;
    } else {
      progress.textContent = `running for ${seconds} s`;
    }
    await wait(300);
  }
}

form?.addEventListener("submit", () => {
  const state = { ended: false };
  const ticket = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  form.querySelector("input[name=ticket]")?.remove();
  form.insertAdjacentHTML("beforeend", `<input type="hidden" name="ticket" value="${ticket}">`);
  const end = (text) => {
    state.ended = true;
    cancel.hidden = share.hidden = true;
    progress.textContent = text;
  };
  cancel.hidden = false;
  cancel.onclick = () => {
    window.stop();
    const body = new URLSearchParams({ token: cancel.dataset.token });
    fetch(`/insights/running/${ticket}/cancel`, { method: "POST", body, keepalive: true });
    end("cancelled");
  };
  addEventListener("pageshow", () => end(""), { once: true });
  follow(ticket, state);
});

document.getElementById("save")?.addEventListener("submit", (event) => {
  if (area) event.target.elements.sql.value = area.value;
});

if (area) {
  const [code, schema] = await Promise.all([
    import("./vendor/codemirror.js"),
    fetch("/insights/schema.json").then((answer) => (answer.ok ? answer.json() : {})).catch(() => ({})),
  ]);
  const host = document.createElement("div");
  host.className = "editor";
  area.after(host);
  const root = host.attachShadow({ mode: "open" });
  const parent = document.createElement("div");
  root.append(parent);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const { tags } = code;
  const colours = code.HighlightStyle.define([
    { tag: tags.keyword, color: ink("--accent"), fontWeight: "550" },
    { tag: [tags.string, tags.special(tags.string)], color: ink("--good") },
    { tag: tags.number, color: ink("--c-fifth") },
    { tag: [tags.lineComment, tags.blockComment], color: ink("--faint") },
  ]);
  const theme = code.EditorView.theme({
    "&": { fontSize: "14px", backgroundColor: ink("--sheet"), color: ink("--ink") },
    ".cm-content": { fontFamily: "ui-monospace, 'Liberation Mono', monospace", minHeight: "11rem", caretColor: ink("--ink") },
    ".cm-gutters": { backgroundColor: ink("--raised"), color: ink("--faint"), border: "none" },
    "&.cm-focused": { outline: "none" },
    ".cm-tooltip": { backgroundColor: ink("--sheet"), color: ink("--ink"), border: `1px solid ${ink("--line")}` },
    ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: ink("--accent-soft"), color: ink("--ink") },
  }, { dark });
  const submit = () => { form.requestSubmit(); return true; };
  const view = new code.EditorView({
    parent,
    root,
    state: code.EditorState.create({
      doc: area.value,
      extensions: [
        code.keymap.of([{ key: "Ctrl-Enter", mac: "Cmd-Enter", run: submit }]),
        code.lineNumbers(), code.history(), code.drawSelection(), code.bracketMatching(), code.closeBrackets(),
        code.syntaxHighlighting(colours), theme, code.EditorView.lineWrapping,
        code.sql({ dialect: code.StandardSQL, schema, upperCaseKeywords: true }),
        code.autocompletion(),
        code.EditorView.contentAttributes.of({ "aria-label": "SQL", spellcheck: "false" }),
        code.keymap.of([...code.closeBracketsKeymap, ...code.completionKeymap, ...code.historyKeymap, ...code.defaultKeymap]),
        code.EditorView.updateListener.of((update) => { if (update.docChanged) area.value = update.state.doc.toString(); }),
      ],
    }),
  });
  area.hidden = true;
  host.dataset.ready = "1";
  globalThis.upshotEditor = view;
}
