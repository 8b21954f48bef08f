// Fetches the page again every few seconds and puts the new content in place of the old.
"use strict";
const EVERY = 3000;
async function refresh() {
  const notice = document.getElementById("notice");
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = document.querySelector("details")?.open;
    for (const id of ["state", "content"]) document.getElementById(id).replaceWith(fresh.getElementById(id));
    if (open !== undefined && document.querySelector("details")) document.querySelector("details").open = open;
    notice.hidden = true;
  } catch (error) {
    notice.hidden = false;
  }
  setTimeout(refresh, EVERY);
}
setTimeout(refresh, EVERY);
