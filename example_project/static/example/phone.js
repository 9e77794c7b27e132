// Looks for new messages every two seconds, while the page is seen and not paused.
const pause = document.getElementById("pause");
let paused = false;

// The server's clock is in its own zone; a phone's is in its owner's.
function localise(list) {
  for (const time of list.querySelectorAll("time")) time.textContent = new Date(time.dateTime).toLocaleTimeString();
}

async function refresh() {
  if (paused || document.hidden) return;
  let answer;
  try {
    answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  } catch {
    return; // the server restarts: the next look will find it
  }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("messages");
  const list = document.getElementById("messages");
  // Only what is new enters the list, because whoever listens to the page hears all that enters.
  const shown = new Set([...list.children].map((item) => item.dataset.key));
  const kept = new Set([...fresh.children].map((item) => item.dataset.key));
  localise(fresh);
  for (const item of [...list.children]) if (!kept.has(item.dataset.key)) item.remove();
  list.prepend(...[...fresh.children].filter((item) => !shown.has(item.dataset.key)));
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? pause.dataset.resume : pause.dataset.pause;
});
localise(document);
setInterval(refresh, 2000);
