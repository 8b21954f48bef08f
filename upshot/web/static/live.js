// One stream of news for all tabs: a shared worker holds the connection. Lists tell "12 new" and never move.
const bar = document.getElementById("live");
const seen = { runs: 0, waits: 0, scores: 0, outcomes: 0, "dead-letters": 0 };
let paused = false;

const ONE = { runs: "run", waits: "wait", scores: "score", outcomes: "outcome", "dead-letters": "dead letter" };
const TOPIC_OF_PAGE = { "/runs": "runs", "/waits": "waits", "/scores": "scores", "/dead-letters": "dead-letters" };

export function follow() {
  const latest = document.getElementById("latest-scores");
  const topic = TOPIC_OF_PAGE[document.body.dataset.page];
  const parts = document.body.dataset.page.split("/");
  const isRun = parts[1] === "runs" && parts.length === 3;
  const isSubject = parts[1] === "subjects" && parts.length === 3;
  if (!latest && !topic && !isRun && !isSubject) return;
  connect((news) => {
    if (paused) return;
    for (const name of Object.keys(news.counts)) seen[name] = (seen[name] ?? 0) + news.counts[name];
    if (latest) land(latest, news.scores);
    if (topic && seen[topic]) tell(seen[topic], topic);
    if (isRun || isSubject) {
      const about = nameOf(parts[2]);
      const mine = news.scores.filter((score) => (isRun ? score.run_id : score.subject) === about).length;
      if (mine) tell((seen.mine = (seen.mine ?? 0) + mine), "scores");
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "." || event.target.closest?.("input, textarea, select, .editor")) return;
    paused = !paused;
    document.body.classList.toggle("paused", paused);
    show(paused ? "Live news are paused: press . to resume" : "");
  });
}

function connect(deliver) {
  const address = document.body.dataset.live ?? "/live";
  try {
    const worker = new SharedWorker(new URL("./live-worker.js", import.meta.url), { name: address });
    worker.port.onmessage = (message) => deliver(message.data);
    worker.port.start();
    addEventListener("pagehide", () => worker.port.postMessage("leave"));
  } catch {
    const source = new EventSource(address);
    source.addEventListener("news", (event) => deliver(JSON.parse(event.data)));
  }
}

function show(text) {
  bar.textContent = text;
  bar.hidden = !text;
}

function tell(count, what) {
  show("");
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = `${count.toLocaleString("en")} new ${(count === 1 && ONE[what]) || what.replace("-", " ")}: load again`;
  bar.replaceChildren(link);
  bar.hidden = false;
}

// A name's own ".json" is no wish for the JSON of its page, and browsers take "." and ".." for steps in the tree.
const part = (text) => encodeURIComponent(text.replace(/^~*\.\.?$/, "~$&")).replace(/\.json$/, "%2Ejson");
const nameOf = (text) => decodeURIComponent(text).replace(/^~(~*\.\.?)$/, "$1");

function land(body, scores) {
  for (const score of scores) {
    const row = document.createElement("tr");
    row.className = "fresh";
    const cells = [
      ["just now", "when"], [score.name, "", `/scores/${part(score.name)}`], [score.shown, "n"],
      [score.agent ?? "", ""], [score.run_id, "", `/runs/${part(score.run_id)}`],
      [score.subject ?? "", "", score.subject ? `/subjects/${part(score.subject)}` : undefined],
      [score.latency ?? "", "n"],
    ];
    for (const [text, kind, address] of cells) {
      const cell = row.insertCell();
      cell.className = kind;
      const place = address ? cell.appendChild(document.createElement("a")) : cell;
      if (address) { place.href = address; place.className = "id"; }
      place.textContent = text;
    }
    body.prepend(row);
  }
  while (body.rows.length > 30) body.deleteRow(-1);
  document.getElementById("no-scores")?.remove();
  body.closest("section").hidden = false;
}
