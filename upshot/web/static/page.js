// Keys, the reader's time zone, and live news; every page works without.
import { follow } from "./live.js";

const searchBox = () => document.querySelector("main input[type=search], .find input");
const typing = (target) => target.closest?.("input, textarea, select, [contenteditable], .editor");
const rows = () => [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a[href]"));
let current = -1;
let waitsForPlace = 0;

function select(step) {
  const list = rows();
  if (!list.length) return;
  list[current]?.classList.remove("current");
  current = Math.max(0, Math.min(list.length - 1, current + step));
  list[current].classList.add("current");
  list[current].querySelector("a[href]").focus({ preventScroll: true });
  list[current].scrollIntoView({ block: "nearest" });
}

function go(address) {
  if (address) location.assign(address);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const isPlace = event.timeStamp < waitsForPlace;
  waitsForPlace = 0;
  if (isPlace) {
    const entry = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
    if (entry) { event.preventDefault(); go(entry.href); }
    return;
  }
  switch (event.key) {
    case "g": waitsForPlace = event.timeStamp + 1500; break;
    case "/": event.preventDefault(); searchBox()?.focus(); break;
    case "j": select(1); break;
    case "k": select(-1); break;
    case "[": go(document.querySelector("a[rel=prev]")?.href); break;
    case "]": go(document.querySelector("a[rel=next]")?.href); break;
    case "?": document.getElementById("keys")?.showModal(); break;
    default:
  }
});

const keysButton = document.getElementById("show-keys");
if (keysButton) {
  keysButton.hidden = false;
  keysButton.addEventListener("click", () => document.getElementById("keys").showModal());
}

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const localZone = document.getElementById("local-zone");
if (localZone && zone && zone !== "UTC") {
  const link = localZone.querySelector("a");
  const address = new URL(link.href);
  address.searchParams.set("zone", zone);
  link.href = address;
  link.title = zone;
  localZone.hidden = false;
}

for (const select of document.querySelectorAll("form.filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// A slider over the past names its instant while it is moved, and opens the page of that instant once it rests.
for (const form of document.querySelectorAll("form.past")) {
  const range = form.querySelector("input[type=range]");
  const format = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "short", timeZone: form.dataset.zone });
  range.addEventListener("input", () => {
    const text = range.value === range.max ? "now" : format.format(new Date(1000 * Number(range.value)));
    form.querySelector("output").textContent = text;
    range.setAttribute("aria-valuetext", text);
  });
  let resting;
  range.addEventListener("change", () => { clearTimeout(resting); resting = setTimeout(() => form.requestSubmit(), 500); });
  form.querySelector("button").hidden = true;
}

// A range drawn on a chart of times narrows the page; the fields "since" and "until" do the same.
for (const chart of document.querySelectorAll("svg[data-from]")) {
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  mark.setAttribute("class", "brush");
  mark.setAttribute("height", "240");
  const place = (event) => {
    const box = chart.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const [from, until] = [Date.parse(chart.dataset.from), Date.parse(chart.dataset.until)];
  const instant = (share) => `${new Date(from + share * (until - from)).toISOString().slice(0, 19)}Z`;
  let start = null;
  let drawn = false;
  chart.addEventListener("pointerdown", (event) => { if (event.button === 0) { start = place(event); drawn = false; } });
  chart.addEventListener("dragstart", (event) => event.preventDefault());
  addEventListener("pointermove", (event) => {
    if (start === null) return;
    const [low, high] = [start, place(event)].sort((a, b) => a - b);
    drawn ||= high - low > 0.01;
    if (!drawn) return;
    mark.setAttribute("x", String(low * 1000));
    mark.setAttribute("width", String((high - low) * 1000));
    chart.append(mark);
  });
  addEventListener("pointerup", (event) => {
    if (start === null) return;
    const [low, high] = [start, place(event)].sort((a, b) => a - b);
    start = null;
    mark.remove();
    if (!drawn) return;
    const address = new URL(location.href);
    address.searchParams.set("since", instant(low));
    address.searchParams.set("until", instant(high));
    address.searchParams.delete("after");
    go(address);
  });
  chart.addEventListener("click", (event) => { if (drawn) event.preventDefault(); drawn = false; }, true);
}

follow();
