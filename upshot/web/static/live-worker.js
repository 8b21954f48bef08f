// Holds the one stream of all tabs of this browser.
const ports = new Set();
let source;

function open() {
  source = new EventSource("/live");
  source.addEventListener("error", () => {
    // A broken stream is opened again by the browser, a refused one isn't.
    if (source?.readyState !== EventSource.CLOSED) return;
    source = undefined;
    setTimeout(() => { if (ports.size && !source) open(); }, 10_000);
  });
  source.addEventListener("news", (event) => {
    const news = JSON.parse(event.data);
    for (const port of ports) port.postMessage(news);
  });
}

self.addEventListener("connect", (event) => {
  const port = event.ports[0];
  ports.add(port);
  port.onmessage = () => {
    ports.delete(port);
    if (!ports.size) { source?.close(); source = undefined; }
  };
  port.start();
  if (!source) open();
});
